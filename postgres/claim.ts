import { randomBytes } from 'node:crypto';
import { LetheError } from '../errors/errors.js';
import { type DatabaseIdentity, type TableName, tableText } from '../plan/catalog.js';
import { readIdentity, sameDatabase } from './catalog/identity.js';
import { quoteTable } from './identifiers.js';
import { migrate } from './ledger/migrate.js';
import { query, type Session } from './session.js';

export interface Claim {
  readonly claimedBy: string;
  /** ISO 8601, UTC. */
  readonly claimedAt: string;
  /** Jobs that may write; undefined: any. */
  readonly jobs: readonly string[] | undefined;
  readonly nonce: string;
}

export interface DestinationState {
  readonly identity: DatabaseIdentity;
  /**
   * `none`: nobody claimed it. `cloned`: it carries the claim of another database, of which it is a copy. `claimed`:
   * the claim was made here.
   */
  readonly state: 'none' | 'cloned' | 'claimed';
  readonly claim?: Claim;
}

/**
 * Who may write this database. Reads only, also where there is no `lethe` schema.
 *
 * A claim belongs to one database: its oid, its cluster's system identifier (where the role may read it) and the oid of
 * the table that holds the claim, which a restored dump does not keep. A copy of the row anywhere else is no claim.
 */
export async function destinationState(session: Session): Promise<DestinationState> {
  const identity = await readIdentity(session);
  const [there] = await query(session, `SELECT to_regclass('lethe.destination')::oid AS relation`);
  if (!there?.relation) return { identity, state: 'none' };
  const [row] = await query(
    session,
    `SELECT system, database_oid, nonce, claimed_by, to_json(jobs) AS jobs,
            to_char(claimed_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS claimed_at
       FROM lethe.destination`,
  );
  if (!row) return { identity, state: 'none' };
  const own =
    row.database_oid === identity.oid &&
    (row.system === identity.system || row.system === '' || identity.system === '') &&
    row.nonce!.endsWith(`.${there.relation}`);
  const claim: Claim = {
    claimedBy: row.claimed_by!,
    claimedAt: row.claimed_at!,
    jobs: row.jobs ? (JSON.parse(row.jobs) as string[]) : undefined,
    nonce: row.nonce!,
  };
  return { identity, state: own ? 'claimed' : 'cloned', claim };
}

export interface ClaimOptions {
  /** Who answers for it: a person's name, or `job NAME`. */
  readonly by: string;
  /** Jobs that may write; default any. */
  readonly jobs?: readonly string[];
}

/**
 * Makes a database writable for Lethe: `replace` may empty its tables from now on. Brings the `lethe` schema up to
 * date, and takes the place of any earlier claim, also of one that came here with a clone.
 */
export async function claimDestination(session: Session, options: ClaimOptions): Promise<void> {
  await migrate(session);
  const identity = await readIdentity(session);
  await query(
    session,
    `INSERT INTO lethe.destination (system, database_oid, nonce, claimed_by, jobs)
     VALUES ($1, $2, $3 || '.' || 'lethe.destination'::regclass::oid, $4, $5)
     ON CONFLICT (single) DO UPDATE SET system = excluded.system, database_oid = excluded.database_oid,
       nonce = excluded.nonce, claimed_by = excluded.claimed_by, claimed_at = clock_timestamp(), jobs = excluded.jobs`,
    [
      identity.system,
      identity.oid,
      randomBytes(16).toString('hex'),
      options.by,
      options.jobs ? [...options.jobs] : null,
    ],
  );
}

export interface WriteRequest {
  readonly job: string;
  /** Tables of the job in the destination; those that are not there count as empty. Default: every table there is. */
  readonly tables?: readonly TableName[];
  /** `createSchema` has just made the tables. */
  readonly createdSchema?: boolean;
  /** Databases that known jobs read from. */
  readonly sources?: readonly { readonly job: string; readonly identity: DatabaseIdentity }[];
}

