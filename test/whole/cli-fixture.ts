import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A folder of a user's own, with an environment that names no cluster. */
export class Desk {
  readonly folder = mkdtempSync(join(tmpdir(), 'lethe-cli-'));
  readonly env: Record<string, string> = {};

  /** Runs `lethe` to its end. */
  lethe(...args: string[]): Promise<Result> {
    return this.start(...args).result;
  }

  /** Starts `lethe`; `until` settles when stderr holds a text. */
  start(...args: string[]): {
    child: ChildProcess;
    result: Promise<Result>;
    until(text: string): Promise<void>;
  } {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(TEMPORAL_|LETHE_|NO_COLOR|FORCE_COLOR)/.test(name),
    );
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: this.folder,
      env: { ...Object.fromEntries(inherited), ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    const waiting: { text: string; resolve: () => void }[] = [];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      err += chunk;
      for (const { text, resolve } of waiting) if (err.includes(text)) resolve();
    });
    const result = new Promise<Result>((resolve) => {
      child.once('close', (code) => resolve({ code, out, err }));
    });
    const until = (text: string) =>
      new Promise<void>((resolve, reject) => {
        if (err.includes(text)) return resolve();
        waiting.push({ text, resolve });
        void result.then((end) => reject(new Error(`It ended without "${text}": ${JSON.stringify(end)}`)));
      });
    return { child, result, until };
  }

  write(name: string, text: string): string {
    writeFileSync(join(this.folder, name), text);
    return name;
  }

  clear(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
