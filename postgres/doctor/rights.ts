import { query, type Session } from '../session.js';
import type { DoctorOptions } from './types.js';

export const GRANTS = 'Run what `lethe grants JOB` prints, as the owner of the tables or a superuser.';

export interface TableRights {
  /** `schema.name` */
  readonly name: string;
  readonly select: boolean;
  readonly write: boolean;
  /** Below a partition root: rows come in through the root, whose rights count then. */
  readonly partition: boolean;
  /** The role owns it, by itself or as a member. */
  readonly owner: boolean;
  /** Row security applies to the role. */
  readonly rowSecurity: boolean;
}

/** What the role may do with the job's tables and their partitions. */
export async function tableRights(session: Session, { include }: DoctorOptions): Promise<TableRights[]> {
  const rows = await query(
    session,
    `SELECT n.nspname AS schema, c.relname AS table, rn.nspname AS root_schema, rc.relname AS root,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS "select",
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AS write,
       c.relispartition AS partition, pg_has_role(c.relowner, 'USAGE') AS owner, row_security_active(c.oid) AS rls
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class rc ON rc.oid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid) ELSE c.oid END
     JOIN pg_namespace rn ON rn.oid = rc.relnamespace
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
       AND n.nspname NOT IN ('information_schema', 'lethe')
     ORDER BY 1, 2`,
  );
  return rows
    .filter((row) => !include || include(row.root_schema!, row.root!))
    .map((row) => ({
      name: `${row.schema}.${row.table}`,
      select: row.select === 't',
      write: row.write === 't',
      partition: row.partition === 't',
      owner: row.owner === 't',
      rowSecurity: row.rls === 't',
    }));
}

/** Who the role is, in words. */
export async function rolesText(session: Session): Promise<string> {
  const [row] = await query(
    session,
    `SELECT concat_ws(', ', CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolbypassrls THEN 'bypasses row security' END)
     AS text FROM pg_roles WHERE rolname = current_user`,
  );
  return `role ${session.user}${row?.text ? ` (${row.text})` : ''}`;
}
