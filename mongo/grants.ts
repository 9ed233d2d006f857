import type { TableName } from '../plan/catalog.js';

export interface DocumentGrantsInput {
  /** The user that Lethe logs in as. */
  readonly user: string;
  /** Where it is made: `authSource`, `admin` by default. */
  readonly userDatabase: string;
  readonly job: string;
}

export interface SourceGrantsInput extends DocumentGrantsInput {
  /** Databases that the job reads. */
  readonly databases: readonly string[];
  /** Its collections. */
  readonly collections: readonly TableName[];
  /** The URL names no database, so that all have to be listed. */
  readonly listDatabases: boolean;
  /** The destination's, by name. */
  readonly markedDatabase: string;
}

export interface DestinationGrantsInput extends DocumentGrantsInput {
  /** Of the ledger first. */
  readonly databases: readonly string[];
  readonly mode: 'replace' | 'upsert';
  /** What the job writes. */
  readonly collections: readonly TableName[];
  /** Collections of the source that the server transforms itself: it does so under the rights of this user. */
  readonly pushedDown: readonly TableName[];
}

interface Privilege {
  readonly resource: { readonly db: string; readonly collection: string } | { readonly cluster: true };
  readonly actions: readonly string[];
}

/** Tells deployments apart, so that no source is taken for a destination. */
const IDENTITY: Privilege = { resource: { cluster: true }, actions: ['replSetGetConfig', 'serverStatus'] };
const READS = ['find', 'listIndexes', 'collStats'] as const;
const WRITES = [
  'find',
  'insert',
  'update',
  'remove',
  'createCollection',
  'createIndex',
  'listIndexes',
] as const;

/** The least that lets a user read a job's collections, as commands for mongosh. To be run by who may make roles. */
export function sourceDocumentGrants(input: SourceGrantsInput): string {
  const { databases, collections, listDatabases, markedDatabase } = input;
  const privileges: Privilege[] = [
    ...databases.map((db) => ({ resource: { db, collection: '' }, actions: ['listCollections'] })),
    ...collections.map((one) => on(one, READS)),
    ...(listDatabases ? [{ resource: { cluster: true } as const, actions: ['listDatabases'] }] : []),
    // Shows for a moment, where both ends are one server under two addresses.
    on({ schema: markedDatabase, name: 'lethe.mark' }, ['find']),
    IDENTITY,
  ];
  return commands(
    input,
    'reads',
    'Source: read the collections of the job, and their options and indexes.',
    privileges,
  );
}

/**
 * The least that lets a user load a job's collections. A run writes into collections that bear its own id, which nobody
 * can name beforehand, and the ledger is in the same database: so `replace` needs its rights on whole databases.
 */
export function destinationDocumentGrants(input: DestinationGrantsInput): string {
  const { databases, mode, collections, pushedDown } = input;
  const [ledger, ...others] = databases;
  const whole = (db: string, actions: readonly string[]): Privilege => ({
    resource: { db, collection: '' },
    actions,
  });
  const replaced = [...WRITES, 'collStats', 'dropCollection', 'renameCollectionSameDB', 'listCollections'];
  const privileges: Privilege[] =
    mode === 'replace'
      ? databases.map((db) => whole(db, replaced))
      : [
          whole(ledger!, [...WRITES, 'collStats', 'dropCollection', 'listCollections']),
          ...others.map((db) => whole(db, ['listCollections'])),
          ...collections.filter(({ schema }) => schema !== ledger).map((one) => on(one, WRITES)),
        ];
  const why =
    'Destination: keep the ledger (collections named lethe.…), and load the collections of the job.';
  return commands(input, 'writes', why, [
    ...privileges,
    ...pushedDown.map((one) => on(one, ['find'])),
    IDENTITY,
  ]);
}

function on({ schema, name }: TableName, actions: readonly string[]): Privilege {
  return { resource: { db: schema, collection: name }, actions };
}

function commands(
  { user, userDatabase, job }: DocumentGrantsInput,
  does: 'reads' | 'writes',
  why: string,
  privileges: readonly Privilege[],
): string {
  const role = `lethe-${job}-${does}`;
  const at = `db.getSiblingDB(${JSON.stringify(userDatabase)})`;
  return `${[
    `// ${why}`,
    // Roles over more than one database, or over the cluster, live in admin.
    'db.getSiblingDB("admin").createRole({',
    `  role: ${JSON.stringify(role)},`,
    '  privileges: [',
    ...privileges.map((one) => `    ${JSON.stringify(one)},`),
    '  ],',
    '  roles: [],',
    '})',
    `${at}.grantRolesToUser(${JSON.stringify(user)}, [{ role: ${JSON.stringify(role)}, db: "admin" }])`,
  ].join('\n')}\n`;
}
