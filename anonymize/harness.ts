/**
 * The part of the sandbox that runs inside it: a function of (factory of the user's function, keyed hash, whether
 * objects are JSON) that returns [load, run, results, the buffer that tells which value is at work].
 *
 * - Everything reachable from the globals is frozen before the user's function is made; `Math.random` is gone.
 * - `random()` is sfc32 (PractRand's small fast counting generator) seeded by the value's 16 keyed bytes.
 * - A result is a text, null, or [why there is none]; of an error only a built-in name is told, since its message may
 *   hold the value.
 */
export const HARNESS = `'use strict';
(factory, hash, json) => {
  const { parse, stringify } = JSON;
  const text = String;
  const names = ['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError',
    'InternalError', 'AggregateError'];
  delete Math.random;

  const seen = new Set();
  const harden = (value) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
    seen.add(value);
    Object.freeze(value);
    harden(Object.getPrototypeOf(value));
    for (const key of Reflect.ownKeys(value)) {
      const property = Object.getOwnPropertyDescriptor(value, key);
      harden(property.value);
      harden(property.get);
      harden(property.set);
    }
  };

  let values = [];
  let seeds = '';
  let out = [];
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const progress = new Uint32Array(1);

  const next = () => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t | 0;
    return (t >>> 0) / 4294967296;
  };
  let seeded = -1;
  const random = () => {
    if (seeded !== progress[0]) {
      seeded = progress[0];
      [a, b, c, d] = [0, 8, 16, 24].map((at) => parseInt(seeds.slice(seeded * 32 + at, seeded * 32 + at + 8), 16) | 0);
      for (let i = 0; i < 12; i++) next();
    }
    return next();
  };
  const make = factory(random, hash);

  for (const value of [globalThis, random, hash, make, (function* () {})(), (async () => {})(), /x/]) harden(value);
  if (typeof make() !== 'function') throw new TypeError('it is not a function');

  const outcome = (result) => {
    switch (typeof result) {
      case 'string':
        return result;
      case 'number':
      case 'boolean':
      case 'bigint':
        return text(result);
      case 'object':
        if (result === null) return null;
        if (json) return stringify(result);
    }
    return ['the function returned ' + (result === undefined ? 'nothing' : 'something that is no text, number or boolean')];
  };
  const name = (error) => {
    try {
      return names.includes(error.name) ? error.name : 'an error of its own';
    } catch {
      return 'an error of its own';
    }
  };
  const load = (list, all) => {
    values = parse(list);
    seeds = all;
    out = values.map(() => ['not run']);
    seeded = -1;
    return '';
  };
  const run = (from) => {
    for (let row = +from; row < values.length; row++) {
      progress[0] = row;
      try {
        out[row] = outcome(make()(values[row]));
      } catch (error) {
        out[row] = ['the function threw ' + name(error)];
      }
    }
    return '';
  };
  const results = () => {
    const list = stringify(out);
    values = out = [];
    return list;
  };
  return [load, run, results, progress.buffer];
}`;
