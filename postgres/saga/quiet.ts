import { recordTaken } from '../ledger/ddl.js';
import { execute, type Session } from '../session.js';
import { guardRemovals } from './guards.js';
import { withPatience } from './patience.js';
import { jobRelations, type SagaTable } from './relations.js';

/**
 * Keeps triggers and rules of the tables from firing, and forced row security from hiding rows, while single rows are
 * written and all constraints and indexes stay in force. Both for ordinary sessions and for those in the replica role.
 * What is quiet already is left alone. In the caller's transaction, which has taken the tables' epochs for `run`.
 */
export async function quietTables(
  session: Session,
  run: string,
  tables: readonly SagaTable[],
): Promise<void> {
  await withPatience(session, 'the tables', async () => {
    const relations = await jobRelations(session, tables);
    const named = await guardRemovals(session, relations, 'named');
    const known = new Set(named.flatMap(({ drop }) => drop));
    const replica = await guardRemovals(session, relations, 'replica');
    const guards = [...named, ...replica.filter(({ drop }) => !drop.some((text) => known.has(text)))];
    await recordTaken(session, run, guards);
    const drops = guards.flatMap(({ drop }) => drop);
    if (drops.length > 0) await execute(session, drops.join(';\n'));
  });
}
