-- The key store. Nothing here is a secret by itself: day keys are wrapped under masters that live elsewhere.

CREATE TABLE lethe_keys.store (
  one             boolean PRIMARY KEY DEFAULT true CHECK (one),
  id              text NOT NULL,
  -- Time is what `clock` says; never changes.
  simulated       boolean NOT NULL,
  clock           timestamptz CHECK (simulated = (clock IS NOT NULL)),
  -- Public half of the key that signs receipts, base64.
  public_key      text NOT NULL,
  -- Raised by everything that makes a ring that was handed out wrong.
  epoch           bigint NOT NULL DEFAULT 1,
  -- Raised by every change; the second copy holds everything up to `copied`.
  revision        bigint NOT NULL DEFAULT 1,
  copied          bigint NOT NULL DEFAULT 0,
  -- Of the last recorded run of destruction; at first when the store was made.
  last_cutoff     timestamptz NOT NULL,
  last_generated  timestamptz,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE lethe_keys.policy (
  id             text PRIMARY KEY CHECK (id ~ '^[a-z0-9]{2}$'),
  window_days    integer NOT NULL CHECK (window_days > 0),
  required_grade text NOT NULL,
  -- All its keys were destroyed on request: it gets none any more.
  ended_at       timestamptz
);

CREATE TABLE lethe_keys.master (
  id           text PRIMARY KEY,
  state        text NOT NULL CHECK (state IN ('created', 'active', 'retiring', 'destroyed')),
  grade        text,
  until        timestamptz,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  destroyed_at timestamptz
);

CREATE TABLE lethe_keys.day_key (
  policy      text NOT NULL,
  day         date NOT NULL,
  destroy_at  timestamptz NOT NULL,
  master      text NOT NULL REFERENCES lethe_keys.master,
  wrapped     bytea NOT NULL,
  fingerprint text NOT NULL,
  canary      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (policy, day)
);
CREATE INDEX ON lethe_keys.day_key (destroy_at);

CREATE TABLE lethe_keys.destruction (
  id          bigint PRIMARY KEY,
  cause       text NOT NULL CHECK (cause IN ('due', 'early', 'rotate')),
  -- Of `early`: what was asked for; no days means the whole policy.
  policy      text,
  days        date[],
  actor       text,
  reason      text,
  step        text NOT NULL,
  new_master  text NOT NULL,
  cutoff      timestamptz NOT NULL,
  clocks      jsonb NOT NULL,
  started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at    timestamptz
);
CREATE UNIQUE INDEX ON lethe_keys.destruction ((true)) WHERE ended_at IS NULL;

-- A day key that is gone, or about to be: never made again.
CREATE TABLE lethe_keys.tombstone (
  policy       text NOT NULL,
  day          date NOT NULL,
  destroy_at   timestamptz NOT NULL,
  fingerprint  text NOT NULL,
  canary       text NOT NULL,
  destruction  bigint NOT NULL,
  -- When its masters were destroyed, and how well.
  destroyed_at timestamptz,
  grade        text,
  until        timestamptz,
  PRIMARY KEY (policy, day)
);

CREATE FUNCTION lethe_keys.refuse_tombstone() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF EXISTS (SELECT FROM lethe_keys.tombstone t WHERE t.policy = NEW.policy AND t.day = NEW.day) THEN
    RAISE EXCEPTION 'a destroyed day key is never made again' USING ERRCODE = 'LK001';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refuse_tombstone BEFORE INSERT ON lethe_keys.day_key
  FOR EACH ROW EXECUTE FUNCTION lethe_keys.refuse_tombstone();

CREATE TABLE lethe_keys.hold (
  id          bigint PRIMARY KEY,
  policy      text NOT NULL,
  first_day   date NOT NULL,
  last_day    date NOT NULL CHECK (last_day >= first_day),
  actor       text NOT NULL,
  reason      text NOT NULL,
  held_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  released_by text,
  released_at timestamptz
);

-- Who got the keys of a day, for its receipt.
CREATE TABLE lethe_keys.export (
  policy text NOT NULL,
  day    date NOT NULL,
  actor  text NOT NULL,
  times  bigint NOT NULL DEFAULT 1,
  first  timestamptz NOT NULL,
  last   timestamptz NOT NULL,
  PRIMARY KEY (policy, day, actor)
);

CREATE TABLE lethe_keys.receipt (
  seq        bigint PRIMARY KEY,
  text       text NOT NULL,
  digest     text NOT NULL,
  signature  text NOT NULL,
  public_key text NOT NULL
);
