// Writes the value lists of anonymize/lists from the data of @faker-js/faker (MIT), and their index. A released list
// never changes: outputs depend on it, so an existing file is left alone. To refresh one, raise its version here and let
// its transformers default to the new one.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { en } from '@faker-js/faker';

const folder = new URL('../anonymize/lists/', import.meta.url);
const MOST = 4000;
/** Words that stand in user names and addresses. */
const plain = (words) => words.filter((word) => /^[a-z]{3,9}$/.test(word));

const LISTS = {
  'adjective.v1': plain(en.word.adjective),
  'city.v1': en.location.city_name,
  'firstName.v1': Object.values(en.person.first_name).flat(),
  'lastName.v1': Object.values(en.person.last_name).flat(),
  'noun.v1': plain(en.word.noun),
  'street.v1': en.location.street_name,
};

for (const [name, entries] of Object.entries(LISTS)) {
  const file = new URL(`${name}.ts`, folder);
  if (existsSync(file)) continue;
  const kept = [...new Set(entries)].filter((entry) => /^\p{L}[\p{L}\d' .-]*$|^\d+\p{L}/u.test(entry)).sort();
  if (kept.length > MOST)
    throw new Error(`${name} has ${kept.length} entries, more than ${MOST}: take a part of them`);
  writeFileSync(
    file,
    `// From @faker-js/faker (MIT). Never changes.\nexport default \`${kept.join('\n')}\`;\n`,
  );
}

const names = readdirSync(folder)
  .filter((file) => /\.v\d+\.ts$/.test(file))
  .map((file) => file.slice(0, -3))
  .sort();
const imports = names.map((name) => `import ${name.replace('.', '')} from './${name}.js';\n`).join('');
const entries = names.map((name) => `  '${name}': ${name.replace('.', '')},\n`).join('');
writeFileSync(
  new URL('index.ts', folder),
  `// Written by scripts/lists.mjs.\n${imports}\n/** Every value list with its version: one entry a line. */\n` +
    `export const LISTS: Readonly<Record<string, string>> = {\n${entries}};\n`,
);
