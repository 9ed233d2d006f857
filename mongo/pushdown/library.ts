import { readFileSync } from 'node:fs';
import type { ColumnType } from '../../anonymize/transformer.js';
import { valueList } from '../../anonymize/value-lists.js';
import { portableClasses } from './classes.js';

/** Transformers by name to the module that defines them; made by `scripts/pushdown.mjs`. */
interface Library {
  readonly modules: Readonly<Record<string, string>>;
  /** Country to calling code. */
  readonly countries: Readonly<Record<string, string>>;
}

let loaded: Library | undefined;

function library(): Library {
  loaded ??= JSON.parse(readFileSync(new URL('./library.json', import.meta.url), 'utf8')) as Library;
  return loaded;
}

const SERVER = 'mongo/pushdown/runtime/server';
const USER = 'mongo/pushdown/runtime/user';
const BYTES = 'mongo/pushdown/runtime/bytes';

/** Whether a transformer's source is in the library. */
export function hasSource(name: string): boolean {
  return `anonymize/transformers/${name}` in library().modules;
}

export interface ServerFunction {
  readonly name: string;
  /** After defaults. */
  readonly options: unknown;
  readonly type: ColumnType;
  /** Value lists that it draws from. */
  readonly lists: readonly string[];
  /** Key of the domain, hex; absent where it needs none. */
  readonly key?: string;
}

/**
 * The text of a function of one value that does on a server what a transformer does in a worker, from the same source.
 * What it is made of is built when it is first called, and kept by the function itself.
 */
export function functionText({ name, options, type, lists, key }: ServerFunction): string {
  const id = `anonymize/transformers/${name}`;
  const given = JSON.stringify({ options, type, ...(key !== undefined && { key }) });
  const make = `require(${JSON.stringify(SERVER)}).onServer(require(${JSON.stringify(id)})[${JSON.stringify(name)}], ${given})`;
  return wrap([id, SERVER], lists, make);
}

/** The same of a function of the job file; `key` where it calls `random` or `hash`. */
export function userFunctionText(code: string, key?: string): string {
  // What the sandbox of a worker does not have either.
  const hidden = 'Date, Math, db, print, printjson, version, load, sleep, quit, exit, assert';
  const math = `(function () { var m = {}; Object.getOwnPropertyNames(Math).forEach(function (n) { if (n !== 'random') m[n] = Math[n]; }); return Object.freeze(m); })()`;
  const factory = `function (random, hash) { return (function (${hidden}) { 'use strict'; return (${code}\n); })(undefined, ${math}); }`;
  return wrap(
    [USER],
    [],
    `require(${JSON.stringify(USER)}).ofUser(${factory}, ${key === undefined ? 'undefined' : JSON.stringify(key)})`,
  );
}

function wrap(entries: readonly string[], lists: readonly string[], make: string): string {
  const modules = closure([...entries, BYTES]).map(
    (id) =>
      `${JSON.stringify(id)}: function (exports, require, Buffer) {${portableClasses(source(id, lists))}\n}`,
  );
  return `function lethe(value) {
  if (!lethe.run) lethe.run = (function () {
    var made = {}, modules = {${modules.join(',\n')}};
    function require(id) {
      if (!made[id]) {
        made[id] = {};
        modules[id](made[id], require, id === ${JSON.stringify(BYTES)} ? undefined : require(${JSON.stringify(BYTES)}).Buffer);
      }
      return made[id];
    }
    return ${make};
  })();
  return lethe.run(value);
}`;
}

/** Modules that others need, each once. */
function closure(entries: readonly string[]): string[] {
  const found = new Set<string>();
  const add = (id: string) => {
    if (found.has(id)) return;
    found.add(id);
    for (const [, next] of (library().modules[id] ?? '').matchAll(/require\("([^"]+)"\)/g)) add(next!);
  };
  for (const id of entries) add(id);
  return [...found];
}

function source(id: string, lists: readonly string[]): string {
  switch (id) {
    case 'zod':
      // Options were read in the worker: a thing that answers everything with itself.
      return 'var any = new Proxy(function () {}, { get: function () { return any; }, apply: function () { return any; } }); exports.z = any;';
    case 'errors':
      return 'exports.LetheError = Error;';
    case 'countries':
      return `var codes = ${JSON.stringify(library().countries)}; exports.getCountries = function () { return Object.keys(codes); }; exports.getCountryCallingCode = function (c) { return codes[c]; };`;
    case 'lists':
      return `exports.LISTS = ${JSON.stringify(Object.fromEntries(lists.map((name) => [name, valueList(name).join('\n')])))};`;
    default:
      return library().modules[id]!;
  }
}
