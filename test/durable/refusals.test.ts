import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { query, withSession } from '../../postgres/session.js';
import { progressOf, type SyncHandle } from '../../workers/runs.js';
import { postgresUrl } from '../harness/servers.js';
import { type Ends, openEnds, openStage, type Stage } from './fixture.js';

const TABLES = `
CREATE TABLE public.person (id bigint PRIMARY KEY, email text NOT NULL, age integer, country text);
CREATE TABLE public.pet (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES public.person, name text);`;
const ROWS = `
INSERT INTO public.person SELECT i, 'zq' || md5(i::text) || '@zq.example', i % 90, 'DE' FROM generate_series(1, 300) i;
INSERT INTO public.pet SELECT i, i, 'Pet ' || i FROM generate_series(1, 200) i;`;

const COLUMNS = {
  person: 'id: permute, email: email, age: keep, country: keep',
  pet: 'id: keep, name: firstName',
};

let folder: string;
let stage: Stage;
let full: string;
let empty: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lethe-refusals-'));
  full = join(folder, 'full.sql');
  empty = join(folder, 'empty.sql');
  writeFileSync(full, TABLES + ROWS);
  writeFileSync(empty, TABLES);
  stage = await openStage({ jobsFolder: folder });
});
afterAll(async () => {
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface JobParts {
  readonly source?: string;
  readonly destination?: string;
  readonly key?: string;
  readonly person?: string;
  readonly pet?: string;
  readonly more?: string;
}

function jobText({ references }: Ends, parts: JobParts = {}): string {
  return `job: refusals
source: { postgres: "${parts.source ?? references.source}" }
destination: { postgres: "${parts.destination ?? references.destination}", mode: replace }
key: "${parts.key ?? references.key}"
unlisted: block
tables:
  public.person: { columns: { ${parts.person ?? COLUMNS.person} } }
  public.pet: { columns: { ${parts.pet ?? COLUMNS.pet} } }
${parts.more ?? ''}`;
}

function start(...args: unknown[]): Promise<SyncHandle> {
  const workflowId = `sync:refusals:${randomUUID()}`;
  return stage.client.workflow.start('syncJob', { taskQueue: stage.taskQueue, workflowId, args });
}

const startText = (text: string) => start({ file: { name: 'refusals.yaml', text } });

interface Failure {
  readonly type: string;
  readonly message: string;
}

async function failureOf(handle: SyncHandle): Promise<Failure> {
  const error = await handle.result().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WorkflowFailedError)) throw error ?? new Error('The run did not fail.');
  if (!(error.cause instanceof ApplicationFailure)) throw error.cause;
  return { type: error.cause.type ?? '', message: error.cause.message };
}

function ask(url: string, sql: string): Promise<Record<string, string | null>[]> {
  return withSession({ url, role: 'destination', applicationName: 'test' }, (session) => query(session, sql));
}

async function until<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A run that has opened its destination and moves no row until `resume`. */
async function startPaused(ends: Ends, text: string): Promise<SyncHandle> {
  const handle = await startText(text);
  await handle.signal('pause');
  await until('the run has opened its destination', async () => {
    if ((await handle.describe()).status.name !== 'RUNNING') await handle.result();
    if ((await progressOf(handle))?.phase !== 'loading') return false;
    const runs = await ask(ends.destination.url, `SELECT FROM lethe.run WHERE state = 'loading'`);
    return runs.length > 0;
  });
  return handle;
}

const counts = (url: string) =>
  ask(
    url,
    `SELECT (SELECT count(*) FROM public.person) AS person, (SELECT count(*) FROM public.pet) AS pet,
            to_regnamespace('lethe') IS NOT NULL AS lethe`,
  );
const UNTOUCHED = [{ person: '0', pet: '0', lethe: 'f' }];
const LOADED = [{ person: '300', pet: '200', lethe: 't' }];

