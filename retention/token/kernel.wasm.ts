import { CHUNK_KEYS, CHUNK_VALUES, INPUT_BYTES, type Kernel, OUTPUT_BYTES } from './kernel.js';
import { LANES } from './lanes.wasm.js';

interface Instance {
  readonly exports: Record<string, unknown>;
}

/** The part of the global `WebAssembly` that is used; Node's types leave it out. */
interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => Instance;
}

/** Undefined where WebAssembly or its SIMD instructions are missing. */
export function wasmKernel(): Kernel | undefined {
  const api = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;
  const bytes = Buffer.from(LANES, 'base64');
  if (!api?.validate(bytes)) return undefined;
  const imports = { env: { abort: () => undefined } };
  const { exports } = new api.Instance(new api.Module(bytes), imports);
  const { buffer } = exports.memory as { buffer: ArrayBuffer };
  const at = (area: string) => (exports[area] as { value: number }).value;
  const bytesAt = (area: string, length: number) => Buffer.from(buffer, at(area), length);
  return {
    input: bytesAt('input', INPUT_BYTES),
    inputEnds: new Int32Array(buffer, at('inputEnds'), CHUNK_VALUES),
    slots: new Uint8Array(buffer, at('slots'), CHUNK_VALUES),
    keys: bytesAt('keys', CHUNK_KEYS * 64),
    headers: bytesAt('headers', CHUNK_KEYS * 16),
    context: bytesAt('context', 1_026),
    salts: bytesAt('salts', CHUNK_VALUES * 12),
    output: bytesAt('output', OUTPUT_BYTES),
    outputStarts: new Int32Array(buffer, at('outputStarts'), CHUNK_VALUES),
    outputEnds: new Int32Array(buffer, at('outputEnds'), CHUNK_VALUES),
    statuses: new Uint8Array(buffer, at('statuses'), CHUNK_VALUES),
    loadKey: exports.loadKey as Kernel['loadKey'],
    seal: exports.seal as Kernel['seal'],
    reveal: exports.reveal as Kernel['reveal'],
  };
}
