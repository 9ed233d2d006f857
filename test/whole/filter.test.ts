import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { resolveReference } from '../../job/references.js';
import { loadRetention } from '../../job/retention/load.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { sealOn } from '../engine/keystore-fixture.js';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { javascriptFunctions } from '../pure/retention/snowflake-scene.js';
import { Desk } from './cli-fixture.js';

/* `lethe seal` and `lethe reveal` as a user has them: pipes, a key store, and lines that are refused. */

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const START = Date.UTC(2026, 2, 10, 12);
const desk = new Desk();
let database: TestDatabase;
let store: KeyStore;

const retention = (folder: string) => `retention:
  stores:
    main:
      postgres: env:FILTER_KEYS_URL
      masters: { file: ${join(folder, 'masters')} }
      copy: ${join(folder, 'copy')}
      signing: env:FILTER_SIGNING
      simulated: true
  policies:
    - { id: ip, name: addresses, window: 30, context: log }
    - { id: us, name: users, window: 90, expired: gone }
  tables:
    public.events:
      readers: [analyst]
      view: public.events_readable
      columns: { ip: ip, message: { policy: ip, pattern: ipv4 } }
`;

interface Result {
  readonly code: number | null;
  readonly out: Buffer;
  readonly err: string;
}

/** Runs a command with bytes on stdin. */
function pipe(input: string | Uint8Array, ...args: string[]): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: desk.folder,
    env: { ...process.env, ...desk.env },
    stdio: 'pipe',
  });
  const out: Buffer[] = [];
  let err = '';
  child.stdout.on('data', (part: Buffer) => out.push(part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    err += part;
  });
  // A command that refuses its options does not read.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, out: Buffer.concat(out), err }));
  });
}

beforeAll(async () => {
  database = await createDatabase();
  mkdirSync(join(desk.folder, 'masters'), { mode: 0o700 });
  desk.write('retention.yaml', retention(desk.folder));
  Object.assign(desk.env, {
    FILTER_KEYS_URL: database.url,
    FILTER_SIGNING: Buffer.alloc(32, 7).toString('base64'),
  });
  Object.assign(process.env, desk.env);
  const file = await loadRetention(join(desk.folder, 'retention.yaml'));
  store = await openKeyStore(file, 'main', resolveReference, { create: true, start: START });
  await store.generate();
});

afterAll(async () => {
  desk.clear();
  await database.drop();
});

it('seals JSON lines by their own dates, with keys that it has made, and reads them back until they fade', async () => {
  const lines = Array.from({ length: 5_000 }, (_, i) => {
    const time = new Date(START - (i % 20) * 86_400_000).toISOString();
    return JSON.stringify({ time, client: { ip: `10.0.${i >> 8}.${i & 255}` }, n: i });
  });
  const input = `${lines.join('\n')}\n`;
  const sealed = await pipe(input, 'seal', '--policy', 'ip', '--field', 'client.ip', '--date-field', 'time');
  expect(sealed.err).toMatch(/^5,000 lines, 5,000 changed, 0 refused; /);
  expect(sealed.code).toBe(0);
  expect(sealed.out.toString()).not.toContain('10.0.');
  const revealed = await pipe(sealed.out, 'reveal', '--threads', '1');
  expect(revealed.out.toString() === input).toBe(true);
  expect(revealed.err).toContain('tokens: revealed 5,000');

  await store.setClock(START + 25 * 86_400_000);
  await store.destroy();
  const later = await pipe(sealed.out, 'reveal');
  const values = later.out
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).client.ip as string);
  expect(values.filter((value) => value === '[expired]').length).toBe(5_000 - 5 * 250);
  expect(values.filter((value) => value.startsWith('10.0.')).length).toBe(5 * 250);
}, 600_000);

