-- Replays of failed runs: each is one more signed segment of the run.

CREATE TABLE lethe.replay (
  run             uuid NOT NULL REFERENCES lethe.run ON DELETE CASCADE,
  -- 1, 2, …: the segment. The run as it was started is segment 0.
  n               integer NOT NULL,
  -- Who does it: namespace, id and first execution of the workflow. A retry finds its own row by it.
  namespace       text NOT NULL,
  workflow_id     text NOT NULL,
  execution       text NOT NULL,
  -- What it works by: the pinned plan and job text, with what a corrected job changed.
  plan            jsonb NOT NULL,
  job_text        text NOT NULL,
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The run's report as it was before, with its signature: the segment that this one follows.
  report          jsonb,
  signature       text,
  public_key      text,
  PRIMARY KEY (run, n)
);

-- Set: these rows were copied one by one, by their keys, in that replay; the partition is no range.
ALTER TABLE lethe.partition ADD COLUMN replay integer;

ALTER TABLE lethe.quarantine
  -- How often settle took the row out of the table again, after a batch had written it.
  ADD COLUMN removed integer NOT NULL DEFAULT 0,
  -- The last pass of a replay that tried the row.
  ADD COLUMN tried integer NOT NULL DEFAULT 0,
  -- How it left the quarantine, with `replayed_at`: it was copied, or the source selects it no more.
  ADD COLUMN outcome text CHECK (outcome IN ('copied', 'gone'));
UPDATE lethe.quarantine SET removed = 1 WHERE partition IS NULL;
