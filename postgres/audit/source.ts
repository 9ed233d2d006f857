import { isDeepStrictEqual } from 'node:util';
import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import type { Plan, TablePlan } from '../../plan/plan.js';
import { readFingerprint } from '../catalog/fingerprint.js';
import { readIdentity } from '../catalog/identity.js';
import { quoteTable } from '../identifiers.js';
import { Source } from '../load/source.js';
import { openSession, query, type Session, type SessionOptions } from '../session.js';

/** Which source an audit reads. */
export interface AuditSource {
  readonly options: Pick<SessionOptions, 'url' | 'encoding'>;
  /** Another database than the run read, a restored backup say: names must fit, identities need not. */
  readonly elsewhere: boolean;
}

/** Opens the source as it is now, in one read-only snapshot, for the length of `body`. */
export async function withAuditSource<T>(
  { options, elsewhere }: AuditSource,
  plan: Plan,
  body: (source: Source) => Promise<T>,
  startup: Readonly<Record<string, string>> = {},
): Promise<T> {
  const session = { ...options, role: 'source', applicationName: 'lethe:audit' } as const;
  const holder = await openSession(session);
  try {
    if (!elsewhere && !isDeepStrictEqual(await readIdentity(holder), plan.source)) {
      throw new LetheError(
        'PinMismatch',
        'The source of this job is another database than the run read. If it is a copy of it, say so: --source env:NAME.',
      );
    }
    await query(holder, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [row] = await query(holder, 'SELECT pg_export_snapshot() AS id');
    const source = await Source.open({ ...session, startup }, [row!.id!]);
    try {
      return await body(source);
    } finally {
      await source.close();
    }
  } finally {
    await holder.close();
  }
}

/** A table of the plan as the source has it now, or why it cannot be compared any more. */
export async function tableNow(
  source: Source,
  plan: TablePlan,
  elsewhere: boolean,
): Promise<TablePlan | { readonly gone: string }> {
  const name = tableText(plan.source);
  const units: TablePlan['units'][number][] = [];
  for (const unit of plan.units) {
    const [row] = await query(source.session, 'SELECT to_regclass($1)::oid AS oid', [quoteTable(unit)]);
    if (!row?.oid) return { gone: `${tableText(unit)} is not in the source any more` };
    units.push({ ...unit, oid: Number(row.oid) });
  }
  const missing = await missingColumns(source.session, units[0]?.oid ?? 0, plan);
  if (missing.length > 0) return { gone: `${name} has no column ${missing.join(', ')} any more` };
  if (!elsewhere && (await readFingerprint(source.session, plan.source)) !== plan.fingerprint) {
    return { gone: `the columns of ${name} were changed` };
  }
  return { ...plan, units };
}

async function missingColumns(session: Session, oid: number, plan: TablePlan): Promise<string[]> {
  const rows = await query(
    session,
    'SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped',
    [oid],
  );
  const there = new Set(rows.map((row) => row.name));
  return plan.columns.map(({ name }) => name).filter((name) => !there.has(name));
}