it('packs as the input is packed, and keeps refused lines in a file of its own', async () => {
  const input = 'from 192.0.2.1\nfrom \u00ff 10.0.0.1\n';
  const bytes = gzipSync(Buffer.concat([Buffer.from(input), Buffer.from([0xff, 0x0a])]));
  const args = ['--policy', 'us', '--pattern', 'ipv4', '--format', 'text'];
  const stopped = await pipe(bytes, 'seal', ...args);
  expect(stopped.code).toBe(1);
  expect(stopped.err).toContain('Line 3: The line is not UTF-8.');
  const sealed = await pipe(bytes, 'seal', ...args, '--errors', 'refused.jsonl');
  expect(sealed.code).toBe(1);
  expect(sealed.err).toContain('1 refused');
  expect(gunzipSync(sealed.out).toString()).toMatch(/^from lt1\.us\S+\nfrom ÿ lt1\.us\S+\n$/);
  const kept = join(desk.folder, 'refused.jsonl');
  expect(JSON.parse(readFileSync(kept, 'utf8'))).toEqual({
    line: 3,
    reason: 'The line is not UTF-8.',
    base64: '/w==',
  });
  expect(statSync(kept).mode & 0o777).toBe(0o600);
  const again = await pipe(bytes, 'seal', ...args, '--errors', 'refused.jsonl');
  expect(again.code).toBe(2);
  const revealed = await pipe(sealed.out, 'reveal', '--format', 'text', '--no-gzip');
  expect(revealed.out.toString()).toBe(input);
  const torn = await pipe(sealed.out.subarray(0, -12), 'reveal', '--format', 'text');
  expect(torn.code).toBe(1);
  expect(torn.err).toContain('gzip');
}, 600_000);

it('says what is wrong with options, and that a field is misspelt', async () => {
  const wrong: [args: string[], what: string][] = [
    [['--policy', 'ip'], '--field'],
    [['--policy', 'up', '--field', 'a'], 'did you mean "ip"'],
    [['--policy', 'ip', '--format', 'text'], '--pattern'],
    [['--policy', 'ip', '--field', 'a', '--pattern', 'ipv5'], 'ipv5'],
    [['--policy', 'ip', '--field', 'a', '--day', '2026-02-30'], '--day'],
  ];
  const results = await Promise.all(wrong.map(([args]) => pipe('', 'seal', ...args)));
  for (const [i, { code, err }] of results.entries()) {
    expect(err).toContain(wrong[i]![1]);
    expect(code, err).not.toBe(0);
  }
  const misspelt = await pipe('{"ip":"secret"}\n', 'seal', '--policy', 'ip', '--field', 'pi');
  expect(misspelt.code).toBe(1);
  expect(misspelt.err).toContain('No line was changed');
}, 600_000);

it('prints statements for a warehouse from the same file', async () => {
  const { code, out } = await desk.lethe('retention', 'ddl', '--target', 'snowflake');
  expect(code).toBe(0);
  expect(out).toContain('CREATE MASKING POLICY IF NOT EXISTS "LETHE"."LETHE public.events.ip"');
  expect(out).toContain("IS_ROLE_IN_SESSION('ANALYST')");
  const other = await desk.lethe('retention', 'ddl', '--target', 'bigquery');
  expect(other.code).toBe(2);
  expect(other.err).toContain('docs/warehouses.md');

  const keys = await desk.lethe('retention', 'session', '--target', 'snowflake', '--format', 'json');
  expect([keys.code, keys.err]).toEqual([0, expect.stringMatching(/^Keys of \d+ days/)]);
  const variables: Record<string, string> = JSON.parse(keys.out);
  expect(Math.max(...Object.values(variables).map((text) => text.length))).toBeLessThanOrEqual(256);
  const own = Object.entries(variables).filter(([name]) => name.startsWith('$LETHE_IP_'));
  const ring = `ip=-=${own.map(([, text]) => text).join('')}`;
  const token = await sealOn(store, 'ip', '2026-03-10', '192.0.2.7');
  expect(javascriptFunctions().reveal(token, '', ring, '260310')).toBe('192.0.2.7');

  const path = join(desk.folder, 'keys.properties');
  const kept = await desk.lethe('retention', 'session', '--target', 'snowflake', '--output', path);
  expect([kept.code, kept.out]).toEqual([0, '']);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toContain(`$LETHE_IP_0=${variables.$LETHE_IP_0}\n`);
  const shared = openSync(join(desk.folder, 'shared.txt'), 'w', 0o644);
  const refused: [string[], string, number?][] = [
    [['--output', path], 'is there already'],
    [['--format', 'sql'], 'query history'],
    [[], 'others may read', shared],
  ];
  for (const [args, why, fd] of refused) {
    const { status, stderr } = spawnSync(
      process.execPath,
      [MAIN, 'retention', 'session', '--target', 'snowflake', ...args],
      {
        cwd: desk.folder,
        env: { ...process.env, ...desk.env },
        encoding: 'utf8',
        stdio: ['ignore', fd ?? 'pipe', 'pipe'],
      },
    );
    expect([status, stderr]).toEqual([2, expect.stringContaining(why)]);
  }
  closeSync(shared);
  expect(statSync(join(desk.folder, 'shared.txt')).size).toBe(0);
}, 600_000);