describe('the input of syncJob', () => {
  it('says what it looks like when there is none, and which jobs there are', async () => {
    writeFileSync(join(folder, 'shop.yaml'), 'job: shop\n');
    writeFileSync(join(folder, 'staff.yaml'), 'job: staff\n');
    for (const args of [[], [{}]]) {
      const { type, message } = await failureOf(await start(...args));
      expect(type).toBe('JobInvalid');
      expect(message).toContain('Start syncJob with {"job": "shop"}. Known jobs: shop, staff.');
    }
    const unknown = await failureOf(await start({ job: 'stuff' }));
    expect(unknown.type).toBe('UnknownJob');
    expect(unknown.message).toMatch(/no job "stuff".*staff/);
    const far = await failureOf(await start({ job: 'nothing-like-it' }));
    expect(far.message).toMatch(/shop.*staff/);
    rmSync(join(folder, 'shop.yaml'));
    rmSync(join(folder, 'staff.yaml'));
  });

  it('is refused with every mistake at once', async () => {
    for (const wrong of [['shop'], 'shop', 7]) {
      const { type, message } = await failureOf(await start(wrong));
      expect(type).toBe('JobInvalid');
      expect(message).toContain('one JSON object such as {"job": "crm-staging"}');
    }
    const { type, message } = await failureOf(await start({ jobb: 'a', env: 3, file: 'b', later: true }));
    expect(type).toBe('JobInvalid');
    for (const part of ['"jobb"', '"later"', '"env" must be a string', '"file" must be'])
      expect(message).toContain(part);
  });

  it('may be a job file, of which every mistake is told with its place', async () => {
    const text = `job: Shop
source: { postgres: env:CRM_URL, limit: 4 }
destination: { postgres: postgres://zq:zqpassword@localhost/x, mode: replac }
key: env:LETHE_KEY
tables:
  public.person: { columns: { email: emial } }`;
    const { type, message } = await failureOf(await startText(text));
    expect(type).toBe('JobInvalid');
    for (const part of [':1:', ':2:', ':3:', ':6:', 'limits', 'replace', 'email'])
      expect(message).toContain(part);
    expect(message).not.toContain('zqpassword');
  });
});

