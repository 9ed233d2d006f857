import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { dayKeys, Keyring, Revealer, Sealer } from '../retention/index.js';

const DAY = '2026-03-10';
const BATCH = 1_024;

interface Way {
  readonly name: string;
  /** Works through the values; throws where the result is wrong. */
  run(values: readonly string[]): void;
}

/** Values a second of one core, in turns, and what memory does as values grow; 16-byte values. */
export function benchRetention(rows: number, rounds: number): void {
  memory(rows);
  const values = Array.from({ length: Math.min(rows, 50_000) }, (_, i) => address(i));
  const all = ways(values);
  const times = new Map<string, number[]>(all.map(({ name }) => [name, []]));
  console.log(
    `${values.length.toLocaleString('en')} values of 16 bytes, ${rounds} rounds in turns, one core`,
  );
  for (const way of all) way.run(values);
  for (let round = 0; round < rounds; round++) {
    for (const way of all) {
      const start = performance.now();
      way.run(values);
      times.get(way.name)!.push((performance.now() - start) / 1_000);
    }
  }
  for (const [name, seconds] of times) {
    const sorted = seconds.sort((a, b) => a - b);
    const [best, middle] = [sorted[0]!, sorted[sorted.length >> 1]!];
    console.log(
      `${name.padEnd(36)} ${perSecond(values.length / middle)} median ${perSecond(values.length / best)} best`,
    );
  }
}

/** `192.168.1.2` and the like, filled up to 16 characters. */
function address(i: number): string {
  return `10.${i & 255}.${(i >> 8) & 255}.${(i >> 16) & 255}`.padEnd(16, ' ');
}

function keyring(): Keyring {
  const keys = new Map([[DAY, dayKeys(randomBytes(32), 'ip', DAY)]]);
  return new Keyring([{ policy: 'ip', asOf: DAY, first: DAY, gone: [], keys, simulated: true }]);
}

function ways(values: readonly string[]): Way[] {
  const ring = keyring();
  const sealer = new Sealer({ keyring: ring, policy: 'ip' });
  const revealer = new Revealer(ring);
  const tokens = sealer.sealAll(values, { day: DAY }) as string[];
  const check = (right: boolean) => {
    if (!right) throw new Error('a value did not come back');
  };
  const key = randomBytes(32);
  return [
    { name: 'seal, batch', run: (all) => check(sealer.sealAll(all, { day: DAY }).length === all.length) },
    {
      name: 'reveal, batch',
      run: (all) => check(revealer.openAll(tokens).every(({ text }, i) => text === all[i])),
    },
    { name: 'seal, one by one', run: (all) => check(all.every((value) => sealer.seal(value, DAY) !== '')) },
    {
      name: 'reveal, one by one',
      run: (all) => check(tokens.every((token, i) => revealer.open(token).text === all[i])),
    },
    {
      name: 'node:crypto AES-256-GCM, one by one',
      run: (all) => check(all.every((value) => gcm(key, value) !== '')),
    },
    {
      name: 'node:crypto HMAC-SHA256, one by one',
      run: (all) =>
        check(all.every((value) => createHmac('sha256', key).update(value).digest('base64url') !== '')),
    },
  ];
}

function gcm(key: Buffer, value: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  return Buffer.concat([iv, cipher.update(value), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

/** Resident size while more and more values go through, a batch at a time: up to ten times `rows`. */
function memory(rows: number): void {
  const ring = keyring();
  const sealer = new Sealer({ keyring: ring, policy: 'ip' });
  const revealer = new Revealer(ring);
  const flow = (count: number): number => {
    let peak = 0;
    for (let done = 0; done < count; done += BATCH) {
      const values = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) => address(done + i));
      const tokens = sealer.sealAll(values, { day: DAY }) as string[];
      if (revealer.openAll(tokens).some(({ text }, i) => text !== values[i]))
        throw new Error('a value did not come back');
      if ((done / BATCH) % 8 === 0) peak = Math.max(peak, process.memoryUsage().rss);
    }
    return peak;
  };
  // The first ones bring code and heap to their working size.
  flow(500_000);
  for (let count = 10_000; count <= rows * 10; count *= 10) {
    console.log(
      `peak memory, ${count.toLocaleString('en').padStart(10)} values: ${Math.round(flow(count) / 1e6)} MB`,
    );
  }
}

function perSecond(count: number): string {
  return `${Math.round(count).toLocaleString('en').padStart(10)}/s`;
}
