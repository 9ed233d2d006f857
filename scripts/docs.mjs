/* Writes the reference part of docs/transformers.md from the transformers as built: `npm run build` first. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { transformerReference } from '../dist/anonymize/docs.js';
import { loadSandbox } from '../dist/anonymize/sandbox.js';

const file = fileURLToPath(new URL('../docs/transformers.md', import.meta.url));
const MARK = '<!-- written by scripts/docs.mjs from here on -->\n';

await loadSandbox();
const [intro] = readFileSync(file, 'utf8').split(MARK);
writeFileSync(file, `${intro}${MARK}\n${transformerReference()}`);
