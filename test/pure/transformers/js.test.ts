import { beforeAll, describe, expect, test } from 'vitest';
import { prepareTable } from '../../../anonymize/compile.js';
import { jobKeys } from '../../../anonymize/keys.js';
import { createSandbox, loadSandbox } from '../../../anonymize/sandbox.js';
import { accepts, one, proof, run, spec, TEXT, type } from './support.js';

beforeAll(loadSandbox);

describe('js', () => {
  test('calls the function on each value, NULL aside', () => {
    expect(run({ js: 'value => value.toUpperCase()' }, ['ann', null, 'Ömer 👍', '']).out).toEqual([
      'ANN',
      null,
      'ÖMER 👍',
      '',
    ]);
  });

  test('takes texts of any content', () => {
    const values = ['\\N', '\t\n\\"\'', '\u2028 {{x}} `', '</script>', '\ud83d\udc4d', 'x'.repeat(100_000)];
    expect(run({ js: 'value => value' }, values).out).toEqual(values);
  });

  test('offers keyed chance that is the same for equal values', () => {
    const code = 'value => [random(), random(), hash(value)].join(" ")';
    const { out } = run({ js: code }, ['a', 'b', 'a']);
    expect(out[0]).toBe(out[2]);
    expect(out[0]).not.toBe(out[1]);
    expect(out[0]).toMatch(/^0\.\d+ 0\.\d+ [0-9a-f]{32}$/);
    expect(one({ js: code }, 'a', { key: 'other' })).not.toBe(out[0]);
    expect(one({ js: code }, 'a')).toBe(out[0]);
  });

  test('draws evenly', () => {
    const values = Array.from({ length: 4000 }, (_, i) => `v${i}`);
    const mean =
      run({ js: '() => random()' }, values).out.reduce((sum, value) => sum + Number(value), 0) / 4000;
    expect(mean).toBeGreaterThan(0.47);
    expect(mean).toBeLessThan(0.53);
  });

  test('has no host, clock or chance', () => {
    const names =
      'Date process require globalThis.process fetch setTimeout performance WebAssembly console Intl'.split(
        ' ',
      );
    for (const name of names) {
      expect(one({ js: `() => { try { return typeof ${name} } catch { return "undefined" } }` }, 'x')).toBe(
        'undefined',
      );
    }
    expect(one({ js: '() => typeof Math.random' }, 'x')).toBe('undefined');
    expect(run({ js: '() => import("node:fs")' }, ['x']).failed.get(0)).toMatch(/returned something/);
    const breakout = 'v => v.constructor.constructor("return typeof process")()';
    expect(one({ js: breakout }, 'x')).toBe('undefined');
  });

  test.each([
    ['a variable around it', '(() => { let n = 0; return () => ++n })()'],
    [
      'a property of a built-in',
      '() => { try { Array.n = (Array.n ?? 0) + 1 } catch {} return Array.n ?? 1 }',
    ],
    [
      'a global',
      '() => { try { globalThis.n = (globalThis.n ?? 0) + 1 } catch {} return globalThis.n ?? 1 }',
    ],
    ['a prototype', '() => { try { String.prototype.n = 2 } catch {} return "".n ?? 1 }'],
    [
      'a property of random',
      '() => { try { random.n = (random.n ?? 0) + 1 } catch {} return random.n ?? 1 }',
    ],
  ])('remembers nothing between values in %s', (_, code) => {
    expect(run({ js: code }, ['a', 'b', 'c']).out).toEqual(['1', '1', '1']);
  });

  test('stops what takes too long, and only that', () => {
    const endless = {
      js: { code: 'v => { while (v === "loop") { try { } finally { continue } } return v }', timeoutMs: 20 },
    };
    const { out, failed } = run(endless, ['a', 'loop', 'b', 'loop', 'c']);
    expect(out).toEqual(['a', null, 'b', null, 'c']);
    expect([...failed.keys()]).toEqual([1, 3]);
    expect(failed.get(1)).toBe('the function took longer than 20 ms');
    const pattern = { js: { code: 'v => /^(a+)+$/.test(v)', timeoutMs: 20 } };
    expect(run(pattern, [`${'a'.repeat(40)}!`, 'aaa'], {}).out).toEqual([null, 'true']);
  });

  test('stops what needs too much memory or stack, and only that', () => {
    const greedy = { js: { code: 'v => v === "all" ? "x".repeat(1e8) : v', memoryMb: 2 } };
    const { out, failed } = run(greedy, ['a', 'all', 'b']);
    expect(out).toEqual(['a', null, 'b']);
    expect(failed.get(1)).toBe('the function threw InternalError');
    const deep = { js: 'v => { const f = () => f() + 1; return v === "deep" ? f() : v }' };
    expect(run(deep, ['a', 'deep', 'b']).out).toEqual(['a', null, 'b']);
    const { failed: large } = run({ js: { code: 'v => v.length', memoryMb: 1 } }, [
      'x'.repeat(5_000_000),
      'y',
    ]);
    expect([...large]).toEqual([[0, 'the value needs more memory than memoryMb allows']]);
  });

  test('results that together are too large are taken in halves', () => {
    const values = Array.from({ length: 100 }, (_, i) => String(i));
    const { out, failed } = run({ js: { code: 'v => v.padEnd(100000)', memoryMb: 4 } }, values);
    expect(failed.size).toBe(0);
    expect(out.map((value) => value?.trim())).toEqual(values);
  });

  test('tells why a value failed without the value', () => {
    const value = 'secret-4711';
    const codes = [
      'v => { throw new TypeError(v) }',
      'v => { throw v }',
      'v => { const e = new Error(v); throw Object.defineProperty(e, "name", { value: v }) }',
      'v => { throw { get name() { throw v } } }',
      'v => null[v]',
      'v => undefined',
      'v => ({ v })',
      'v => Symbol(v)',
    ];
    for (const code of codes) {
      const reason = run({ js: code }, [value]).failed.get(0);
      expect(reason).toMatch(/^the function (threw|returned) /);
      expect(reason).not.toContain('secret');
    }
  });

  test('results must fit the type', () => {
    expect(one({ js: 'v => 42' }, 'x', { type: type('int4') })).toBe('42');
    expect(one({ js: 'v => 2n ** 40n' }, 'x', { type: type('int8') })).toBe('1099511627776');
    expect(one({ js: 'v => true' }, 't', { type: type('bool') })).toBe('true');
    expect(one({ js: 'v => ({ a: [v] })' }, 'x', { type: type('json') })).toBe('{"a":["x"]}');
    const misfits = [
      run({ js: 'v => 1.5' }, ['1'], { type: type('int4') }),
      run({ js: 'v => 99999' }, ['1'], { type: type('int2') }),
      run({ js: 'v => v + v' }, ['secret'], { type: type('text', { maxLength: 10 }) }),
      run({ js: 'v => "infinity"' }, ['2024-01-01'], { type: type('date') }),
      run({ js: 'v => 0/0' }, ['1'], { type: type('numeric') }),
    ];
    for (const { out, failed } of misfits) {
      expect(out).toEqual([null]);
      expect(failed.get(0)).toMatch(/^the function's result does not fit: /);
      expect(failed.get(0)).not.toContain('secret');
    }
  });

  test('null empties a value where the column allows it', () => {
    expect(one({ js: 'v => null' }, 'x')).toBeNull();
    expect(
      run({ js: 'v => null' }, ['x'], { type: type('text', { nullable: false }) }).failed.get(0),
    ).toContain('NOT NULL');
  });

  test('code that is none is a mistake of the job file', () => {
    expect(() => spec({ js: 'value => {' })).toThrow(/js code: Unexpected token/);
    expect(() => spec({ js: { code: 'v => v', timeoutMs: 0 } })).toThrow(/timeoutMs/);
    expect(() => run({ js: '42' }, ['x'])).toThrow(/not a function/);
    expect(() => run({ js: 'nowhere.near' }, ['x'])).toThrow(/not defined/);
  });

  test('takes every type but arrays and unknown ones', () => {
    expect(accepts({ js: 'v => v' }, type('date'))).toBe(true);
    expect(accepts({ js: 'v => v' }, type('array'))).toMatch(/kept or emptied/);
    expect(proof({ js: 'v => v' })).toMatchObject({
      unique: 'no',
      mayEqualInput: true,
      keepsNull: false,
      total: true,
    });
    expect(proof({ js: 'v => v' }, type('text', { equality: 'caseless' })).total).toBe(false);
  });
});

test('what cannot be interrupted is given up with its interpreter, and a new one can be loaded', async () => {
  const settings = { timeoutMs: 1, memoryMb: 64, json: false, hash: (text: string) => text, patienceMs: 100 };
  const seeds = new Uint8Array(16);
  // Thousands of steps of the interpreter pass before it asks whether to go on, and each of these takes milliseconds.
  const code = 'v => { const s = "x".repeat(1e7); for (;;) v = s.padEnd(2e7).length; }';
  const stuck = createSandbox({ ...settings, code });
  const other = createSandbox({ ...settings, code: 'v => v' });
  expect(() => {
    for (let i = 0; i < 5; i++) stuck.run(['x'], seeds);
  }).toThrow(/did not end and could not be interrupted/);
  expect(() => other.run(['x'], seeds)).toThrow(/given up because of another/);
  expect(() => createSandbox({ ...settings, code })).toThrow(/await loadSandbox/);
  // A table asks for it by itself, also when `js` is nested.
  const column = {
    name: 'note',
    type: TEXT,
    domain: 'public.t.note',
    branches: [
      { rule: 'columns', apply: spec({ regexReplace: [{ pattern: 'a', apply: { js: 'v => v + v' } }] }) },
    ],
  };
  const table = await prepareTable({ columns: [column], key: [] }, jobKeys(new Uint8Array(32)));
  const chunk = { size: 1, column: () => ['banana'], condition: () => new Uint8Array(1) };
  expect(table.transform(chunk).columns).toEqual([['baanaanaa']]);
  expect(createSandbox({ ...settings, code: 'v => v' }).run(['x'], seeds)).toEqual([{ value: 'x' }]);
});

describe('an interpreter that is collected as garbage', () => {
  const settings = { timeoutMs: 100, memoryMb: 64, json: false, hash: (text: string) => text };
  const seeds = new Uint8Array(16);
  // What the registry of the garbage collector calls; when it does is chance.
  const collect = (sandbox: unknown) => (sandbox as { release(): void }).release();

  test('gives its memory back, and all others go on', () => {
    const other = createSandbox({ ...settings, code: 'v => v' });
    const cyclic = createSandbox({
      ...settings,
      code: '(() => { const a = {}; a.a = a; return v => v + typeof a; })()',
    });
    expect(cyclic.run(['x'], seeds)).toEqual([{ value: 'xobject' }]);
    collect(cyclic);
    collect(createSandbox({ ...settings, code: 'v => v' }));
    expect(other.run(['y'], seeds)).toEqual([{ value: 'y' }]);
    expect(createSandbox({ ...settings, code: 'v => v + v' }).run(['z'], seeds)).toEqual([{ value: 'zz' }]);
  });

  test('and aborts over it is given up without a throw, and a new one can be loaded', async () => {
    const other = createSandbox({ ...settings, code: 'v => v' });
    const leaking = createSandbox({ ...settings, code: 'v => v' });
    (leaking as unknown as { context: { newObject(): unknown } }).context.newObject();
    collect(leaking);
    expect(() => other.run(['x'], seeds)).toThrow(/given up because of another/);
    await loadSandbox();
    expect(() => other.run(['x'], seeds)).toThrow(/given up because of another/);
    expect(createSandbox({ ...settings, code: 'v => v' }).run(['x'], seeds)).toEqual([{ value: 'x' }]);
  });
});
