import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server of another vendor that this process started, and ends at the latest when it ends itself. */
export interface ServerProcess {
  readonly pid: number;
  /** Settles with what the process said last when it has ended, however that came. */
  readonly ended: Promise<string>;
  /** Sends `signal`, waits up to `graceMs`, then kills; settles when the process is gone. */
  end(signal: NodeJS.Signals, graceMs: number): Promise<void>;
}

export interface ServerProcessOptions {
  /** File that gets stdout and stderr, appended. */
  readonly log: string;
  /** What ends the server when this process dies without ending it, by whatever signal. */
  readonly orphanSignal: 'QUIT' | 'TERM';
  readonly uid?: number;
  readonly gid?: number;
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/**
 * Starts a server program with its output in a file, in the root folder (its user may not be able to enter ours) and in
 * a session of its own: Ctrl-C reaches this process only, which may have to use the server once more before it ends it.
 */
export function startProcess(
  program: string,
  args: readonly string[],
  options: ServerProcessOptions,
): ServerProcess {
  mkdirSync(dirname(options.log), { recursive: true });
  const out = openSync(options.log, 'a');
  const { uid, gid } = options;
  const child = spawn(program, args, { cwd: '/', stdio: ['ignore', out, out], detached: true, uid, gid });
  closeSync(out);
  const watchdog = child.pid === undefined ? undefined : watch(child.pid, options.orphanSignal);
  const ended = new Promise<string>((resolve) => {
    const settle = (last: string) => {
      watchdog?.kill('SIGKILL');
      resolve(last);
    };
    child.once('error', (error) => settle(error.message));
    child.once('exit', () => settle(lastLines(options.log)));
  });
  return { pid: child.pid ?? 0, ended, end: (signal, graceMs) => endProcess(child, ended, signal, graceMs) };
}

/** A shell that waits for the end of a pipe that only this process holds open, and then ends the server. */
function watch(pid: number, signal: string): ChildProcess {
  const watchdog = spawn('/bin/sh', ['-c', 'read -r _; kill -s "$1" "$0"', String(pid), signal], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => {});
  watchdog.unref();
  (watchdog.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  return watchdog;
}

async function endProcess(
  child: ChildProcess,
  ended: Promise<string>,
  signal: NodeJS.Signals,
  graceMs: number,
) {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}

/**
 * Calls `probe` until it succeeds; fails with what the process said last when it ends first, or with the last
 * failure after `timeoutMs`.
 */
export async function untilReady<T>(
  server: ServerProcess,
  timeoutMs: number,
  probe: () => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let over: string | undefined;
  void server.ended.then((last) => {
    over = last;
  });
  for (;;) {
    if (over !== undefined) throw new Error(`it ended at once: ${over}`);
    try {
      return await probe();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join(' | ');
}
