import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { auditLedger } from '../../ledger/audit/audit.js';
import type { RunReport } from '../../ledger/report.js';
import { copyOut } from '../../postgres/copy/out.js';
import { readLedgerOf } from '../../postgres/ledger/records.js';
import { openBounds } from '../../postgres/load/seals.js';
import { type ReplayHandle, type SyncHandle, startReplay } from '../../workers/runs.js';
import type { ReplayWorkflowInput } from '../../workflows/replayFailedBatches.js';
import { catalogText } from '../engine/saga-fixture.js';
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
  type StageOptions,
} from './fixture.js';

/*
 * A source whose destination is stricter: a unique badge, an age below 150, a nick of at most 20 characters. Seven rows
 * are planted that cannot be copied, each for a reason of its own; `mend` makes them good.
 */

const TABLES = `
CREATE TABLE public.person (
  id bigint PRIMARY KEY, badge text NOT NULL, age integer NOT NULL, nick text, born date, account text, prefs jsonb);
CREATE TABLE public.visit (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES public.person, note text);`;

const STRICTER = `
CREATE UNIQUE INDEX person_badge ON public.person (badge);
ALTER TABLE public.person ADD CONSTRAINT mortal CHECK (age < 150), ADD CONSTRAINT short CHECK (length(nick) <= 20);
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger fired'; END $$;
CREATE TRIGGER normal BEFORE INSERT ON public.person FOR EACH ROW EXECUTE FUNCTION public.refuse();
CREATE TRIGGER always BEFORE INSERT ON public.visit FOR EACH ROW EXECUTE FUNCTION public.refuse();
ALTER TABLE public.visit ENABLE ALWAYS TRIGGER always;`;

const rows = (people: number, visits: number) => `
INSERT INTO public.person
SELECT i, 'badge ' || i, i % 90, 'nick ' || i, date '1950-01-01' + i % 20000, 'DE89370400440532013000',
       jsonb_build_object('street', 'Way ' || i)
  FROM generate_series(1, ${people}) i;
INSERT INTO public.visit SELECT i, 1 + i % 5, 'note ' || md5(i::text) FROM generate_series(1, ${visits}) i;
UPDATE public.person SET badge = 'badge 100' WHERE id = 200;
UPDATE public.visit SET person_id = 200 WHERE id = 777;
UPDATE public.person SET age = 999 WHERE id = 300;
UPDATE public.person SET nick = repeat('long ', 8) WHERE id = 400;
UPDATE public.person SET born = 'infinity' WHERE id = 500;
UPDATE public.person SET prefs = '{"unexpected": 1}' WHERE id = 600;
UPDATE public.person SET account = 'none' WHERE id = 700;
ANALYZE;`;

/** For the source: what was wrong with six of the rows. */
export const MEND_SOURCE = `
UPDATE public.person SET badge = 'badge 200' WHERE id = 200;
UPDATE public.person SET nick = 'short' WHERE id = 400;
UPDATE public.person SET born = '1999-09-09' WHERE id = 500;
UPDATE public.person SET prefs = '{"street": "Way 600"}' WHERE id = 600;
UPDATE public.person SET account = 'DE89370400440532013000' WHERE id = 700;`;

/** For the destination: its check was what was wrong. */
export const MEND_DESTINATION = `
ALTER TABLE public.person DROP CONSTRAINT mortal, ADD CONSTRAINT mortal CHECK (age < 1500)`;

export const BROKEN_RULES = `
unlisted: block
onFailure: { quarantine: 50 }
tables:
  public.person:
    accept: [person_badge]
    columns:
      id: permute
      badge: keep
      age: keep
      nick: keep
      born: { dateShift: 90 }
      account: iban
      prefs: { json: { "$.street": street, rest: block } }
  public.visit: { columns: { id: permute, note: scramble } }
`;

/** Both databases of it: so many people, at least 700, and so many visits, at least 777. */
export function openBroken(people: number, visits: number, key?: string): Promise<Ends> {
  const folder = mkdtempSync(join(tmpdir(), 'lethe-replay-'));
  const [full, empty] = [join(folder, 'full.sql'), join(folder, 'empty.sql')];
  writeFileSync(full, TABLES + rows(people, visits));
  writeFileSync(empty, TABLES + STRICTER);
  return openEnds(18, full, empty, key);
}

export function replay(stage: Stage, run: string, input: ReplayWorkflowInput = {}): Promise<ReplayHandle> {
  return startReplay(stage.client, { job: 'crm', run }, { run, ...input }, stage.taskQueue);
}

