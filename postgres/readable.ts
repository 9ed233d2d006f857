import { LetheError } from '../errors/errors.js';
import { tableText } from '../plan/catalog.js';
import type { Plan } from '../plan/plan.js';
import { query, type Session } from './session.js';

/**
 * Refuses a plan whose tables the source's role cannot read whole, before anything is emptied for them: reading them
 * would fail, but only then.
 *
 * @throws LetheError `PermissionDenied`, with all such tables and what to do.
 */
export async function requireReadable(source: Session, plan: Plan): Promise<void> {
  const units = plan.tables.flatMap((table) =>
    table.units.map((unit) => ({
      oid: unit.oid,
      name: tableText(unit),
      columns: table.columns.map(({ name }) => name),
    })),
  );
  const rows = await query(
    source,
    `SELECT w.name, coalesce(has_schema_privilege(c.relnamespace, 'USAGE')
              AND (has_table_privilege(c.oid, 'SELECT') OR NOT EXISTS (
                     SELECT FROM jsonb_array_elements_text(w.columns) AS k(name)
                      WHERE NOT coalesce(has_column_privilege(c.oid, k.name, 'SELECT'), false))), false) AS granted,
            row_security_active(c.oid) AS hidden
       FROM jsonb_to_recordset($1::jsonb) AS w(oid oid, name text, columns jsonb)
       JOIN pg_catalog.pg_class c ON c.oid = w.oid`,
    [JSON.stringify(units)],
  );
  const of = (wanted: (row: (typeof rows)[number]) => boolean) =>
    rows
      .filter(wanted)
      .map(({ name }) => name!)
      .sort();
  const denied = of(({ granted }) => granted !== 't');
  const hidden = of(({ granted, hidden }) => granted === 't' && hidden === 't');
  if (denied.length + hidden.length === 0) return;
  throw new LetheError(
    'PermissionDenied',
    [
      `The source's role ${source.user} cannot read all rows.`,
      denied.length > 0 ? `No right to read ${denied.join(', ')}.` : '',
      hidden.length > 0 ? `Row-level security hides rows of ${hidden.join(', ')}.` : '',
      'Run what `lethe grants JOB` prints, as the owner of the tables or a superuser.',
    ]
      .filter(Boolean)
      .join(' '),
    { denied, hidden },
  );
}
