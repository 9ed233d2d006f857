-- What a run was found to be when it was checked: at its end, and whenever somebody asked again. Numbers and names.

CREATE TABLE lethe.check_result (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run             uuid NOT NULL REFERENCES lethe.run ON DELETE CASCADE,
  job             text NOT NULL,
  checked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- `run`: at its end. `validate`: by `lethe validate`, with the source as it was then.
  origin          text NOT NULL CHECK (origin IN ('run', 'validate')),
  ok              boolean NOT NULL,
  seconds         double precision NOT NULL,
  -- State of the source that was read, as `pg_current_snapshot()`: tells later which rows have changed since.
  source_snapshot text,
  checks          jsonb NOT NULL,
  -- By column: counts of both sides and their distance.
  distributions   jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX check_result_job ON lethe.check_result (job, checked_at);
CREATE INDEX check_result_run ON lethe.check_result (run);
