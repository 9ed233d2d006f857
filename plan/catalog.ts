import type { ColumnType } from '../anonymize/transformer.js';

/** What a database holds, as read from its catalogs in one transaction. Engine-neutral; `postgres/catalog` fills it. */
export interface Catalog {
  readonly engine: 'postgres' | 'mongo';
  /** 150018 for PostgreSQL 15.18. */
  readonly serverVersion: number;
  readonly database: DatabaseIdentity;
  readonly tables: readonly CatalogTable[];
  /** Sequences that no column owns are copied as they are; owned ones are listed with their column. */
  readonly sequences: readonly CatalogSequence[];
}

export interface DatabaseIdentity {
  /** `pg_control_system().system_identifier`, or '' where that is not allowed. */
  readonly system: string;
  readonly oid: string;
  readonly name: string;
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface CatalogTable extends TableName {
  readonly oid: number;
  /** `partitioned`: a declared partition root. Its partitions are not tables of their own but `leaves`. */
  readonly kind: 'table' | 'partitioned';
  /** Physical relations that hold the rows: the table itself, or the leaf partitions with rows of a root. */
  readonly leaves: readonly CatalogLeaf[];
  /** Plain inheritance parents (`INHERITS`), not partition roots. */
  readonly inherits: readonly TableName[];
  /** Columns of a declared partition key; `expression` when part of it is no plain column. */
  readonly partitionKey?: {
    readonly columns: readonly string[];
    readonly expression: boolean;
    /** Every row finds a partition whatever its key: by hash, or a default partition is there. Default false. */
    readonly takesAny?: boolean;
  };
  readonly columns: readonly CatalogColumn[];
  readonly indexes: readonly CatalogIndex[];
  readonly foreignKeys: readonly CatalogForeignKey[];
  readonly checks: readonly CatalogCheck[];
  readonly triggers: readonly CatalogTrigger[];
  readonly rules: readonly { readonly name: string; readonly definition: string }[];
  /** Views, rules and foreign keys outside that depend on the table, as `kind schema.name`, for the plan's notes. */
  readonly dependents: readonly string[];
  readonly rowSecurity: 'off' | 'on' | 'forced';
  /** Estimated rows (`reltuples`, -1 → measured pages × density) and bytes of the heap with TOAST. */
  readonly rows: number;
  readonly bytes: number;
  readonly owner: string;
  /** Unlogged, or has an unlogged partition: a standby cannot read it, a crash empties it. Default false. */
  readonly unlogged?: boolean;
  /** SHA-256, hex, of oid, numbers, names, types and order of its columns; cheap to read again in any transaction. */
  readonly fingerprint: string;
}

export interface CatalogLeaf extends TableName {
  readonly oid: number;
  readonly rows: number;
  readonly bytes: number;
  readonly pages: number;
  /** `pg_relation_filenode` at reading: another one means that the relation was rewritten or truncated since. */
  readonly filenode?: string;
  /** Of a partition: what it has beyond its root's. */
  readonly indexes?: readonly CatalogIndex[];
  readonly foreignKeys?: readonly CatalogForeignKey[];
  readonly checks?: readonly CatalogCheck[];
  readonly triggers?: readonly CatalogTrigger[];
  /** A foreign table: its rows lie outside the database and its snapshot. Default false. */
  readonly foreign?: boolean;
}

export interface CatalogColumn {
  readonly name: string;
  readonly attnum: number;
  readonly type: ColumnType;
  readonly typeOid: number;
  /** `pg_get_expr` of the default, if any. */
  readonly default?: string;
  readonly generated: 'no' | 'stored' | 'virtual';
  /** For `generated`: the columns its expression reads. */
  readonly generatedFrom?: readonly string[];
  readonly identity: 'no' | 'always' | 'byDefault';
  /** The sequence behind an identity or serial column, or the one that its default draws from. */
  readonly sequence?: TableName;
  /** Type modifiers that restrict values beyond `type`: the names of domain CHECKs. */
  readonly domainChecks: readonly string[];
  /** Not the database's default collation: its name, and whether it is nondeterministic. */
  readonly collation?: { readonly name: string; readonly deterministic: boolean };
  readonly comment?: string;
}

export interface CatalogIndex {
  readonly name: string;
  readonly oid: number;
  readonly method: string;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly exclusion: boolean;
  readonly valid: boolean;
  readonly nullsNotDistinct: boolean;
  /** Key columns in index order; null where the key is an expression. Included columns are left out. */
  readonly columns: readonly (string | null)[];
  /** Columns that expressions and the predicate read. */
  readonly expressionColumns: readonly string[];
  readonly predicate?: string;
  /** `pg_get_indexdef(oid, position, false)` of each key position. */
  readonly keys: readonly string[];
  /** `pg_get_indexdef(oid)`. */
  readonly definition: string;
  /** The constraint that owns it, and its definition. */
  readonly constraint?: { readonly name: string; readonly definition: string; readonly deferrable: boolean };
}

export interface CatalogForeignKey {
  readonly name: string;
  readonly oid: number;
  readonly columns: readonly string[];
  readonly references: TableName;
  /** Paired with `columns` by position (conkey/confkey). */
  readonly referencedColumns: readonly string[];
  readonly definition: string;
  readonly deferrable: boolean;
  readonly validated: boolean;
  /** MATCH FULL, not SIMPLE. */
  readonly matchFull: boolean;
}

export interface CatalogCheck {
  readonly name: string;
  readonly columns: readonly string[];
  readonly definition: string;
  readonly validated: boolean;
}

export interface CatalogTrigger {
  readonly name: string;
  /** `pg_trigger.tgenabled`: O origin, A always, R replica, D disabled. */
  readonly enabled: 'O' | 'A' | 'R' | 'D';
  readonly definition: string;
}

export interface CatalogSequence extends TableName {
  /** The column that owns it; without one, the only column whose default draws from it. */
  readonly ownedBy?: TableName & { readonly column: string };
  readonly dataType: string;
  readonly maxValue: string;
  readonly increment: string;
  readonly cycles: boolean;
}

/** `schema.name`, the way the job file, the CLI and the docs write a table. */
export function tableText(table: TableName): string {
  return `${table.schema}.${table.name}`;
}