/** Type and message of what a replay failed with. */
export async function replayFailure(handle: ReplayHandle): Promise<{ type: string; message: string }> {
  try {
    return { type: 'none', message: JSON.stringify(await handle.result()) };
  } catch (error) {
    const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
    if (!(cause instanceof ApplicationFailure)) throw error;
    return { type: cause.type ?? '', message: cause.message };
  }
}

/** The stage of a test file, and what its tests open on it. */
export interface BrokenStage {
  readonly stage: Stage;
  /** Both databases, for the length of a test: so many people, at least 700, and so many visits, at least 777. */
  open(people?: number, visits?: number): Promise<Broken>;
}

/** Called once in a file. The stage stands for all of its tests. */
export function useBrokenStage(options: () => StageOptions = () => ({})): BrokenStage {
  let stage: Stage | undefined;
  const opened: Ends[] = [];
  beforeAll(async () => {
    stage = await openStage(options());
  });
  afterEach(async () => {
    for (const ends of opened.splice(0)) await ends.drop();
  });
  afterAll(async () => {
    await stage?.stop();
  });
  return {
    get stage() {
      return stage!;
    },
    async open(people = 900, visits = 1_200) {
      const ends = await openBroken(people, visits);
      opened.push(ends);
      return new Broken(stage!, ends);
    },
  };
}

/** The job over both databases. */
export class Broken {
  constructor(
    readonly stage: Stage,
    readonly ends: Ends,
  ) {}

  /** What a run or a replay is started with, by rules of a job. */
  file(rules = BROKEN_RULES): { file: { name: string; text: string } } {
    return { file: jobFile(this.ends, rules) };
  }

  start(rules = BROKEN_RULES): Promise<SyncHandle> {
    return this.stage.start('crm', this.file(rules));
  }

  /** Runs the job, which fails because of its seven rows. */
  async failing(rules = BROKEN_RULES, type = 'RowsQuarantined'): Promise<string> {
    const handle = await this.start(rules);
    expect(await failureOf(handle)).toMatchObject({ type });
    return runOf(handle);
  }

  replay(run: string, input: ReplayWorkflowInput = this.file()): Promise<ReplayHandle> {
    return replay(this.stage, run, input);
  }

  /** Type and message of what a replay failed with. */
  async refused(run: string, input?: ReplayWorkflowInput): Promise<{ type: string; message: string }> {
    return replayFailure(await this.replay(run, input));
  }

  /** All seven rows can be copied from now on. */
  async mend(): Promise<void> {
    await ask(this.ends.source, MEND_SOURCE);
    await ask(this.ends.destination, MEND_DESTINATION);
  }

  catalog(): Promise<string[]> {
    return inside(this.ends.destination, catalogText);
  }

  /** What waits in quarantine: code and constraint or column. */
  async left(): Promise<string[]> {
    const rows = await ask(
      this.ends.destination,
      `SELECT code, coalesce(constraint_name, column_name) AS about FROM lethe.quarantine
        WHERE replayed_at IS NULL ORDER BY 1, 2`,
    );
    return rows.map(({ code, about }) => `${code} ${about}`);
  }

  /** State of a run, or of all, the oldest first. */
  async states(run?: string): Promise<string[]> {
    const rows = await ask(
      this.ends.destination,
      'SELECT state FROM lethe.run WHERE run = $1::uuid OR $1 IS NULL ORDER BY started_at',
      [run ?? null],
    );
    return rows.map(({ state }) => state!);
  }

  /** The destination is what a new run of such rules makes of it. */
  async expectCopied(rules = BROKEN_RULES): Promise<void> {
    const found = await contents(this.ends);
    await (await this.start(rules)).result();
    expect(found).toEqual(await contents(this.ends));
  }
}

/** The rows of both tables as text, in the order of their keys. */
export function contents(ends: Ends): Promise<Record<string, string>> {
  return inside(ends.destination, async (session) => {
    const found: Record<string, string> = {};
    for (const table of ['person', 'visit']) {
      const reader = copyOut(session, `COPY (SELECT * FROM public.${table} ORDER BY id) TO STDOUT`);
      let text = '';
      for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
        text += chunk.bytes.toString('latin1');
        reader.release(chunk);
      }
      found[table] = text;
    }
    return found;
  });
}

/** The reports of a run, oldest first; its ledger, signatures and rules pass the audit. */
export async function audited(ends: Ends, run: string): Promise<RunReport[]> {
  return inside(ends.destination, async (session) => {
    const keys = jobKeys(parseJobKey(ends.key));
    const ledger = await readLedgerOf(session, run);
    const trusted = { publicKey: keys.signing.publicKey };
    const findings = await auditLedger(ledger, {
      trusted,
      openBounds: (owner, sealed) => openBounds(keys, { run, ...owner }, sealed),
    });
    expect(findings.list()).toEqual([]);
    return ledger.segments.map(({ signed }) => signed!.report);
  });
}