/**
 * Opens a destination for writing, or refuses. A database whose tables of the job are all empty, or were just made by
 * `createSchema`, is claimed for the job on the spot; anything else needs a human's `lethe claim`.
 *
 * @throws LetheError `DestinationIsSource` when it is the job's source, or that of any known job;
 *   `DestinationUnclaimed` when it holds rows and nobody claimed it, or it is a clone of a claimed database.
 */
export async function openForWriting(
  source: Session,
  destination: Session,
  request: WriteRequest,
): Promise<void> {
  await refuseSources(source, destination, request);
  const { state, claim } = await destinationState(destination);
  if (state === 'claimed' && mayWrite(claim!, request.job)) return;
  const filled = request.createdSchema ? undefined : await firstFilled(destination, request.tables);
  if (filled) throw await unclaimed(source, request.job, state, claim, filled);
  const jobs = state === 'claimed' ? [...claim!.jobs!, request.job] : [request.job];
  await claimDestination(destination, { by: `job ${request.job}`, jobs });
}

function mayWrite(claim: Claim, job: string): boolean {
  return claim.jobs === undefined || claim.jobs.includes(job);
}

async function refuseSources(source: Session, destination: Session, request: WriteRequest): Promise<void> {
  if (await sameDatabase(source, destination)) {
    throw new LetheError(
      'DestinationIsSource',
      `Source and destination of job ${request.job} are the same database. Give the destination's URL another database.`,
    );
  }
  const identity = await readIdentity(destination);
  const reader = request.sources?.find((other) => isSame(other.identity, identity));
  if (reader) {
    throw new LetheError(
      'DestinationIsSource',
      `The destination of job ${request.job} is the source of job ${reader.job}. A database that a job reads from is never written; give the destination's URL another database.`,
    );
  }
}

function isSame(a: DatabaseIdentity, b: DatabaseIdentity): boolean {
  return a.system !== '' && a.system === b.system && a.oid === b.oid;
}

/** A table with rows, as `schema.table`. */
async function firstFilled(
  session: Session,
  tables: readonly TableName[] | undefined,
): Promise<string | undefined> {
  const there = await query(
    session,
    `SELECT n.nspname AS schema, c.relname AS name,
            c.relrowsecurity AND c.relforcerowsecurity AND pg_catalog.row_security_active(c.oid) AS hidden,
            pg_catalog.pg_relation_size(c.oid) > 0 OR EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) t
              WHERE pg_catalog.pg_relation_size(t.relid) > 0) AS sized
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'lethe') AND n.nspname !~ '^pg_(toast|temp)'
        AND ($1::jsonb IS NULL OR $1::jsonb @> jsonb_build_array(jsonb_build_array(n.nspname, c.relname)))
      ORDER BY c.reltuples DESC, 1, 2`,
    [tables ? JSON.stringify(tables.map(({ schema, name }) => [schema, name])) : null],
  );
  for (const row of there) {
    const table = { schema: row.schema!, name: row.name! };
    // Row security is forced on this role: what it cannot see, the size of the table tells.
    const [found] =
      row.hidden === 't'
        ? [{ filled: row.sized }]
        : await query(session, `SELECT EXISTS (SELECT FROM ${quoteTable(table)}) AS filled`);
    if (found?.filled === 't') return tableText(table);
  }
  return undefined;
}

async function unclaimed(
  source: Session,
  job: string,
  state: DestinationState['state'],
  claim: Claim | undefined,
  filled: string,
): Promise<LetheError> {
  const why = {
    none: `The destination of job ${job} was never claimed, and it holds rows (${filled})`,
    cloned: `The destination of job ${job} is a copy of a database that ${claim?.claimedBy} claimed, not that database, and it holds rows (${filled})`,
    claimed: `The destination was claimed by ${claim?.claimedBy} for ${claim?.jobs?.map((name) => `job ${name}`).join(', ')} only, and holds rows (${filled}) of job ${job}'s tables`,
  }[state];
  const swapped =
    (await destinationState(source)).state === 'claimed'
      ? ' The source, on the other hand, is a claimed destination: are the two URLs swapped?'
      : '';
  return new LetheError(
    'DestinationUnclaimed',
    `${why}. Nothing was written.${swapped} If Lethe may empty its tables, run \`lethe claim\` on it once.`,
    { state, table: filled },
  );
}
