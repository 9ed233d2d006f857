import type { Policy, PolicyChoice } from '../../retention/keys/policy.js';

/** A retention file after loading: validated, defaults filled in. References stay references. */
export interface RetentionFile {
  readonly stores: Readonly<Record<string, KeyStoreSettings>>;
  /** By id. */
  readonly policies: Readonly<Record<string, Policy>>;
  /** By `schema.table`: what is sealed there, and who may read it. */
  readonly tables: Readonly<Record<string, SealedTable>>;
  /** Schedules of key generation and destruction; five-field cron in UTC. Default: generate hourly, destroy daily at 00:30. */
  readonly schedules: { readonly generate: string; readonly destroy: string };
}

export interface KeyStoreSettings {
  /** Reference to the URL of a PostgreSQL database of its own. */
  readonly postgres: string;
  /** Directory on another disk for the second copy; without it there is an alarm. */
  readonly copy?: string;
  /** Where master keys live: a directory of files, or an environment variable that all are derived from (grade `none`). */
  readonly masters: { readonly file: string } | { readonly env: string };
  /** Reference to 32 bytes, base64: what receipts are signed with. */
  readonly signing: string;
  /** Time is what the store says: for demos and tests. A store is made so once, and for ever. Default false. */
  readonly simulated: boolean;
}

/** Sealed columns of a table. */
export interface SealedTable {
  /** Reference to the URL of the database; default the one given to the command. */
  readonly database?: string;
  /** Column (date or timestamp) that dates a row; default the day of sealing. */
  readonly date?: string;
  /** Roles that see values; default only the owner. All others see markers, or what `others` says. */
  readonly readers: readonly string[];
  readonly others: 'marker' | 'null';
  /** Name of the masked view, as `schema.name`. */
  readonly view: string;
  /** A trigger seals what is inserted or updated in plain. Default false. */
  readonly trigger?: boolean;
  /** A CHECK refuses plain values in columns that are sealed whole. Default false. */
  readonly check?: boolean;
  readonly columns: Readonly<Record<string, SealedColumn>>;
}

/** How one column is sealed: whole, the matches of a pattern inside its text, or JSON fields. */
export interface SealedColumn {
  readonly policy: PolicyChoice;
  /** Default the policy's. */
  readonly context?: string;
  /** Name of a built-in pattern, or a regular expression. */
  readonly pattern?: string;
  /** JSONPaths. */
  readonly paths?: readonly string[];
}
