import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { signer } from '../../crypto/sign.js';
import { auditLedger } from '../../ledger/audit/audit.js';
import { type AuditFinding, Findings } from '../../ledger/audit/findings.js';
import { type RunReport, reportText } from '../../ledger/report.js';
import { auditRow } from '../../postgres/audit/row.js';
import { auditSample } from '../../postgres/audit/sample.js';
import { findEvidence, readEvidence, readLedgerOf } from '../../postgres/ledger/records.js';
import { openBounds } from '../../postgres/load/seals.js';
import { query } from '../../postgres/session.js';
import {
  ask,
  type Ends,
  failureOf,
  inside,
  jobFile,
  openEnds,
  openStage,
  runOf,
  type Stage,
} from './fixture.js';

const SCHEMA = `
CREATE TABLE public.person (id bigint PRIMARY KEY, email text NOT NULL, note text);
CREATE TABLE public.city (id int PRIMARY KEY, name text NOT NULL);`;

const ROWS = `
INSERT INTO public.person SELECT i, 'someone' || i || '@private.example', 'note ' || i FROM generate_series(1, 3000) i;
INSERT INTO public.city SELECT i, 'city ' || i FROM generate_series(1, 20) i;
ANALYZE public.person;`;

const RULES = `
unlisted: keep
batchRows: 200
evidence: row
onFailure: { quarantine: 10 }
tables:
  public.person:
    accept: [note_short]
    columns: { id: permute, email: email }
`;

let stage: Stage;
let ends: Ends;
/** A run that left two rows behind, and one that is complete. */
let failed = '';
let complete = '';

beforeAll(async () => {
  stage = await openStage();
  ends = await openEnds(18, undefined);
  await ask(ends.source, SCHEMA + ROWS);
  await ask(
    ends.destination,
    `${SCHEMA} ALTER TABLE public.person ADD CONSTRAINT note_short CHECK (length(note) < 20);`,
  );
  await ask(ends.source, `UPDATE public.person SET note = repeat('long ', 9) WHERE id IN (7, 1234)`);
  const first = await stage.start('crm', { file: jobFile(ends, RULES) });
  expect(await failureOf(first)).toMatchObject({ type: 'RowsQuarantined' });
  failed = await runOf(first);
  await ask(ends.source, `UPDATE public.person SET note = 'short' WHERE id IN (7, 1234)`);
  const second = await stage.start('crm', { file: jobFile(ends, RULES) });
  expect((await second.result()).verdict.ok).toBe(true);
  complete = await runOf(second);
});

afterAll(async () => {
  await stage?.stop();
  await ends?.drop();
});

/** What an audit says after an edit that nobody ever sees again. */
function findingsAfter(run: string, ...edits: string[]): Promise<AuditFinding[]> {
  return inside(ends.destination, async (session) => {
    await query(session, 'BEGIN');
    for (const edit of edits) await session.client.query(edit.replaceAll(':run', `'${run}'`));
    const keys = jobKeys(parseJobKey(ends.key));
    const findings = await auditLedger(await readLedgerOf(session, run), {
      trusted: { publicKey: keys.signing.publicKey },
      openBounds: (owner, sealed) => openBounds(keys, { run, ...owner }, sealed),
    });
    await query(session, 'ROLLBACK');
    return findings.list();
  });
}

