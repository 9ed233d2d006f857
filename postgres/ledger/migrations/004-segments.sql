-- At its end a run is checked once a segment: 0 as it was started, n its n-th replay. A retry of that check replaces what
-- it found before. Null: by `lethe validate`, or of before this was written down.

ALTER TABLE lethe.check_result ADD COLUMN segment integer;
CREATE UNIQUE INDEX check_result_segment ON lethe.check_result (run, segment);
