/* Writes job/job.schema.json, the JSON Schema of job files for editors, from the schema that the loader uses. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jobJsonSchema } from '../dist/job/jsonschema.js';

const file = fileURLToPath(new URL('../job/job.schema.json', import.meta.url));
writeFileSync(file, `${JSON.stringify(jobJsonSchema(), null, 2)}\n`);
