/* Writes the JSON Schemas of job and retention files, for editors, from the schemas that the loaders use. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jobJsonSchema } from '../dist/job/jsonschema.js';
import { retentionJsonSchema } from '../dist/job/retention/jsonschema.js';

function write(file, schema) {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
  writeFileSync(path, `${JSON.stringify(schema, null, 2)}\n`);
}

write('job/job.schema.json', jobJsonSchema());
write('job/retention/retention.schema.json', retentionJsonSchema());
