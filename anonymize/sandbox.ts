import {
  DefaultIntrinsics,
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
  type QuickJSWASMModule,
} from 'quickjs-emscripten-core';
import { LetheError } from '../errors/errors.js';
import { HARNESS } from './harness.js';
import { timed } from './timed.js';

export interface SandboxSettings {
  /** A JavaScript expression that gives a function of one text. */
  readonly code: string;
  /** For one value, in milliseconds; looked at every 10,000 steps of the interpreter. */
  readonly timeoutMs: number;
  /** For the interpreter with all it holds. */
  readonly memoryMb: number;
  /** Whether objects are results, as JSON. */
  readonly json: boolean;
  /** Keyed hash that the function may call; any text to any text. */
  readonly hash: (text: string) => string;
  /**
   * Added to the time that 200 values may take together, before the interpreter is given up, in ms. Default 10,000.
   */
  readonly patienceMs?: number;
}

/** What the function made of a value: a text, null, or why there is nothing. */
export type SandboxResult = { readonly value: string | null } | { readonly failure: string };

export interface Sandbox {
  /**
   * Calls the function on each value.
   *
   * @param seeds 16 bytes a value, packed: what its `random()` starts from.
   */
  run(values: readonly string[], seeds: Uint8Array): SandboxResult[];
}

/** A call into the interpreter holds this many values at most, so that its time is bounded. */
const SLICE = 200;
const PATIENCE = 10_000;
const STACK_BYTES = 256 * 1024;

let loaded: Promise<QuickJSWASMModule> | undefined;
let interpreter: QuickJSWASMModule | undefined;

/**
 * Loads the interpreter that `js` runs in. To be awaited by a thread before it compiles a table; free when it is loaded
 * already.
 */
export async function loadSandbox(): Promise<void> {
  loaded ??= newQuickJSWASMModuleFromVariant(import('@jitl/quickjs-wasmfile-release-sync'));
  interpreter = await loaded;
}

/**
 * An interpreter of its own (QuickJS in WebAssembly) that knows no host, clock or chance. The function and all that it
 * closes over are made anew for each value and all globals are frozen, so that no value sees another one.
 *
 * Throws `JobInvalid` when the code gives no function, `Internal` when `loadSandbox` was not awaited.
 */
export function createSandbox(settings: SandboxSettings): Sandbox {
  if (!interpreter) {
    throw new LetheError(
      'Internal',
      'The sandbox is not loaded: await loadSandbox() before compiling a `js` column.',
    );
  }
  const sandbox = new QuickJsSandbox(interpreter, settings);
  disposals.register(sandbox, sandbox.release);
  return sandbox;
}

/** The interpreters of columns that nothing refers to any more give their memory back. */
const disposals = new FinalizationRegistry<() => void>((release) => release());

interface Harness {
  readonly load: QuickJSHandle;
  readonly run: QuickJSHandle;
  readonly results: QuickJSHandle;
  readonly progress: QuickJSHandle;
}

class QuickJsSandbox implements Sandbox {
  readonly release: () => void;
  private readonly context: QuickJSContext;
  private readonly harness: Harness;
  /** Largest slice in UTF-16 units: the texts are in memory several times over. */
  private readonly room: number;

  constructor(
    private readonly owner: QuickJSWASMModule,
    private readonly settings: SandboxSettings,
  ) {
    const runtime = owner.newRuntime();
    runtime.setMemoryLimit(settings.memoryMb * 1024 * 1024);
    runtime.setMaxStackSize(STACK_BYTES);
    const context = runtime.newContext({ intrinsics: { ...DefaultIntrinsics, BigInt: true, Date: false } });
    this.context = context;
    this.room = (settings.memoryMb * 1024 * 1024) / 32;
    this.release = () => {
      if (interpreter !== owner) return;
      try {
        // Whatever is still held, of itself and of the code, makes the interpreter abort.
        for (const handle of Object.values(harness)) handle.dispose();
        context.dispose();
        runtime.dispose();
      } catch {
        // It runs when garbage is collected, where nobody catches: an interpreter that aborts is given up.
        interpreter = undefined;
        loaded = undefined;
      }
    };
    const harness = this.build();
    this.harness = harness;
    watch(runtime, context, this.harness.progress, settings.timeoutMs);
  }

  run(values: readonly string[], seeds: Uint8Array): SandboxResult[] {
    const out: SandboxResult[] = new Array(values.length);
    const hex = Buffer.from(seeds.buffer, seeds.byteOffset, seeds.length).toString('hex');
    for (let from = 0; from < values.length; ) {
      const to = this.sliceEnd(values, from);
      if (to === from) out[from++] = { failure: TOO_LARGE };
      else {
        this.runSlice(values, hex, from, to, out);
        from = to;
      }
    }
    return out;
  }

  private sliceEnd(values: readonly string[], from: number): number {
    let room = this.room;
    let to = from;
    while (to < values.length && to - from < SLICE && values[to]!.length <= room)
      room -= values[to++]!.length;
    return to;
  }

