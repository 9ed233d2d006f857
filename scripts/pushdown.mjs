/*
 * Writes mongo/pushdown/library.json: the modules that transformers are made of, as CommonJS of 2020, for functions that
 * a MongoDB server runs. `mongo/pushdown/library.ts` puts those together that one transformer needs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path/posix';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { getCountries, getCountryCallingCode } from 'libphonenumber-js/min';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'mongo/pushdown/library.json');

/** Transformers that are a function of one value and run without Node. */
const TRANSFORMERS = [
  ...[
    'city',
    'company',
    'creditCard',
    'dateTruncate',
    'email',
    'firstName',
    'fullName',
    'hash',
    'iban',
    'ip',
  ],
  ...['lastName', 'mask', 'noise', 'permute', 'phone', 'pick', 'postalCode', 'range', 'scramble', 'street'],
  ...['url', 'username', 'uuid'],
];

/** What is not taken from the sources: written in `library.ts`, or stood in for by a module of `runtime/`. */
const STAND_INS = {
  'node:crypto': 'mongo/pushdown/runtime/crypto',
  'anonymize/countries': 'countries',
  zod: 'zod',
  'errors/errors': 'errors',
  'anonymize/lists/index': 'lists',
};

function transpile(id) {
  const { outputText } = ts.transpileModule(readFileSync(join(root, `${id}.ts`), 'utf8'), {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2020,
      removeComments: true,
      verbatimModuleSyntax: false,
    },
  });
  return outputText.replaceAll(/require\("([^"]+)"\)/g, (_, path) => {
    const named = path.startsWith('.') ? normalize(join(dirname(id), path)).replace(/\.js$/, '') : path;
    return `require("${STAND_INS[named] ?? named}")`;
  });
}

/** All modules by their path, and the calling codes of the countries, which `phone` takes from a package. */
export function library() {
  const modules = {};
  const add = (id) => {
    if (id in modules || ['countries', 'zod', 'errors', 'lists'].includes(id)) return;
    modules[id] = transpile(id);
    for (const [, next] of modules[id].matchAll(/require\("([^"]+)"\)/g)) add(next);
  };
  for (const name of TRANSFORMERS) add(`anonymize/transformers/${name}`);
  add('mongo/pushdown/runtime/server');
  add('mongo/pushdown/runtime/user');
  const sorted = Object.fromEntries(Object.entries(modules).sort(([a], [b]) => (a < b ? -1 : 1)));
  const countries = Object.fromEntries(
    getCountries().map((country) => [country, getCountryCallingCode(country)]),
  );
  return `${JSON.stringify({ modules: sorted, countries }, null, 1)}\n`;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  writeFileSync(target, library());
