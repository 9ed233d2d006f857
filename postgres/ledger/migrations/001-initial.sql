-- The ledger: everything Lethe remembers about a destination lives in this schema, in the destination.

CREATE TABLE lethe.destination (
  -- One row. A clone of the database carries the row but not the identity, so it counts as unclaimed.
  single          boolean PRIMARY KEY DEFAULT true CHECK (single),
  system          text NOT NULL,
  database_oid    text NOT NULL,
  nonce           text NOT NULL,
  claimed_by      text NOT NULL,
  claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Jobs that may write; NULL: any.
  jobs            text[],
  -- Names, ranges and transformer versions of the domains of earlier runs under `consistency: job`, by job.
  domains         jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE lethe.run (
  run             uuid PRIMARY KEY,
  job             text NOT NULL,
  mode            text NOT NULL CHECK (mode IN ('replace', 'upsert')),
  state           text NOT NULL CHECK (state IN ('planned', 'loading', 'settling', 'validating',
                                                 'complete', 'failed', 'cancelled', 'superseded')),
  pins            jsonb NOT NULL,
  namespace       text NOT NULL,
  workflow_id     text NOT NULL,
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at        timestamptz,
  report          jsonb,
  signature       text,
  public_key      text
);
CREATE INDEX run_job ON lethe.run (job, started_at);

CREATE TABLE lethe.epoch (
  -- The id is the second key of the advisory lock that fences the table.
  id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  schema_name     text NOT NULL,
  table_name      text NOT NULL,
  run             uuid REFERENCES lethe.run,
  n               bigint NOT NULL DEFAULT 0,
  -- The run that emptied the table last: `replace` empties once a run.
  emptied         uuid,
  UNIQUE (schema_name, table_name)
);

CREATE TABLE lethe.partition (
  run             uuid NOT NULL REFERENCES lethe.run ON DELETE CASCADE,
  partition       integer NOT NULL,
  table_id        integer NOT NULL,
  -- Bounds as JSON, AES-256-GCM under the job key, base64.
  bounds          text NOT NULL,
  generation      integer NOT NULL,
  done            boolean NOT NULL DEFAULT false,
  -- Head of the partition's hash chain once done, hex.
  head            text,
  PRIMARY KEY (run, partition)
);
CREATE INDEX partition_table ON lethe.partition (run, table_id);

CREATE TABLE lethe.batch (
  run             uuid NOT NULL,
  partition       integer NOT NULL,
  batch           integer NOT NULL,
  table_id        integer NOT NULL,
  state           text NOT NULL CHECK (state IN ('claimed', 'committed', 'failed')),
  bounds          text NOT NULL,
  generation      integer NOT NULL,
  attempt         integer NOT NULL DEFAULT 1,
  -- Rows written, rows in quarantine, rows the source had in the bounds (= written + quarantined).
  rows            bigint,
  quarantined     bigint,
  bytes           bigint,
  -- Rows by rule name; outputs equal to their inputs by column (row-aligned leaks); rows without a value are not counted.
  rules           jsonb,
  leaks           jsonb,
  source_digest   text,
  output_digest   text,
  evidence        bytea,
  -- Error class of the last failure: SQLSTATE or error type.
  error           text,
  -- SHA-256, hex, over the previous batch's and this batch's facts.
  chain           text,
  backend         text,
  claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  committed_at    timestamptz,
  PRIMARY KEY (run, partition, batch),
  FOREIGN KEY (run, partition) REFERENCES lethe.partition ON DELETE CASCADE
);

CREATE TABLE lethe.ddl (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The run that owes it now; a later run adopts it.
  run             uuid NOT NULL,
  schema_name     text NOT NULL,
  table_name      text NOT NULL,
  kind            text NOT NULL,
  object_name     text NOT NULL,
  -- Statements that put it back exactly, in order.
  restore         text[] NOT NULL,
  -- Order of restoration: lower first (indexes before foreign keys, foreign keys before triggers).
  phase           integer NOT NULL,
  -- What settle needs: columns, referenced table, predicate, keys.
  facts           jsonb NOT NULL DEFAULT '{}',
  -- open → restored; or open → owed (put back NOT VALID, because too many rows violate it) → restored.
  state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'owed', 'restored')),
  taken_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  restored_at     timestamptz
);
CREATE INDEX ddl_open ON lethe.ddl (schema_name, table_name) WHERE state <> 'restored';

CREATE TABLE lethe.quarantine (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run             uuid NOT NULL,
  table_id        integer NOT NULL,
  partition       integer,
  batch           integer,
  -- The row's source key as JSON, AES-256-GCM under the job key, base64.
  key             text NOT NULL,
  -- Keyed hash of the same, hex: makes recording a row idempotent.
  key_hash        text NOT NULL,
  code            text NOT NULL,
  constraint_name text,
  column_name     text,
  rule            text,
  message         text NOT NULL,
  waits_for_parent boolean NOT NULL DEFAULT false,
  replayed_at     timestamptz,
  UNIQUE (run, table_id, key_hash)
);

CREATE TABLE lethe.snapshot (
  run             uuid NOT NULL,
  generation      integer NOT NULL,
  holder          integer NOT NULL,
  exported_id     text NOT NULL,
  opened          timestamptz NOT NULL DEFAULT clock_timestamp(),
  lost            timestamptz,
  PRIMARY KEY (run, generation, holder)
);
