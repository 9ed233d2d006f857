import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineJob, renderJob } from '../../job/define.js';
import { jobJsonSchema } from '../../job/jsonschema.js';
import { parseJob } from '../../job/load.js';

const MINIMAL = `job: crm
source: { postgres: env:CRM_URL }
destination: { postgres: env:STAGING_URL }
key: env:LETHE_KEY
`;

/** `line:column message` of every mistake. */
function mistakes(text: string, env?: string): string[] {
  return parseJob(text, 'crm.yaml', { env }).mistakes.map(
    ({ position, message }) => `${position.line}:${position.column} ${message}`,
  );
}

function job(text: string, env?: string) {
  const parsed = parseJob(text, 'crm.yaml', { env });
  expect(parsed.mistakes).toEqual([]);
  return parsed.job!;
}

describe('a job file', () => {
  it('needs name, databases and key; everything else has a default', () => {
    expect(job(MINIMAL)).toMatchObject({
      job: 'crm',
      source: {
        url: 'env:CRM_URL',
        connections: 4,
        snapshot: { maxAgeSeconds: 21_600, maxPauseSeconds: 600 },
      },
      destination: { url: 'env:STAGING_URL', mode: 'replace', createSchema: false, deleteMissing: false },
      consistency: 'job',
      unlisted: 'block',
      include: ['*'],
      onFailure: { kind: 'quarantine', rows: 1000 },
      batchRows: 50_000,
    });
  });

  it('says how long a run waits for a replay, and what the ledger keeps', () => {
    const waiting = job(`${MINIMAL}onFailure: { quarantine: 0.5%, wait: 1h30m }\nledger: { keep: 400d }\n`);
    expect(waiting.onFailure).toEqual({ kind: 'quarantine', share: 0.005, waitSeconds: 5_400 });
    expect(waiting.ledger).toEqual({ keepSeconds: 34_560_000 });
    expect(job(`${MINIMAL}ledger: { keep: 50 }\n`).ledger).toEqual({ keepRuns: 50 });
    expect(job(MINIMAL).ledger).toEqual({});
    expect(mistakes(`${MINIMAL}onFailure: { wait: 4h }\nledger: { keep: long }\n`)).toEqual([
      expect.stringMatching(/^5:/),
      expect.stringMatching(/^6:/),
    ]);
    const documents = MINIMAL.replaceAll('postgres', 'mongodb');
    expect(job(`${documents}ledger: { keep: 50 }\n`).ledger).toEqual({ keepRuns: 50 });
  });

  it('may be written in JSON, or as an object', () => {
    const file = defineJob({
      job: 'crm',
      source: { postgres: 'env:CRM_URL' },
      destination: { postgres: 'env:STAGING_URL' },
      key: 'env:LETHE_KEY',
      tables: { 'public.customer': { columns: { id: 'keep', 'odd: name': null } } },
    });
    const fromJson = job(JSON.stringify(file));
    const fromObject = job(renderJob(file));
    expect(fromJson.tables['public.customer']?.columns['odd: name']?.spec.name).toBe('null');
    expect(Object.keys(fromObject.tables['public.customer']?.columns ?? {})).toEqual(['id', 'odd: name']);
  });

  it('reports every mistake at once, with its place and the nearest name', () => {
    const text = `job: CRM Staging
sorce: { postgres: env:CRM_URL }
destination: { postgres: "postgres://u:hunter2@h/db", mode: replcae, connections: many }
key: c2VjcmV0
schedule: { cron: "0 25 * * *", timezone: Europe/Berln }
include: ["public.[a"]
tables:
  customer: { colums: {} }
  public.order:
    columns: { id: kep, note: }
references: ["public.a.b_id > public.b.id"]
onFailure: { quarantine: 200% }
`;
    const found = mistakes(text);
    expect(found).toEqual([
      expect.stringMatching(/^1:1 source\.postgres is missing/),
      expect.stringMatching(/^1:6 "CRM Staging" is no job name/),
      expect.stringMatching(/^2:1 unknown key "sorce" \(did you mean "source"\?\)/),
      expect.stringMatching(/^3:26 a connection URL does not belong in a job file/),
      expect.stringMatching(/^3:61 expected replace or upsert, found "replcae" \(did you mean "replace"\?\)/),
      expect.stringMatching(/^3:83 expected a number, found "many"/),
      expect.stringMatching(/^4:6 a value does not belong in a job file/),
      expect.stringMatching(/^5:19 cron field "hour": "25"/),
      expect.stringMatching(/^5:43 "Europe\/Berln" is no time zone/),
      expect.stringMatching(/^6:11 "public\.\[a" is no valid pattern/),
      expect.stringMatching(/^8:3 "customer" does not name its schema: write e\.g\. public\.customer/),
      expect.stringMatching(/^8:15 unknown key "colums" \(did you mean "columns"\?\)/),
      expect.stringMatching(/^10:20 unknown transformer "kep"; did you mean "keep"\?/),
      expect.stringMatching(/^10:25 nothing is decided here/),
      expect.stringMatching(/^11:14 "public\.a\.b_id > public\.b\.id" is no reference/),
      expect.stringMatching(/^12:26 "200%" is no share/),
    ]);
    expect(found.join('\n')).not.toMatch(/hunter2|c2VjcmV0/);
  });

  it('refuses what YAML would let pass: doubles, huge numbers, alias bombs, no map', () => {
    expect(mistakes(`${MINIMAL}key: env:OTHER\n`)).toEqual(['5:1 this key stands here twice: keep one']);
    expect(mistakes(`${MINIMAL}batchRows: 9007199254740993\n`)).toContainEqual(
      expect.stringMatching(/^5:12 this number is too large/),
    );
    expect(mistakes('- a\n- b\n')).toEqual(['1:1 a job file is a map that begins with "job: NAME"']);
    expect(mistakes('job: [a\nkey: b\n')).toEqual([expect.stringMatching(/the file is no valid YAML/)]);
    const bomb = Array.from(
      { length: 9 },
      (_, i) => `  a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`)}]`,
    ).join('\n');
    expect(mistakes(`${MINIMAL}x:\n  a0: &a0 [1]\n${bomb}\n`)).toEqual([
      expect.stringMatching(/aliases of this file unfold too far/),
    ]);
  });

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.string().map((s) => MINIMAL + s),
        ),
        (text) => {
          const parsed = parseJob(text, 'x.yaml');
          expect(parsed.job === undefined).toBe(parsed.mistakes.length > 0);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('rules', () => {
  const withRules = (rules: string) => `${MINIMAL}rules:\n${rules}`;

  it('apply one transformer to matching columns, or one to each named column', () => {
    const { rules } = job(
      withRules(`  - { name: all, match: { column: "*mail*", type: text }, apply: keep }
  - { name: staff, match: { table: public.staff }, when: "country = 'DE'", apply: { a: keep, b: null }, otherwise: keep }
`),
    );
    expect(rules[0]?.apply).toEqual({ kind: 'all', spec: { name: 'keep', options: {} } });
    expect(rules[1]?.apply).toMatchObject({
      kind: 'columns',
      columns: { a: { name: 'keep' }, b: { name: 'null' } },
    });
    expect(rules[1]?.otherwise).toMatchObject({ kind: 'all' });
  });

  it('are refused when they match nothing in particular, bear a taken name, or leave columns over', () => {
    expect(
      mistakes(
        withRules(`  - { name: a, match: { type: text }, apply: keep }
  - { name: a, match: { table: x.* }, when: "true", apply: { p: keep, q: keep }, otherwise: { p: keep, r: keep } }
  - { name: columns, match: { table: x.* }, apply: keep, otherwise: keep }
  - { name: c, match: { table: x.* } }
`),
      ),
    ).toEqual([
      expect.stringMatching(/^6:16 match names neither table nor column/),
      expect.stringMatching(/^7:13 rule "a" stands in line 6 already/),
      expect.stringMatching(/^7:82 otherwise leaves out q/),
      expect.stringMatching(/^7:104 apply has no column "r"/),
      expect.stringMatching(/^8:13 "columns" is a name that Lethe uses itself/),
      expect.stringMatching(/^8:58 otherwise needs a `when`/),
      expect.stringMatching(/^9:5 apply is missing/),
    ]);
  });
});

describe('environments', () => {
  const text = `job: crm
source: { postgres: env:CRM_URL, limits: { connections: 2 } }
destination: { postgres: env:STAGING_URL, schemas: { public: app } }
key: env:LETHE_KEY
environments:
  staging:
    destination: { postgres: env:OTHER_URL }
    schedule: { cron: "@daily" }
  broken:
    destination: { postgres: env:CRM_URL }
`;

  it('lay connections, key and schedule over the file', () => {
    expect(job(text, 'staging')).toMatchObject({
      source: { url: 'env:CRM_URL', connections: 2 },
      destination: { url: 'env:OTHER_URL', schemas: { public: 'app' } },
      schedule: { cron: '@daily', timezone: 'UTC' },
    });
    expect(job(text).schedule).toBeUndefined();
  });

  it('are pinned as applied', () => {
    const pinned = parseJob(text, 'crm.yaml', { env: 'staging' });
    expect(pinned.text).not.toContain('environments');
    expect(job(pinned.text!)).toMatchObject({ destination: { url: 'env:OTHER_URL' } });
  });

  it('have their own places in mistakes, and names that must exist', () => {
    expect(mistakes(text, 'broken')).toEqual([
      expect.stringMatching(/^10:30 source and destination are one and the same/),
    ]);
    expect(mistakes(text, 'stagin')).toEqual([
      '5:1 there is no environment "stagin" (did you mean "staging"?)',
    ]);
    expect(mistakes(MINIMAL, 'staging')).toEqual([expect.stringMatching(/this file has no environments/)]);
  });
});

describe('the JSON Schema for editors', () => {
  it('is the one of this version (node scripts/schema.mjs writes it)', () => {
    const written = JSON.parse(readFileSync(new URL('../../job/job.schema.json', import.meta.url), 'utf8'));
    expect(written).toEqual(JSON.parse(JSON.stringify(jobJsonSchema())));
  });
});

describe('the reference page', () => {
  it('shows a job file without mistakes', () => {
    const page = readFileSync(new URL('../../docs/job-file.md', import.meta.url), 'utf8');
    const example = /```yaml\n(# yaml-language-server[\s\S]*?)```/.exec(page)?.[1] ?? '';
    expect(Object.keys(job(example).tables)).toHaveLength(3);
    expect(job(example, 'nightly').key).toBe('env:NIGHTLY_KEY');
  });

  it('names every key of the file', () => {
    const page = readFileSync(new URL('../../docs/job-file.md', import.meta.url), 'utf8');
    const schema = JSON.parse(JSON.stringify(jobJsonSchema())) as { properties: Record<string, unknown> };
    const tables = schema.properties.tables as { additionalProperties: { properties: object } };
    for (const key of [
      ...Object.keys(schema.properties),
      ...Object.keys(tables.additionalProperties.properties),
    ]) {
      expect(page).toMatch(new RegExp(`\`(\\w+\\.)?${key}\\b`));
    }
  });
});
