import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { expect } from 'vitest';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { auditLedger } from '../../ledger/audit/audit.js';
import type { RunReport } from '../../ledger/report.js';
import { copyOut } from '../../postgres/copy/out.js';
import { readLedgerOf } from '../../postgres/ledger/records.js';
import { openBounds } from '../../postgres/load/seals.js';
import { type ReplayHandle, startReplay } from '../../workers/runs.js';
import type { ReplayWorkflowInput } from '../../workflows/replayFailedBatches.js';
import { type Ends, inside, openEnds, type Stage } from './fixture.js';

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
