import { randomBytes } from 'node:crypto';
import { filterPool } from '../cli/filter/pool.js';
import { runFilter } from '../retention/filter/pipeline.js';
import type { FilterSettings } from '../retention/filter/settings.js';
import { dayKeys, type Ring } from '../retention/index.js';
import type { RingSource } from '../retention/keys/source.js';
import { MemoryWatch } from './memory.js';

const DAY = '2026-03-10';
const LINES = 200_000;
/** Lines that are made once, and come again and again. */
const BLOCK = 2_000;

const SETTINGS = {
  format: 'jsonl',
  policies: {
    ip: {
      id: 'ip',
      name: 'addresses',
      window: 30,
      store: 'main',
      context: 'log',
      expired: '[expired]',
      deterministic: false,
      requireGrade: 'bestEffort',
    },
  },
  patterns: [],
  delimiter: ',',
  header: true,
} as const satisfies Partial<FilterSettings>;

/** A log line of about 300 bytes. */
function line(i: number): string {
  return `${JSON.stringify({
    time: `2026-03-10T12:${String(i % 60).padStart(2, '0')}:00.000Z`,
    level: 'info',
    client: {
      ip: `10.${i & 255}.${(i >> 8) & 255}.7`,
      agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0',
    },
    request: { method: 'GET', path: `/api/v1/items/${i * 7919}`, status: 200, bytes: 4_096 + (i % 900) },
    message: `served in ${i % 90} ms from cache, upstream 10.1.2.${i % 250}`,
  })}\n`;
}

const block = Buffer.from(Array.from({ length: BLOCK }, (_, i) => line(i)).join(''));

async function* input(lines: number): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < lines; done += BLOCK) yield block;
}

function source(): RingSource {
  const keys = new Map([[DAY, dayKeys(randomBytes(32), 'ip', DAY)]]);
  const ring: Ring = { policy: 'ip', asOf: DAY, first: DAY, gone: [], keys, simulated: true };
  return {
    epoch: async () => '1',
    rings: async () => [ring],
    ensureDayKeys: async () => [DAY],
    close: async () => {},
  };
}

/** Megabytes of JSON lines a second through the filter, with one thread and with more, and its memory as lines grow. */
export async function benchFilter(rows: number, rounds: number, threads: number): Promise<void> {
  const bytes = Math.round(block.length / BLOCK);
  console.log(`\nThe filter: ${LINES.toLocaleString('en')} JSON lines of ${bytes} bytes, ${rounds} rounds`);
  const keys = source();
  const sealed = await collect(keys);
  const ways: readonly [string, FilterSettings, () => AsyncIterable<Uint8Array>][] = [
    [
      'seal a field',
      { ...SETTINGS, what: 'seal', choice: 'ip', fields: ['client.ip'], day: DAY },
      () => input(LINES),
    ],
    [
      'seal matches in a field',
      { ...SETTINGS, what: 'seal', choice: 'ip', fields: ['message'], patterns: ['ipv4'], day: DAY },
      () => input(LINES),
    ],
    ['reveal', { ...SETTINGS, what: 'reveal', fields: [] }, () => again(sealed)],
  ];
  for (const [name, settings, lines] of ways) {
    for (const count of [...new Set([1, threads])]) {
      const seconds: number[] = [];
      const pool = filterPool(settings, count);
      await run(keys, settings, settings.what === 'seal' ? input(BLOCK * 20) : again(sealed), pool);
      let size = 0;
      for (let round = 0; round < rounds; round++) {
        const start = performance.now();
        size = await run(keys, settings, lines(), pool);
        seconds.push((performance.now() - start) / 1_000);
      }
      await pool.close();
      const sorted = seconds.sort((a, b) => a - b);
      const speed = (time: number) => `${(size / 1e6 / time).toFixed(0).padStart(4)} MB/s`;
      console.log(
        `${name.padEnd(24)} ${count} thread${count === 1 ? ' ' : 's'}  ${speed(sorted[sorted.length >> 1]!)} median ${speed(sorted[0]!)} best`,
      );
    }
  }
  await memory(keys, rows, threads);
}

async function memory(keys: RingSource, rows: number, threads: number): Promise<void> {
  const settings: FilterSettings = {
    ...SETTINGS,
    what: 'seal',
    choice: 'ip',
    fields: ['client.ip'],
    day: DAY,
  };
  const pool = filterPool(settings, threads);
  await run(keys, settings, input(LINES), pool);
  for (let lines = 10_000; lines <= rows * 10; lines *= 10) {
    const watch = new MemoryWatch(process.pid);
    await run(keys, settings, input(lines), pool);
    console.log(
      `peak memory, ${lines.toLocaleString('en').padStart(10)} lines: ${Math.round(watch.peak() / 1e6)} MB`,
    );
    watch.end();
  }
  await pool.close();
}

/** Bytes that went in. */
async function run(
  keys: RingSource,
  settings: FilterSettings,
  lines: AsyncIterable<Uint8Array>,
  pool: ReturnType<typeof filterPool>,
  write: (bytes: Uint8Array) => void = () => undefined,
): Promise<number> {
  const { bytes, refused, changed } = await runFilter({
    settings,
    source: keys,
    input: lines,
    write: async (part) => write(part),
    refuse: async ({ reason }) => {
      throw new Error(reason);
    },
    transform: pool.transform,
    parallel: 2 * pool.threads + 1,
  });
  if (refused > 0 || changed === 0) throw new Error('the filter did not do its work');
  return bytes;
}

/** A block of sealed lines. */
async function collect(keys: RingSource): Promise<Buffer> {
  const settings: FilterSettings = {
    ...SETTINGS,
    what: 'seal',
    choice: 'ip',
    fields: ['client.ip'],
    day: DAY,
  };
  const pool = filterPool(settings, 1);
  const parts: Uint8Array[] = [];
  await run(keys, settings, input(BLOCK), pool, (part) => void parts.push(part));
  await pool.close();
  return Buffer.concat(parts);
}

async function* again(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < LINES; done += BLOCK) yield bytes;
}
