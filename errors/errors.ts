/**
 * The one registry of failures that Lethe reports by type, and what each means for a retry.
 *
 * - `never`: retrying cannot help; a human has to change something (the message says what).
 * - `backoff`: the surroundings failed (network, server, disk); try again with backoff, bounded.
 * - `elsewhere`: this worker is not fit for the run (key, URL); another one may be.
 */
export const ERROR_TYPES = {
  /** The job file, or the input of a workflow or command, has mistakes. All of them are in the message. */
  JobInvalid: 'never',
  /** No job of that name in the worker's job folder. */
  UnknownJob: 'never',
  /** No run of that id in the ledger. */
  UnknownRun: 'never',
  /** An `env:`, `file:` or `exec:` reference gave nothing usable. */
  ReferenceUnresolved: 'elsewhere',
  /** This worker's key, databases, rule set or transformer versions differ from what the run pinned. */
  PinMismatch: 'elsewhere',
  /** The plan proves too little: undecided columns, unproved uniqueness, disagreeing domains, … */
  PlanRefused: 'never',
  /** Nobody claimed this destination, or it is a clone of a claimed one. */
  DestinationUnclaimed: 'never',
  /** Source and destination are one database, or the destination is some job's source. */
  DestinationIsSource: 'never',
  /** Another live run owns a table of this one, or a replay began while its run's ledger was read. */
  DestinationBusy: 'never',
  /** A later run owns the table; this one must not write any more. */
  RunSuperseded: 'never',
  /** The root workflow of the run is closed; its activities stop. */
  RunEnded: 'never',
  /** The source's schema or storage changed while the run read it. */
  SourceChanged: 'never',
  /** The snapshot is gone, and with it what was read of a table without a key: its workflow begins it again. */
  TableRestarts: 'never',
  /** The snapshot that the run reads under is gone. */
  SnapshotLost: 'backoff',
  /** The run lasted longer than the snapshot may be held. */
  SnapshotExpired: 'never',
  /** More rows were refused than the job allows. */
  QuarantineLimit: 'never',
  /** The run is complete but some rows are in quarantine. */
  RowsQuarantined: 'never',
  /** A replay was asked for of a run to which nothing is left to do. */
  NothingToReplay: 'never',
  /** The loaded data failed a validation check. */
  ValidationFailed: 'never',
  /** The `lethe` schema was written by a newer Lethe. */
  LedgerNewer: 'never',
  /** A policy, ring, day, context or option of sealing and revealing has a mistake. */
  RetentionInvalid: 'never',
  /** A value that no token can hold: too long, not well-formed text, or text with U+0000. It was left as it is. */
  SealRefused: 'never',
  /** No key to seal with for that policy and day: generate it, or hand in the ring that has it. */
  DayKeyMissing: 'backoff',
  /** A master key is missing, unreadable, or readable for others than its owner. */
  MasterKeyUnusable: 'elsewhere',
  /** A wrapped key, a copy or a receipt of a key store was changed, or belongs elsewhere. */
  KeyStoreTampered: 'never',
  /** The second copy of a key store cannot be written or read back. */
  KeyCopyFailed: 'backoff',
  /** The clocks that destruction goes by differ by more than five minutes. */
  ClocksDiffer: 'backoff',
  /** What was asked for cannot be undone, or is far from what was last done: it has to be confirmed. */
  Unconfirmed: 'never',
  /** A legal hold keeps the day keys that were to be destroyed. */
  OnHold: 'never',
  /** A ledger row does not fit its chain, or cannot be decrypted with this key. */
  LedgerTampered: 'never',
  /** User, password or certificate refused by a server. */
  AuthenticationFailed: 'never',
  /** The role lacks a right; the message names the GRANT. */
  PermissionDenied: 'never',
  /** A database or table that the job names is not there. */
  ObjectMissing: 'never',
  /** The server cannot be reached, went away, or is out of connections, memory or disk. */
  Unreachable: 'backoff',
  /** Any other error of a database server: its code, table, column and constraint, never its detail. */
  DatabaseError: 'never',
  /** A program that Lethe needs is not installed. */
  ToolMissing: 'never',
  /** A defect of Lethe. */
  Internal: 'backoff',
} as const satisfies Record<string, 'never' | 'backoff' | 'elsewhere'>;

export type ErrorType = keyof typeof ERROR_TYPES;

/** Types that Temporal must not retry: `nonRetryableErrorTypes` of every activity. */
export const NON_RETRYABLE: readonly ErrorType[] = (Object.keys(ERROR_TYPES) as ErrorType[]).filter(
  (type) => ERROR_TYPES[type] === 'never',
);

/**
 * A failure that is safe to show anywhere: its message holds names, codes and counts, never a value, a key or a
 * bound. The message says what to do about it.
 */
export class LetheError extends Error {
  override readonly name = 'LetheError';
  constructor(
    readonly type: ErrorType,
    message: string,
    /** Machine-readable particulars (names, codes, counts); safe to show as well. */
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}
