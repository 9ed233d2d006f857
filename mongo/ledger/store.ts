import type { Binary, Collection, Db } from 'mongodb';
import { LetheError } from '../../errors/errors.js';
import type { BatchState, RunState } from '../../ledger/types.js';
import type { Connection } from '../connection.js';

/** Version of the ledger's form; a newer one is refused. */
export const LEDGER_VERSION = 1;

/** The claim of a destination: one document. */
export interface ClaimDocument {
  readonly _id: 'claim';
  readonly version: number;
  /** Of the replica set, or of the standalone server as it calls itself. */
  readonly system: string;
  readonly database: string;
  readonly nonce: string;
  readonly claimedBy: string;
  readonly claimedAt: Date;
  /** Jobs that may write; null: any. */
  readonly jobs: string[] | null;
}

export interface RunDocument {
  readonly _id: string;
  readonly job: string;
  readonly mode: 'replace' | 'upsert';
  readonly state: RunState;
  readonly namespace: string;
  readonly workflowId: string;
  /** JSON: names of fields in it may hold dots and dollars. */
  readonly pins: string;
  readonly startedAt: Date;
  readonly seenAt: Date;
  readonly endedAt?: Date;
  /** JSON. */
  readonly report?: string;
  readonly signature?: string;
  readonly publicKey?: string;
  /** Plan ids of collections that took the place of the old ones. */
  readonly renamed?: number[];
  /** Its collections may take the place of the old ones. */
  readonly placing?: boolean;
  /** Plan ids of collections that are cut into partitions. */
  readonly cut?: number[];
}

export interface PartitionDocument {
  /** `<run>/<partition>`. */
  readonly _id: string;
  readonly run: string;
  readonly partition: number;
  readonly table: number;
  /** Sealed. */
  readonly bounds: string;
  /** Sealed: where its batches end, but for the last; without it that is looked for as each begins. */
  readonly cuts?: string;
  readonly done: boolean;
  readonly head: string | null;
  /** Raised by each transaction that writes its documents: the fence of `upsert`. */
  readonly writes: number;
  /** The replay that copied its documents one by one, by their keys; then it is no range. */
  readonly replay?: number;
}

export interface BatchDocument {
  /** `<run>/<partition>/<batch>`. */
  readonly _id: string;
  readonly run: string;
  readonly partition: number;
  readonly batch: number;
  readonly table: number;
  readonly bounds: string;
  readonly state: BatchState;
  readonly attempt: number;
  readonly claimedAt: Date;
  readonly rows?: number;
  readonly quarantined?: number;
  readonly bytes?: number;
  /** JSON: by rule name. */
  readonly rules?: string;
  /** JSON: by path. */
  readonly leaks?: string;
  readonly sourceDigest?: string;
  readonly outputDigest?: string;
  readonly chain?: string;
  readonly committedAt?: Date;
  readonly error?: string;
}

/** A piece of what an attempt of a batch keeps beside its row of the ledger. */
interface AttemptDocument {
  /** `<run>/<partition>/<batch>/<attempt>/<n>`. */
  readonly _id: string;
  readonly run: string;
  readonly table: number;
  readonly partition: number;
  readonly batch: number;
  readonly attempt: number;
}

/** `_id`s that an attempt was about to write, recorded before it did. */
export interface IdsDocument extends AttemptDocument {
  /** Sealed. */
  readonly ids: string;
}

/** Digests of the documents that an attempt of a batch read, under `evidence: row`. */
export interface EvidenceDocument extends AttemptDocument {
  readonly n: number;
  /** 16 bytes each, keyed. */
  readonly digests: Binary;
}

/** What a run was found to be when it was checked. */
export interface CheckDocument {
  /** `<run>/<segment>` at its end, else anything. */
  readonly _id: string;
  readonly run: string;
  readonly job: string;
  readonly checkedAt: Date;
  readonly origin: 'run' | 'validate';
  readonly ok: boolean;
  readonly seconds: number;
  /** Both JSON. */
  readonly checks: string;
  readonly distributions: string;
}

export interface QuarantineDocument {
  /** `<run>/<table>/<keyHash>`. */
  readonly _id: string;
  readonly run: string;
  readonly table: number;
  readonly partition: number;
  readonly batch: number;
  readonly key: string;
  readonly keyHash: string;
  readonly code: string;
  readonly column: string | null;
  readonly constraint: string | null;
  readonly rule: string | null;
  readonly message: string;
  /** Batch of a replay that is trying it. */
  readonly trying?: string;
  /** Replay by which it left the quarantine, and how. */
  readonly replayed?: number;
  readonly outcome?: 'copied' | 'gone';
}

/** A replay as it began, with the report that it follows. */
export interface ReplayDocument {
  /** `<run>/<n>`. */
  readonly _id: string;
  readonly run: string;
  readonly n: number;
  readonly workflowId: string;
  /** First execution of the workflow: a retry has the same. */
  readonly execution: string;
  /** JSON: what it works by. */
  readonly plan: string;
  readonly jobText: string;
  readonly report?: string;
  readonly signature?: string;
  readonly publicKey?: string;
}

/** Whose a destination collection is. */
export interface FenceDocument {
  /** `database.collection`. */
  readonly _id: string;
  readonly run: string;
}

/** The ledger in a destination database: collections whose names begin with `lethe.`. */
export interface Ledger {
  readonly db: Db;
  readonly claim: Collection<ClaimDocument>;
  readonly runs: Collection<RunDocument>;
  readonly partitions: Collection<PartitionDocument>;
  readonly batches: Collection<BatchDocument>;
  readonly ids: Collection<IdsDocument>;
  readonly evidence: Collection<EvidenceDocument>;
  readonly quarantine: Collection<QuarantineDocument>;
  readonly fences: Collection<FenceDocument>;
  readonly replays: Collection<ReplayDocument>;
  readonly checks: Collection<CheckDocument>;
}

export function ledgerOf({ database: db }: Pick<Connection, 'database'>): Ledger {
  return {
    db,
    claim: db.collection('lethe.claim'),
    runs: db.collection('lethe.run'),
    partitions: db.collection('lethe.partition'),
    batches: db.collection('lethe.batch'),
    ids: db.collection('lethe.ids'),
    evidence: db.collection('lethe.evidence'),
    quarantine: db.collection('lethe.quarantine'),
    fences: db.collection('lethe.fence'),
    replays: db.collection('lethe.replay'),
    checks: db.collection('lethe.check_result'),
  };
}

/** 0 where the database has no ledger. */
export async function ledgerVersion(ledger: Ledger): Promise<number> {
  const claim = await ledger.claim.findOne({ _id: 'claim' });
  return claim?.version ?? 0;
}

/**
 * Makes the ledger's indexes; harmless when they are there.
 * @throws LetheError `LedgerNewer`.
 */
export async function prepareLedger(ledger: Ledger): Promise<void> {
  const version = await ledgerVersion(ledger);
  if (version > LEDGER_VERSION) {
    throw new LetheError(
      'LedgerNewer',
      `The ledger in ${ledger.db.databaseName} was written by a newer Lethe (form ${version}, this one knows ${LEDGER_VERSION}). Upgrade Lethe here.`,
    );
  }
  const { partitions, batches, ids, evidence, quarantine } = ledger;
  for (const collection of [partitions, batches, ids, evidence, quarantine]) {
    await (collection as unknown as Collection<{ run: string; table: number }>).createIndex({
      run: 1,
      table: 1,
    });
  }
}
