/* Compiles retention/token/lanes.as to retention/token/lanes.wasm.ts (base64), so that nobody else needs a compiler. */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import asc from 'assemblyscript/asc';

const source = new URL('../retention/token/lanes.as', import.meta.url);
const target = new URL('../retention/token/lanes.wasm.ts', import.meta.url);

/** Round constants of SHA-256: the first 32 bits of the fraction of the cube roots of the first 64 primes. */
function roundConstants() {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes.map((prime) => cubeRoot(BigInt(prime) << 96n) & 0xffffffffn);
}

function cubeRoot(n) {
  let [low, high] = [0n, n];
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (middle ** 3n <= n) low = middle;
    else high = middle - 1n;
  }
  return low;
}

/** `x` turned right by three distances, XORed; the last one shifts only where `shifts`. */
function sigma(x, a, b, c, shifts) {
  const turn = (by) => `v128.xor(i32x4.shr_u(${x}, ${by}), i32x4.shl(${x}, ${32 - by}))`;
  return `v128.xor(v128.xor(${turn(a)}, ${turn(b)}), ${shifts ? `i32x4.shr_u(${x}, ${c})` : turn(c)})`;
}

const add = (...terms) => terms.reduce((sum, term) => `i32x4.add(${sum}, ${term})`);

/** The compression function over STATE and WORDS, four lanes wide, without a loop. */
function compress() {
  const lines = [];
  for (let i = 0; i < 16; i++) lines.push(`let w${i} = v128.load(WORDS, ${i * 16});`);
  for (let i = 0; i < 8; i++) lines.push(`let s${i} = v128.load(STATE, ${i * 16});`);
  lines.push('let t: v128, ab: v128, bc = v128.xor(s1, s2);');
  for (let i = 0; i < 64; i++) {
    const [a, b, , d, e, f, g, h] = [...'01234567'].map((s) => `s${(Number(s) + 64 - i) % 8}`);
    const w = `w${i % 16}`;
    if (i >= 16) {
      const [w1, w9, w14] = [1, 9, 14].map((by) => `w${(i + by) % 16}`);
      lines.push(`${w} = ${add(w, w9, sigma(w1, 7, 18, 3, true), sigma(w14, 17, 19, 10, true))};`);
    }
    const choice = `v128.xor(${g}, v128.and(${e}, v128.xor(${f}, ${g})))`;
    lines.push(`t = ${add(h, add(w, `v128.load(ROUND, ${i * 16})`), choice, sigma(e, 6, 11, 25, false))};`);
    lines.push(`${d} = i32x4.add(${d}, t);`);
    // Majority is b ^ ((a ^ b) & (b ^ c)), and b ^ c is a ^ b of the round before.
    lines.push(`ab = v128.xor(${a}, ${b});`);
    lines.push(`${h} = ${add('t', `v128.xor(${b}, v128.and(ab, bc))`, sigma(a, 2, 13, 22, false))};`);
    lines.push('bc = ab;');
  }
  for (let i = 0; i < 8; i++) {
    lines.push(`v128.store(STATE, i32x4.add(s${i}, v128.load(STATE, ${i * 16})), ${i * 16});`);
  }
  const constants = `const CONSTANTS: usize = memory.data<u32>([${roundConstants().join(', ')}]);
const ROUND: usize = memory.data(1024, 16);
for (let i: usize = 0; i < 64; i++) v128.store(ROUND + (i << 4), v128.load32_splat(CONSTANTS + (i << 2)));`;
  return `${constants}\nfunction compress(): void {\n  ${lines.join('\n  ')}\n}\n`;
}

/** The text of lanes.wasm.ts as it must be. */
export async function compileLanes() {
  let wasm;
  const files = { 'lanes.ts': `${readFileSync(source, 'utf8')}\n${compress()}` };
  const { error, stderr } = await asc.main(
    ['lanes.ts', '-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--outFile', 'lanes.wasm'],
    {
      readFile: (name) => files[name] ?? null,
      writeFile: (_name, contents) => {
        wasm = contents;
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(`${error.message}\n${stderr}`);
  const base64 = Buffer.from(wasm).toString('base64');
  return `// Written by scripts/lanes.mjs from lanes.as.\nexport const LANES =\n  '${base64}';\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  writeFileSync(target, await compileLanes());