  /** Halves a slice that runs out of memory, until the value that needs it is alone. */
  private runSlice(
    values: readonly string[],
    hex: string,
    from: number,
    to: number,
    out: SandboxResult[],
  ): void {
    const results = this.attempt(values.slice(from, to), hex.slice(from * 32, to * 32));
    if (results) {
      for (const [i, result] of results.entries()) out[from + i] = result;
    } else if (to - from === 1) out[from] = { failure: TOO_LARGE };
    else {
      const middle = (from + to) >> 1;
      this.runSlice(values, hex, from, middle, out);
      this.runSlice(values, hex, middle, to, out);
    }
  }

  /** The results of a slice, or undefined when it ran out of memory outside of the function. */
  private attempt(values: readonly string[], hex: string): SandboxResult[] | undefined {
    const { load, run, results } = this.harness;
    const slow = new Set<number>();
    if (this.call(load, JSON.stringify(values), hex) === undefined) return undefined;
    for (let next = '0'; ; ) {
      const ended = this.call(run, next, '');
      if (ended !== undefined) break;
      // Interrupted: the function cannot catch that. The value is lost, the next ones are not.
      const stopped = this.progress();
      slow.add(stopped);
      next = String(stopped + 1);
    }
    const text = this.call(results, '', '');
    if (text === undefined) return undefined;
    const failure = `the function took longer than ${this.settings.timeoutMs} ms`;
    return (JSON.parse(text) as (string | null | readonly [string])[]).map((result, i) => {
      if (slow.has(i)) return { failure };
      return Array.isArray(result) ? { failure: result[0] as string } : { value: result as string | null };
    });
  }

  private progress(): number {
    return readProgress(this.context, this.harness.progress);
  }

  /** Calls a function of the harness with two texts; undefined when it threw. */
  private call(callee: QuickJSHandle, a: string, b: string): string | undefined {
    if (interpreter !== this.owner) {
      throw new LetheError('Internal', 'The sandbox was given up because of another `js` column; try again.');
    }
    const { context, settings } = this;
    const outcome = timed(
      () => {
        const args = [context.newString(a), context.newString(b)];
        const result = context.callFunction(callee, context.undefined, ...args);
        for (const arg of args) arg.dispose();
        if (result.error) {
          result.error.dispose();
          return undefined;
        }
        const text = context.getString(result.value);
        result.value.dispose();
        return text;
      },
      (settings.patienceMs ?? PATIENCE) + SLICE * settings.timeoutMs,
    );
    if (outcome) return outcome.result;
    // Stopped in the middle of anything: its memory is not to be trusted any more.
    interpreter = undefined;
    loaded = undefined;
    throw new LetheError(
      'JobInvalid',
      'A `js` function did not end and could not be interrupted: make it do less, or lower its memoryMb.',
    );
  }

  private build(): Harness {
    const { context, settings } = this;
    const factory = this.evaluate(`'use strict';((random, hash) => () => (${settings.code}\n))`);
    const hash = context.newFunction('hash', (text) =>
      context.newString(settings.hash(context.getString(text))),
    );
    const make = this.evaluate(HARNESS);
    const parts = this.value(
      context.callFunction(
        make,
        context.undefined,
        factory,
        hash,
        settings.json ? context.true : context.false,
      ),
    );
    const [load, run, results, progress] = [0, 1, 2, 3].map((i) => context.getProp(parts, i)) as [
      QuickJSHandle,
      QuickJSHandle,
      QuickJSHandle,
      QuickJSHandle,
    ];
    for (const handle of [factory, hash, make, parts]) handle.dispose();
    return { load, run, results, progress };
  }

  private evaluate(code: string): QuickJSHandle {
    return this.value(this.context.evalCode(code, 'js'));
  }

  /** The value of what cannot depend on a row. The interpreter's message speaks of the code alone. */
  private value(result: ReturnType<QuickJSContext['evalCode']>): QuickJSHandle {
    if (!result.error) return result.value;
    const message = this.context.getProp(result.error, 'message');
    const text = this.context.getString(message);
    message.dispose();
    result.error.dispose();
    throw new LetheError(
      'JobInvalid',
      `js: ${text}. Write a function of one text, such as \`value => value.trim()\`.`,
    );
  }
}

const TOO_LARGE = 'the value needs more memory than memoryMb allows';

/** Interrupts a value that takes too long. The harness notes in `progress` which value it is at. */
function watch(
  runtime: QuickJSRuntime,
  context: QuickJSContext,
  progress: QuickJSHandle,
  timeoutMs: number,
): void {
  let current = -1;
  let since = 0;
  runtime.setInterruptHandler(() => {
    const at = readProgress(context, progress);
    const now = performance.now();
    if (at !== current) {
      current = at;
      since = now;
      return false;
    }
    if (now - since <= timeoutMs) return false;
    current = -1;
    return true;
  });
}

function readProgress(context: QuickJSContext, progress: QuickJSHandle): number {
  const memory = context.getArrayBuffer(progress);
  const at = Buffer.from(memory.value.buffer, memory.value.byteOffset, 4).readUInt32LE();
  memory.dispose();
  return at;
}