describe('what a run is pointed at', () => {
  let ends: Ends;
  const names: string[] = [];
  beforeEach(async () => {
    ends = await openEnds(18, full, empty);
  });
  afterEach(async () => {
    for (const name of names.splice(0)) delete process.env[name];
    await ends.drop();
  });

  /** A reference that gives this text here. */
  function reference(value: string): string {
    const name = `REFUSALS_${randomUUID().replaceAll('-', '')}`;
    process.env[name] = value;
    names.push(name);
    return `env:${name}`;
  }

  function urlWith(url: string, change: (url: URL) => void): string {
    const changed = new URL(url);
    change(changed);
    return reference(changed.href);
  }

  async function refused(parts: JobParts, type: string, ...says: RegExp[]): Promise<void> {
    const failure = await failureOf(await startText(jobText(ends, parts)));
    expect(failure).toMatchObject({ type });
    for (const text of says) expect(failure.message).toMatch(text);
    expect(await counts(ends.destination.url)).toEqual(UNTOUCHED);
    expect(await counts(ends.source.url)).toMatchObject([{ person: '300', pet: '200', lethe: 'f' }]);
  }

  it('cannot be reached', async () => {
    const nobody = urlWith(ends.source.url, (url) => {
      url.port = '1';
    });
    await refused({ source: nobody }, 'Unreachable', /cannot be reached/);
  });

  it('refuses the password', async () => {
    const wrong = (url: string) =>
      urlWith(url, (one) => {
        one.password = 'zqwrong';
      });
    await refused({ source: wrong(ends.source.url) }, 'AuthenticationFailed', /check user, password/);
    await refused({ destination: wrong(ends.destination.url) }, 'AuthenticationFailed', /password/);
  });

  it('is no database', async () => {
    const missing = urlWith(ends.source.url, (url) => {
      url.pathname = '/zq_not_there';
    });
    await refused({ source: missing }, 'ObjectMissing', /database does not exist; check its name/);
  });

  it('lacks the table or the column of a rule, or gets a transformer of another type', async () => {
    await refused(
      {
        person: 'id: permute, emial: email, age: email, country: keep',
        more: '  public.pets: { columns: { id: keep } }\n',
      },
      'PlanRefused',
      /refusals\.yaml:\d+:\d+:.*public\.pets/,
      /emial.*email/,
      /age.*(int4|integer)/,
      /person\.email/,
    );
  });

  it('lacks a table in the destination', async () => {
    await ask(ends.destination.url, 'ALTER TABLE public.pet RENAME TO other');
    const { type, message } = await failureOf(await startText(jobText(ends)));
    expect(type).toBe('PlanRefused');
    expect(message).toMatch(/public\.pet.*(not|no)/);
    expect(await ask(ends.destination.url, `SELECT to_regnamespace('lethe') IS NULL AS clean`)).toEqual([
      { clean: 't' },
    ]);
  });

  it('is no key', async () => {
    await refused({ key: 'env:ZQ_NOT_SET' }, 'ReferenceUnresolved', /env:ZQ_NOT_SET.*Set ZQ_NOT_SET/);
    const short = randomBytes(16).toString('base64');
    const failure = await failureOf(await startText(jobText(ends, { key: reference(short) })));
    expect(failure.message).not.toContain(short);
    expect(failure.message).toMatch(/32 bytes/);
  });

  it('is one database twice', async () => {
    const destination = reference(ends.source.url);
    await refused({ destination }, 'DestinationIsSource', /same database.*another database/);
    await refused({ destination: ends.references.source }, 'JobInvalid', /source/);
  });

  it('is swapped', async () => {
    const { source, destination } = ends.references;
    const swapped = { source: destination, destination: source };
    await refused(
      swapped,
      'DestinationUnclaimed',
      /public\.(person|pet)/,
      /Nothing was written/,
      /lethe claim/,
    );
    writeFileSync(join(folder, 'reader.yaml'), jobText(ends).replace('job: refusals', 'job: reader'));
    await refused(swapped, 'DestinationIsSource', /source of job reader/);
    rmSync(join(folder, 'reader.yaml'));
  });

  it('is a copy of a claimed destination, or holds rows that nobody gave away', async () => {
    expect((await (await startText(jobText(ends))).result()).verdict.ok).toBe(true);
    expect(await counts(ends.destination.url)).toEqual(LOADED);
    const clone = `clone_${randomBytes(6).toString('hex')}`;
    const admin = await postgresUrl(18);
    await ask(admin, `CREATE DATABASE ${clone} TEMPLATE ${ends.destination.name}`);
    const url = new URL(ends.destination.url);
    url.pathname = `/${clone}`;
    try {
      const rows = 'SELECT md5(string_agg(p::text, $$$$ ORDER BY id)) AS rows FROM public.person p';
      const before = await ask(url.href, rows);
      const destination = reference(url.href);
      const copied = await failureOf(await startText(jobText(ends, { destination })));
      expect(copied.type).toBe('DestinationUnclaimed');
      expect(copied.message).toMatch(/a copy of a database that job refusals claimed.*lethe claim/);
      await ask(url.href, 'DROP SCHEMA lethe CASCADE');
      const filled = await failureOf(await startText(jobText(ends, { destination })));
      expect(filled.type).toBe('DestinationUnclaimed');
      expect(filled.message).toMatch(/never claimed.*lethe claim/);
      expect(await ask(url.href, rows)).toEqual(before);
    } finally {
      await ask(admin, `DROP DATABASE ${clone} WITH (FORCE)`);
    }
  });

  it('shows only some rows to the role', async () => {
    const role = `some_${randomBytes(6).toString('hex')}`;
    const { url } = ends.source;
    await ask(url, `CREATE ROLE ${role} LOGIN PASSWORD 'some'`);
    await ask(url, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`);
    await ask(url, 'ALTER TABLE public.person ENABLE ROW LEVEL SECURITY');
    await ask(url, 'CREATE POLICY a_part ON public.person USING (id % 10 < 3)');
    const source = urlWith(url, (one) => {
      one.username = role;
      one.password = 'some';
    });
    await ask(ends.destination.url, `INSERT INTO public.person VALUES (1, 'a@b.example')`);
    try {
      const { type, message } = await failureOf(await startText(jobText(ends, { source })));
      expect(type).toBe('PermissionDenied');
      expect(message).toMatch(/Row-level security hides rows of public\.person/);
      await ask(url, `REVOKE SELECT ON public.person, public.pet FROM ${role}`);
      const denied = await failureOf(await startText(jobText(ends, { source })));
      expect(denied.message).toMatch(/No right to read public\.person, public\.pet\..*lethe grants/);
      expect(await counts(ends.destination.url)).toMatchObject([{ person: '1' }]);
    } finally {
      await ask(ends.destination.url, 'TRUNCATE public.person CASCADE');
      await ask(url, `DROP OWNED BY ${role}`);
      await ask(url, `DROP ROLE ${role}`);
    }
  });

  it('changes its schema under the run', async () => {
    const handle = await startPaused(ends, jobText(ends));
    await ask(ends.source.url, 'ALTER TABLE public.person ALTER age TYPE bigint');
    await handle.signal('resume');
    const { type, message } = await failureOf(handle);
    expect(type).toBe('SourceChanged');
    expect(message).toMatch(/public\.person/);
    expect(await counts(ends.destination.url)).toMatchObject([{ person: '0' }]);
    const guards = `SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated AND connamespace = 'public'::regnamespace`;
    expect(await ask(ends.destination.url, guards)).toEqual([{ conname: 'pet_person_id_fkey' }]);
  });

  it('is written by another run, which is named or waited for', async () => {
    const first = await startPaused(ends, jobText(ends));
    const [{ run } = {}] = await ask(ends.destination.url, 'SELECT run FROM lethe.run');
    const { type, message } = await failureOf(await startText(jobText(ends)));
    expect(type).toBe('DestinationBusy');
    expect(message).toContain(`Run ${run}`);
    expect(message).toContain(first.workflowId);
    const patient = await startText(jobText(ends, { more: 'whenBusy: wait' }));
    await until('the second run waits', async () => {
      const { raw } = await patient.describe();
      return raw.pendingActivities?.some((activity) => activity.activityType?.name === 'openDestination');
    });
    await first.signal('resume');
    expect((await first.result()).verdict.ok).toBe(true);
    expect((await patient.result()).verdict.ok).toBe(true);
    expect(await counts(ends.destination.url)).toEqual(LOADED);
    const ended = await ask(
      ends.destination.url,
      'SELECT state, count(*) AS n FROM lethe.run GROUP BY 1 ORDER BY 1',
    );
    expect(ended).toEqual([
      { state: 'complete', n: '2' },
      { state: 'failed', n: '1' },
    ]);
  });

  it('is another key or database than the run pinned, until a worker fits again', async () => {
    const keyFile = join(folder, 'key');
    const sourceFile = join(folder, 'source');
    writeFileSync(keyFile, ends.key);
    writeFileSync(sourceFile, ends.source.url);
    const text = jobText(ends, { key: `file:${keyFile}`, source: `file:${sourceFile}` });
    const handle = await startPaused(ends, text);
    const other = randomBytes(32).toString('base64');
    writeFileSync(keyFile, other);
    await handle.signal('resume');
    const wrongKey = await trouble(handle, /job key/);
    expect(wrongKey.type).toBe('PinMismatch');
    expect(wrongKey.message).not.toContain(other);
    expect(await counts(ends.destination.url)).toMatchObject([{ person: '0', pet: '0' }]);
    writeFileSync(sourceFile, await postgresUrl(18));
    writeFileSync(keyFile, ends.key);
    const wrongSource = await trouble(handle, /source reference leads to another database/);
    expect(wrongSource.type).toBe('PinMismatch');
    writeFileSync(sourceFile, ends.source.url);
    expect((await handle.result()).verdict.ok).toBe(true);
    expect(await counts(ends.destination.url)).toEqual(LOADED);
  });
});

/** What an activity of a run, or of one of its children, fails with while it is tried again. */
function trouble(root: SyncHandle, says: RegExp): Promise<Failure> {
  return until(`an activity fails with ${says}`, async () => {
    for (const id of await workflowIds(root.workflowId)) {
      const { raw } = await stage.client.workflow.getHandle(id).describe();
      for (const { lastFailure } of raw.pendingActivities ?? []) {
        const message = lastFailure?.message ?? '';
        if (says.test(message)) return { type: lastFailure?.applicationFailureInfo?.type ?? '', message };
      }
    }
    return undefined;
  });
}

/** A workflow and those it started, by their ids. */
async function workflowIds(id: string): Promise<string[]> {
  const { events } = await stage.client.workflow.getHandle(id).fetchHistory();
  const children = (events ?? []).flatMap(
    (event) => event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId ?? [],
  );
  const below = await Promise.all(children.map(workflowIds));
  return [id, ...below.flat()];
}