describe('the ledger of a run', () => {
  it('fits its signature as it was left', async () => {
    expect(await findingsAfter(complete)).toEqual([]);
    expect(await findingsAfter(failed)).toEqual([]);
  });

  const where = `WHERE run = :run AND partition = (SELECT min(partition) FROM lethe.batch WHERE run = :run AND batch = 2) AND batch = 1`;
  const partition = where.slice(0, where.lastIndexOf(' AND batch'));
  const BATCH = /^Batch 1 of partition \d+/;

  it.each([
    ['rows', 'rows = rows - 1'],
    ['rows in quarantine', 'quarantined = 1'],
    ['bytes', 'bytes = bytes + 1'],
    ['rules', `rules = '{"columns": 1}'`],
    ['leaks', `leaks = '{"email": 3}'`],
    ['the source digest', `source_digest = output_digest`],
    ['the output digest', `output_digest = source_digest`],
    ['evidence', `evidence = overlay(evidence PLACING '\\x00'::bytea FROM 40)`],
    ['no evidence', 'evidence = NULL'],
    ['the snapshot', 'generation = generation + 1'],
    ['the table', 'table_id = table_id + 1'],
    ['the time', `committed_at = committed_at - interval '1 day'`],
    ['the link', 'chain = md5(chain) || md5(chain)'],
    ['no link', 'chain = NULL'],
    ['the state', `state = 'claimed'`],
    ['bounds', `bounds = (SELECT bounds FROM lethe.batch ${where.replace('batch = 1', 'batch = 0')})`],
  ])('that had a batch edited (%s) is found out, and the batch named', async (_, set) => {
    const found = await findingsAfter(complete, `UPDATE lethe.batch SET ${set} ${where}`);
    expect(
      found.some(({ kind, message }) => kind === 'mismatch' && BATCH.test(message)),
      JSON.stringify(found),
    ).toBe(true);
    expect(found.every(({ kind }) => kind === 'mismatch')).toBe(true);
  });

  it('that lost a batch in the middle says which', async () => {
    const found = await findingsAfter(complete, `DELETE FROM lethe.batch ${where}`);
    expect(messages(found)).toMatch(/Batch 1 of partition \d+ is missing/);
  });

  it('that lost its last batch says where, also when the head was set back', async () => {
    const last = `${partition} AND batch = (SELECT max(batch) FROM lethe.batch ${partition})`;
    const found = await findingsAfter(complete, `DELETE FROM lethe.batch ${last}`);
    expect(messages(found)).toMatch(/The head of partition \d+ is not the link of its last batch/);
    const hidden = await findingsAfter(
      complete,
      `DELETE FROM lethe.batch ${last}`,
      `UPDATE lethe.partition p SET head = (SELECT chain FROM lethe.batch b WHERE b.run = p.run AND b.partition = p.partition ORDER BY batch DESC LIMIT 1) ${partition.replaceAll('partition =', 'p.partition =').replace('run =', 'p.run =')}`,
    );
    expect(messages(hidden)).toMatch(
      /partitions of public.person are not those that were signed \(partition \d+/,
    );
    expect(messages(hidden)).toMatch(/batches of partition \d+ end before the partition does/);
    expect(messages(hidden)).toMatch(/public.person has \d+ rows by its batches, and 3000 were signed/);
  });

  it('that got a batch put in says which', async () => {
    const columns =
      'run, partition, table_id, state, bounds, generation, rows, quarantined, bytes, rules, leaks, source_digest, output_digest, chain, committed_at';
    const found = await findingsAfter(
      complete,
      `INSERT INTO lethe.batch (batch, ${columns}) SELECT 99, ${columns} FROM lethe.batch ${where}`,
    );
    expect(messages(found)).toMatch(/Batches \d+ to 98 of partition \d+ are missing/);
    expect(messages(found)).toMatch(/head of partition/);
  });

  it('that has the heads of two partitions swapped, or one gone, names them', async () => {
    const two = `SELECT min(partition) AS a, max(partition) AS b FROM lethe.partition WHERE run = :run AND table_id = (SELECT table_id FROM lethe.batch ${where})`;
    const swapped = await findingsAfter(
      complete,
      `WITH two AS (${two}) UPDATE lethe.partition p SET head = o.head FROM lethe.partition o, two
         WHERE p.run = :run AND o.run = :run AND (p.partition, o.partition) IN ((two.a, two.b), (two.b, two.a))`,
    );
    expect(messages(swapped).match(/The head of partition \d+ is not/g)).toHaveLength(2);
    const gone = await findingsAfter(
      complete,
      `DELETE FROM lethe.partition WHERE run = :run AND partition = (SELECT b FROM (${two}) two)`,
    );
    expect(messages(gone)).toMatch(/not those that were signed \(partition \d+/);
  });

  it.each([
    ['bounds', `bounds = md5(bounds)`, /sealed range of partition \d+ does not open/],
    ['done', `done = false`, /Partition \d+ is said to be unfinished/],
    ['head', `head = NULL`, /The head of partition/],
    ['generation', `generation = 9`, /partitions of public.person are not those that were signed/],
  ])('that had a partition edited (%s) names it', async (_, set, says) => {
    expect(messages(await findingsAfter(complete, `UPDATE lethe.partition SET ${set} ${partition}`))).toMatch(
      says,
    );
  });

  it.each([
    ['report', `report = jsonb_set(report, '{tables,0,rows}', '1')`, /The signature does not fit the report/],
    [
      'checks',
      `report = jsonb_set(report, '{checks,0,ok}', 'false')`,
      /The signature does not fit the report/,
    ],
    ['signature', `signature = 'AA=='`, /The signature does not fit the report/],
    ['no report', `report = NULL`, /signed report is missing/],
    ['state', `state = 'failed'`, /state is failed in the ledger, and complete was signed/],
    ['an open state', `state = 'loading'`, /state is loading in the ledger, and complete was signed/],
    ['job', `job = 'other'`, /This is run .* of job other, and something else/],
    ['mode', `mode = 'upsert'`, /mode is upsert/],
    ['start', `started_at = started_at - interval '1 day'`, /start is .* was signed/],
    ['job file', `pins = jsonb_set(pins, '{jobText}', '"x"')`, /What was pinned .* was changed afterwards/],
    ['run time', `pins = jsonb_set(pins, '{runTime}', '"2020-01-01T00:00:00Z"')`, /The run time is 2020/],
    [
      'a rule',
      `pins = jsonb_set(pins, '{plan,tables,1,columns,1,branches,0,apply,name}', '"keep"')`,
      /do not give the hash beside them/,
    ],
    ['the rule set', `pins = jsonb_set(pins, '{plan,ruleSet}', '"00"')`, /The rule set is 00/],
    [
      'a version',
      `pins = jsonb_set(pins, '{plan,versions,email}', '"0"')`,
      /email was 0 when the run started and is \d+ in this version/,
    ],
  ])('that had the run edited (%s) says what', async (_, set, says) => {
    expect(messages(await findingsAfter(complete, `UPDATE lethe.run SET ${set} WHERE run = :run`))).toMatch(
      says,
    );
  });

  it('signed anew with another key says so', async () => {
    const [row] = await ask(ends.destination, 'SELECT report FROM lethe.run WHERE run = $1', [complete]);
    const forged = { ...(JSON.parse(row!.report!) as RunReport), state: 'failed' as const };
    const other = signer(new Uint8Array(32));
    const found = await findingsAfter(
      complete,
      `UPDATE lethe.run SET state = 'failed', report = '${JSON.stringify(forged)}', signature = '${other.sign(reportText(forged))}', public_key = '${other.publicKey}' WHERE run = :run`,
    );
    expect(messages(found)).toMatch(/The public key beside the report is not that of the job key/);
  });

  it.each([
    [
      'row gone',
      `DELETE FROM lethe.quarantine WHERE run = :run AND id = (SELECT min(id) FROM lethe.quarantine)`,
    ],
    ['reason', `UPDATE lethe.quarantine SET message = 'fine' WHERE run = :run`],
    ['key', `UPDATE lethe.quarantine SET key = 'x' WHERE run = :run`],
    ['said to be replayed', `UPDATE lethe.quarantine SET replayed_at = now() WHERE run = :run`],
  ])('that had its quarantine edited (%s) says so', async (_, edit) => {
    expect(messages(await findingsAfter(failed, edit))).toMatch(/quarantine/);
  });
});

describe('the source, read again', () => {
  it('is as it was, and what was changed since is told apart', async () => {
    expect(await sampleOf(complete)).toEqual([]);
    await ask(ends.source, `UPDATE public.person SET note = repeat('long ', 9) WHERE id IN (7, 1234)`);
    expect(await sampleOf(failed)).toMatchObject([
      { kind: 'unchecked', message: expect.stringMatching(/^2 of the batches sent rows to quarantine/) },
    ]);
    await ask(ends.source, `UPDATE public.person SET note = 'short' WHERE id IN (7, 1234)`);
    await ask(ends.source, `UPDATE public.person SET email = 'changed@private.example' WHERE id = 42`);
    await ask(ends.source, `DELETE FROM public.person WHERE id = 43`);
    const found = await sampleOf(complete);
    expect(found.map(({ kind, table }) => [kind, table])).toEqual([['changed', 'public.person']]);
    expect(found[0]!.message).toMatch(
      /\d+ rows are as they were; changed or deleted since: 2; changed or put in since: 1\.$/,
    );
    expect(JSON.stringify(found)).not.toContain('private');
  });

  it('does not come out as a changed output digest says', async () => {
    const found = await sampleOf(
      complete,
      `UPDATE lethe.batch SET output_digest = md5(output_digest) || md5(chain) WHERE run = '${complete}' AND table_id = 1`,
    );
    expect(found.filter(({ kind }) => kind === 'mismatch')).toMatchObject([
      { table: 'public.city', message: expect.stringContaining('do not come out as the ledger says') },
    ]);
  });

  it('has a record that is what the run read, or is not', async () => {
    expect(await rowOf(complete, '41')).toMatchObject({ result: 'same', place: { row: expect.any(Number) } });
    expect(await rowOf(complete, '42')).toMatchObject({ result: 'different' });
    expect(await rowOf(complete, '43')).toMatchObject({ result: 'missing' });
    expect(await rowOf(failed, '7')).toMatchObject({
      result: 'different',
      quarantined: expect.stringContaining('note_short'),
    });
    await expect(rowOf(complete, '1', '2')).rejects.toMatchObject({ type: 'JobInvalid' });
    // A replay that kept no digests of single rows may have copied it.
    expect(await rowAfterReplay(complete, ['batch'], '41')).toMatchObject({ result: 'same' });
    await expect(rowAfterReplay(complete, ['batch'], '42')).rejects.toMatchObject({ type: 'JobInvalid' });
  });
});

function sampleOf(run: string, edit?: string): Promise<AuditFinding[]> {
  return inside(ends.destination, async (session) => {
    await query(session, 'BEGIN');
    if (edit) await session.client.query(edit);
    const ledger = await readLedgerOf(session, run);
    const batches = [];
    for await (const batch of ledger.batches) batches.push(batch);
    const findings = new Findings();
    await auditSample(
      {
        source: { options: { url: ends.source.url }, elsewhere: false },
        pins: ledger.segments.map(({ pins }) => pins),
        keys: jobKeys(parseJobKey(ends.key)),
        run,
        batches,
        evidence: ({ partition, batch }) => readEvidence(session, { run, partition, batch }),
      },
      findings,
    );
    await query(session, 'ROLLBACK');
    return findings.list();
  });
}

function rowOf(run: string, ...key: string[]) {
  return rowAfterReplay(run, [], ...key);
}

/** As `rowOf`, where replays of the run kept evidence by the job's then setting. */
function rowAfterReplay(run: string, evidence: readonly ('row' | 'batch')[], ...key: string[]) {
  return inside(ends.destination, async (session) => {
    const { segments, quarantine } = await readLedgerOf(session, run);
    const { pins } = segments[0]!;
    const { plan } = pins;
    const replays = evidence.map((kept) => ({
      ...pins,
      plan: { ...plan, execution: { ...plan.execution, evidence: kept } },
    }));
    return auditRow({
      source: { options: { url: ends.source.url }, elsewhere: false },
      ...{ pins: [pins, ...replays], run, quarantine, key },
      keys: jobKeys(parseJobKey(ends.key)),
      table: plan.tables.find(({ source }) => source.name === 'person')!,
      find: (table, digest) => findEvidence(session, run, table, digest),
    });
  });
}

function messages(found: readonly AuditFinding[]): string {
  return found.map(({ message }) => message).join('\n');
}
