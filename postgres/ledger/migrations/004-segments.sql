-- At its end a run is checked once a segment: 0 as it was started, n its n-th replay. A retry of that check replaces what
-- it found before. Null: by `lethe validate`, or of before this was written down.

ALTER TABLE lethe.check_result ADD COLUMN segment integer;
CREATE UNIQUE INDEX check_result_segment ON lethe.check_result (run, segment);

ALTER TABLE lethe.replay
  -- Ids of tables that are loaded again whole, since a corrected job changed columns of theirs that others depend on.
  ADD COLUMN again integer[] NOT NULL DEFAULT '{}',
  -- They were emptied: from then on the run goes by this plan, also in later replays.
  ADD COLUMN opened boolean NOT NULL DEFAULT false;
