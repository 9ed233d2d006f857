-- Sealing and revealing over pgcrypto; {pgcrypto} is its schema. The format: docs/token-format.md.
-- Keys come as startup options: lethe.k_<policy><yymmdd> = base64url of Kx, Km and two bytes, the last day that it opens
-- anything on, counted from 2000-01-01 (0: the ring is asked, 65535: time is simulated); and for each policy
-- lethe.r_<policy> = <asOf>,<first>,<window>,<gone>+<gone>… with days as yymmdd; an empty window: time is simulated.
-- Nothing here may raise for what a token or a setting is: an EXCEPTION block does not work in parallel workers, so
-- everything is checked before it is converted. Columns may have a nondeterministic collation, under which much cannot be
-- searched for and what is not equal compares as equal: whatever takes their values goes on under "C".

CREATE OR REPLACE FUNCTION lethe.retention_version() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 3;

-- C of the format: the length of the context in two bytes, and the context.
CREATE OR REPLACE FUNCTION lethe.context_bytes(context text) RETURNS bytea
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN substring(int4send(octet_length(context)) FROM 3) || convert_to(context, 'UTF8');

-- A XOR b, of equal lengths: a varbit is sent as its length in four bytes and its bits.
CREATE OR REPLACE FUNCTION lethe.xor(a bytea, b bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN substring(varbit_send(('x' || encode(a, 'hex'))::varbit # ('x' || encode(b, 'hex'))::varbit) FROM 5);

CREATE OR REPLACE FUNCTION lethe.keystream(kx bytea, salt bytea, length integer) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  stream bytea := {pgcrypto}.hmac(salt || '\x00000000'::bytea, kx, 'sha256');
BEGIN
  FOR i IN 1 .. (length - 1) / 32 LOOP
    stream := stream || {pgcrypto}.hmac(salt || int4send(i), kx, 'sha256');
  END LOOP;
  RETURN substring(stream FOR length);
END $$;

-- Whether six digits are a day of the calendar, 2000 to 2099.
CREATE OR REPLACE FUNCTION lethe.is_date(digits text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  year integer := left(digits, 2);
  month integer := substr(digits, 3, 2);
BEGIN
  RETURN month BETWEEN 1 AND 12 AND right(digits, 2)::integer BETWEEN 1 AND
    CASE WHEN month = 2 THEN CASE WHEN year % 4 = 0 THEN 29 ELSE 28 END WHEN month IN (4, 6, 9, 11) THEN 30 ELSE 31 END;
END $$;

-- Whether a setting holds a day's keys.
CREATE OR REPLACE FUNCTION lethe.is_key(setting text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(setting) IN (86, 88) AND setting COLLATE "C" !~ '[^A-Za-z0-9_-]';

-- The bytes of such a setting.
CREATE OR REPLACE FUNCTION lethe.key_bytes(setting text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN decode(replace(replace(rpad(setting, 88, '='), '-', '+'), '_', '/'), 'base64');

-- Why a day (policy and date, as in a header) cannot be read: n no token, k no key, e expired; null: it can be.
-- A policy that is in use for years has thousands of bytes of gone days: only days from the first one on are sought there,
-- and a fault in them is noticed then only.
CREATE OR REPLACE FUNCTION lethe.closed(id text) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  day text := right(id, 6);
  ring text := current_setting('lethe.r_' || left(id, 2), true);
  today date := (statement_timestamp() AT TIME ZONE 'UTC')::date;
  as_of text;
  first text;
  days text;
  gone text;
BEGIN
  IF NOT lethe.is_date(day) THEN RETURN 'n'; END IF;
  IF ring IS NULL OR left(ring, 20) COLLATE "C" !~ '^[0-9]{6},[0-9]{6},[0-9]{0,5},' THEN RETURN 'k'; END IF;
  as_of := left(ring, 6);
  first := substr(ring, 8, 6);
  days := split_part(left(ring, 20), ',', 3);
  IF days <> '' THEN
    as_of := greatest(as_of COLLATE "C", to_char(today, 'YYMMDD'));
    first := greatest(first COLLATE "C", to_char(greatest(today - days::integer, '2000-01-01'), 'YYMMDD'));
  END IF;
  IF day < first COLLATE "C" THEN RETURN 'e'; END IF;
  gone := substr(ring, 16 + octet_length(days));
  IF gone COLLATE "C" !~ '^(?:[0-9]{6}(?:\+[0-9]{6})*)?$' THEN RETURN 'k'; END IF;
  IF strpos(gone, day) > 0 THEN RETURN 'e'; END IF;
  IF day > as_of COLLATE "C" THEN RETURN 'k'; END IF;
  RETURN CASE WHEN lethe.is_key(current_setting('lethe.k_' || id, true)) THEN NULL ELSE 'k' END;
END $$;

-- Opens a text that matches the expression of a token's form from end to end. The first byte of the result says what
-- came of it: v value (which follows), e expired, k no key, t tampered, n no token.
CREATE OR REPLACE FUNCTION lethe.open_token(token text, context text) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  id text := split_part(token, '.', 2);
  why text := lethe.closed(id);
  length integer := octet_length(token) - 14;
  keys bytea;
  body bytea;
  mac bytea;
BEGIN
  IF why IS NOT NULL OR length NOT BETWEEN 38 AND 87419 THEN
    RETURN convert_to(CASE WHEN length BETWEEN 38 AND 87419 THEN why ELSE 'n' END, 'UTF8');
  END IF;
  keys := lethe.key_bytes(current_setting('lethe.k_' || id));
  body := decode(replace(replace(split_part(token, '.', 3), '-', '+'), '_', '/') || repeat('=', -length & 3), 'base64');
  length := octet_length(body) - 28;
  IF octet_length(context) > 1024 THEN RETURN 't'; END IF;
  mac := {pgcrypto}.hmac(
    convert_to(left(token, 13), 'UTF8') || substring(int4send(octet_length(context)) FROM 3) || convert_to(context, 'UTF8')
      || substring(body FOR 12 + length),
    substring(keys FROM 33 FOR 32), 'sha256');
  -- Counted, not compared: the time must not depend on where the tags differ.
  IF bit_count(lethe.xor(substring(body FROM 13 + length), substring(mac FOR 16))) <> 0 THEN RETURN 't'; END IF;
  IF length > 0 THEN
    body := lethe.xor(
      substring(body FROM 13 FOR length),
      lethe.keystream(substring(keys FOR 32), substring(body FOR 12), length));
  ELSE
    body := '';
  END IF;
  IF substr(token, 2, 1) IN ('p', 'q') THEN
    body := rtrim(body, '\x00'::bytea);
    length := octet_length(body);
    IF length = 0 OR get_byte(body, length - 1) <> 128 THEN RETURN 't'; END IF;
    body := substring(body FOR length - 1);
  END IF;
  IF substr(token, 2, 1) IN ('t', 'p') AND NOT lethe.is_text(body) THEN RETURN 't'; END IF;
  RETURN 'v'::bytea || body;
END $$;

-- Whether bytes are UTF-8 without U+0000. As LATIN1 they are text in any case, one character a byte.
CREATE OR REPLACE FUNCTION lethe.is_text(bytes bytea) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  characters text;
BEGIN
  IF position('\x00'::bytea IN bytes) > 0 THEN RETURN false; END IF;
  characters := convert_from(bytes, 'LATIN1');
  RETURN octet_length(characters) = octet_length(bytes) OR characters COLLATE "C" ~ ('^(?:[\u0001-\u007f]'
    || '|[\u00c2-\u00df][\u0080-\u00bf]'
    || '|\u00e0[\u00a0-\u00bf][\u0080-\u00bf]|[\u00e1-\u00ec\u00ee\u00ef][\u0080-\u00bf]{2}|\u00ed[\u0080-\u009f][\u0080-\u00bf]'
    || '|\u00f0[\u0090-\u00bf][\u0080-\u00bf]{2}|[\u00f1-\u00f3][\u0080-\u00bf]{3}|\u00f4[\u0080-\u008f][\u0080-\u00bf]{2})*$');
END $$;

-- Whether a text has the form of a token; its date and the length of its body are looked at by open_token. One expression
-- for all of it takes twice the time.
CREATE OR REPLACE FUNCTION lethe.is_token(value text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN value COLLATE "C" LIKE 'l_1.________.%.' AND value COLLATE "C" !~ '[^.A-Za-z0-9_-]'
  AND left(value, 13) COLLATE "C" ~ '^l[tpbq]1\.[a-z0-9]{2}[0-9]{6}\.$'
  AND octet_length(split_part(value COLLATE "C", '.', 3)) = octet_length(value) - 14
  AND CASE octet_length(value) & 3 WHEN 2 THEN octet_length(value) > 14
    WHEN 0 THEN strpos('A.Q.g.w.', right(value, 2) COLLATE "C") > 0
    WHEN 1 THEN strpos('A.E.I.M.Q.U.Y.c.g.k.o.s.w.0.4.8.', right(value, 2) COLLATE "C") > 0 ELSE value IS NULL END;

-- What becomes of a text as one token: value, expired, noKey, tampered or notToken.
CREATE OR REPLACE FUNCTION lethe.outcome(token text, context text DEFAULT '') RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
BEGIN
  IF NOT lethe.is_token(token) THEN RETURN 'notToken'; END IF;
  RETURN CASE get_byte(lethe.open_token(token COLLATE "C", context), 0)
    WHEN 118 THEN 'value' WHEN 101 THEN 'expired' WHEN 107 THEN 'noKey' WHEN 116 THEN 'tampered' ELSE 'notToken' END;
END $$;

-- The bytes of a token, whatever its kind; null where it cannot be read.
CREATE OR REPLACE FUNCTION lethe.reveal_bytes(token text, context text DEFAULT '') RETURNS bytea
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  opened bytea;
BEGIN
  IF NOT lethe.is_token(token) THEN RETURN NULL; END IF;
  opened := lethe.open_token(token COLLATE "C", context);
  RETURN CASE WHEN get_byte(opened, 0) = 118 THEN substring(opened FROM 2) END;
END $$;

-- The keys of a day (policy and date, as in a header) that the session may read now; null: none, or only the ring can tell.
CREATE OR REPLACE FUNCTION lethe.day_keys(id text) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  setting text := current_setting('lethe.k_' || id, true);
  bytes bytea;
BEGIN
  IF setting IS NULL OR octet_length(setting) <> 88 OR setting COLLATE "C" ~ '[^A-Za-z0-9_-]' THEN RETURN NULL; END IF;
  bytes := decode(replace(replace(setting, '-', '+'), '_', '/'), 'base64');
  IF statement_timestamp() >= to_timestamp(86400::float8 * (10958 + (get_byte(bytes, 64) << 8) + get_byte(bytes, 65)))
  THEN RETURN NULL; END IF;
  RETURN bytes;
END $$;

-- The same of all days of some policies, for one query over many rows: first nine bytes a day, policy, date and a bar, the
-- newest first, then the keys in that order. Empty where there are none.
CREATE OR REPLACE FUNCTION lethe.readable_keys(policies text[]) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  ids bytea;
  keys bytea;
BEGIN
  SELECT string_agg(convert_to(id || '|', 'UTF8'), NULL ORDER BY day DESC, id), string_agg(substring(pair FOR 64), NULL ORDER BY day DESC, id)
  INTO ids, keys
  FROM (SELECT day, p || to_char(day, 'YYMMDD') AS id, lethe.day_keys(p || to_char(day, 'YYMMDD')) AS pair
    FROM unnest(policies) AS p, lethe.ring_days(p) AS day OFFSET 0) AS days
  WHERE pair IS NOT NULL;
  RETURN coalesce(ids || keys, '');
END $$;

-- Opens, the fast way, what is one token of text that can be read; null for everything else. Before the tag it checks only
-- what keeps it from raising and what the tag does not say. Without keys of `readable_keys` it asks the session for them.
CREATE OR REPLACE FUNCTION lethe.open_with(token text, context text, keys bytea) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  body text := split_part(token, '.', 3);
  length integer := octet_length(token) - 14;
  bytes bytea;
  header bytea;
  at integer := 0;
  shown text;
BEGIN
  IF octet_length(body) = length AND length BETWEEN 38 AND 87419 AND length & 3 <> 1
    AND (token LIKE 'lt1.%' OR token LIKE 'lp1.%') AND token COLLATE "C" !~ '[^.A-Za-z0-9_-]' AND octet_length(context) <= 1024
  THEN
    -- No backslash is in it.
    header := left(token, 13)::bytea;
    IF keys IS NULL THEN
      keys := lethe.day_keys(substr(token, 5, 8));
      IF keys IS NULL THEN RETURN NULL; END IF;
    ELSE
      at := position(substring(header FROM 5 FOR 8) IN keys);
      IF at = 0 THEN RETURN NULL; END IF;
      at := octet_length(keys) / 73 * 9 + at / 9 * 64;
    END IF;
    -- Filled up with zero bits instead of "=": they and the unused bits of the last character come out as bytes behind the tag.
    bytes := decode(replace(replace(body, '-', '+'), '_', '/') || CASE length & 3 WHEN 0 THEN '' WHEN 2 THEN 'AA' ELSE 'A' END, 'base64');
    length := length * 3 / 4 - 28;
    -- Both streams and what they cover, in one go.
    bytes := substring(varbit_send(('x' || encode(substring(bytes FROM 13), 'hex'))::varbit # ('x' || encode(
      CASE WHEN length > 32 THEN lethe.keystream(substring(keys FROM at + 1 FOR 32), substring(bytes FOR 12), length)
        ELSE substring({pgcrypto}.hmac(substring(bytes FOR 12) || '\x00000000'::bytea, substring(keys FROM at + 1 FOR 32), 'sha256') FOR length) END
      || substring({pgcrypto}.hmac(
        header || CASE WHEN context = '' THEN '\x0000'::bytea ELSE substring(int4send(octet_length(context)) FROM 3) || convert_to(context, 'UTF8') END
          || substring(bytes FOR 12 + length),
        substring(keys FROM at + 33 FOR 32), 'sha256') FOR 16)
      || CASE octet_length(bytes) - length WHEN 28 THEN ''::bytea WHEN 29 THEN '\x00' ELSE '\x0000' END, 'hex'))::varbit) FROM 5);
    -- Counted, not compared: the time must not depend on where the tags differ.
    IF bit_count(substring(bytes FROM length + 1)) = 0 THEN
      bytes := substring(bytes FOR length);
      IF token LIKE 'lp%' THEN
        bytes := rtrim(bytes, '\x00'::bytea);
        length := octet_length(bytes) - 1;
        IF length < 0 OR get_byte(bytes, length) <> 128 THEN RETURN NULL; END IF;
        bytes := substring(bytes FOR length);
      END IF;
      shown := encode(bytes, 'escape');
      IF octet_length(shown) = length THEN RETURN shown; END IF;
      IF lethe.is_text(bytes) THEN RETURN convert_from(bytes, 'UTF8'); END IF;
    END IF;
  END IF;
  RETURN NULL;
END $$;

-- Reveals every token inside a text, whatever it is and became. A token's header, id and body end with a dot each and hold
-- no other, so the text is cut at its dots.
CREATE OR REPLACE FUNCTION lethe.reveal_parts(
  value text, context text, keys bytea, expired text, no_key text, tampered text, "binary" text
) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  whole boolean := lethe.is_token(value);
  parts text[];
  at integer := 1;
  -- Everything before this part is shown already.
  rest integer := 1;
  found text := value;
  opened bytea;
  what integer;
  shown text;
  result text := '';
BEGIN
  IF value IS NULL OR context IS NULL THEN RETURN value; END IF;
  IF NOT whole THEN parts := string_to_array(value, '.'); END IF;
  WHILE whole OR at <= cardinality(parts) - 3 LOOP
    IF NOT whole THEN
      IF octet_length(parts[at + 1]) <> 8 OR parts[at] NOT LIKE '%l_1' THEN
        at := at + 1;
        CONTINUE;
      END IF;
      found := right(parts[at], 3) || '.' || parts[at + 1] || '.' || parts[at + 2] || '.';
    END IF;
    -- Of a whole text that comes without keys it was tried already.
    shown := CASE WHEN NOT whole OR keys IS NOT NULL THEN lethe.open_with(found, context, keys) END;
    what := 118;
    IF shown IS NULL THEN
      opened := CASE WHEN whole OR lethe.is_token(found) THEN lethe.open_token(found, context) ELSE 'n' END;
      what := get_byte(opened, 0);
      shown := CASE what WHEN 101 THEN expired WHEN 107 THEN no_key WHEN 116 THEN tampered
        WHEN 118 THEN CASE WHEN substr(found, 2, 1) IN ('t', 'p') THEN convert_from(substring(opened FROM 2), 'UTF8') ELSE "binary" END
        ELSE value END;
    END IF;
    IF whole THEN RETURN shown; END IF;
    IF what = 110 THEN
      at := at + 1;
      CONTINUE;
    END IF;
    IF rest <= at THEN result := result || left(array_to_string(parts[rest:at], '.'), -3); END IF;
    result := result || coalesce(shown, '');
    -- The next token may start in the last four characters of one whose tag is wrong.
    rest := at + 3;
    at := CASE WHEN what = 116 THEN at + 2 ELSE rest END;
  END LOOP;
  RETURN result || array_to_string(parts[rest:], '.');
END $$;

-- Reveals every token inside a text, with keys that were asked for once, as masked views of columns that are sealed whole
-- do; null: it asks the session. What cannot be read becomes its marker, all else stays. A marker that is null makes a text
-- that is one token null, and is nothing inside a longer one. The planner puts this body in the place of its call, which
-- names the keys once: it would not if they were named twice.
CREATE OR REPLACE FUNCTION lethe.reveal_with(
  value text,
  context text,
  keys bytea,
  expired text DEFAULT '[expired]',
  no_key text DEFAULT '[no key]',
  tampered text DEFAULT '[tampered]',
  "binary" text DEFAULT '[binary]'
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN strpos(value COLLATE "C", '1.') > 0
  THEN coalesce(lethe.open_with(value COLLATE "C", context, keys),
    lethe.reveal_parts(value COLLATE "C", context, NULL, expired, no_key, tampered, "binary"))
  ELSE value END;

-- The same for a text alone. The planner puts the body of that in the place of its call too.
CREATE OR REPLACE FUNCTION lethe.reveal(
  value text,
  context text DEFAULT '',
  expired text DEFAULT '[expired]',
  no_key text DEFAULT '[no key]',
  tampered text DEFAULT '[tampered]',
  "binary" text DEFAULT '[binary]'
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN lethe.reveal_with(value, context, NULL, expired, no_key, tampered, "binary");

-- The same with keys for columns in whose texts tokens are parts.
CREATE OR REPLACE FUNCTION lethe.reveal_inside(
  value text,
  context text,
  keys bytea,
  expired text DEFAULT '[expired]',
  no_key text DEFAULT '[no key]',
  tampered text DEFAULT '[tampered]',
  "binary" text DEFAULT '[binary]'
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN strpos(value COLLATE "C", '1.') > 0
  THEN lethe.reveal_parts(value COLLATE "C", context, keys, expired, no_key, tampered, "binary") ELSE value END;

-- Seals bytes under a given salt, or under that of deterministic tokens where it is null.
CREATE OR REPLACE FUNCTION lethe.seal_with_salt(
  value bytea, kind text, policy text, context text, day date, pad integer, salt bytea
) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  id text := policy || to_char(day, 'YYMMDD');
  header bytea;
  why text;
  c bytea := lethe.context_bytes(context);
  keys bytea;
  body bytea;
BEGIN
  IF value IS NULL THEN RETURN NULL; END IF;
  IF policy COLLATE "C" !~ '^[a-z0-9]{2}$' OR policy IS NULL THEN
    RAISE EXCEPTION 'A policy id is two characters of a-z and 0-9' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF day IS NULL OR day NOT BETWEEN '2000-01-01' AND '2099-12-31' THEN
    RAISE EXCEPTION 'A value to seal needs a day from 2000 to 2099' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF c IS NULL OR octet_length(c) > 1026 THEN
    RAISE EXCEPTION 'A context has at most 1024 bytes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF pad > 0 THEN
    value := value || '\x80'::bytea;
    value := value || decode(repeat('00', (pad - octet_length(value) % pad) % pad), 'hex');
  END IF;
  IF octet_length(value) > 65536 THEN
    RAISE EXCEPTION 'A value of % bytes does not fit into a token (at most 65536)', octet_length(value)
      USING ERRCODE = 'string_data_right_truncation';
  END IF;
  why := lethe.closed(id);
  IF why IS NOT NULL THEN
    RAISE EXCEPTION 'There is no key of policy % for %', policy, to_char(day, 'YYYY-MM-DD')
      USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'Open the session with the keys of that policy and day: lethe retention exec.';
  END IF;
  header := convert_to('l' || kind || '1.' || id || '.', 'UTF8');
  keys := lethe.key_bytes(current_setting('lethe.k_' || id));
  salt := coalesce(salt,
    substring({pgcrypto}.hmac('det'::bytea || header || c || value, substring(keys FROM 33 FOR 32), 'sha256') FOR 12));
  body := salt;
  IF octet_length(value) > 0 THEN
    body := body || lethe.xor(value, lethe.keystream(substring(keys FOR 32), salt, octet_length(value)));
  END IF;
  body := body || substring({pgcrypto}.hmac(header || c || body, substring(keys FROM 33 FOR 32), 'sha256') FOR 16);
  RETURN convert_from(header, 'UTF8') || replace(replace(replace(replace(encode(body, 'base64'), E'\n', ''), '+', '-'), '/', '_'), '=', '') || '.';
END $$;

CREATE OR REPLACE FUNCTION lethe.today() RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE RETURN (statement_timestamp() AT TIME ZONE 'UTC')::date;

-- Seals a text. Raises, and changes nothing, where there is no key or no token can hold the value.
CREATE OR REPLACE FUNCTION lethe.seal(
  value text, policy text, context text DEFAULT '', day date DEFAULT lethe.today(), pad integer DEFAULT 0
) RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN lethe.seal_with_salt(convert_to(value, 'UTF8'), CASE WHEN pad > 0 THEN 'p' ELSE 't' END, policy COLLATE "C", context, day, pad,
  {pgcrypto}.gen_random_bytes(12));

-- Seals bytes.
CREATE OR REPLACE FUNCTION lethe.seal(
  value bytea, policy text, context text DEFAULT '', day date DEFAULT lethe.today(), pad integer DEFAULT 0
) RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN lethe.seal_with_salt(value, CASE WHEN pad > 0 THEN 'q' ELSE 'b' END, policy, context, day, pad,
  {pgcrypto}.gen_random_bytes(12));

-- Seals a text so that equal values of one day have equal tokens, which an index can find.
CREATE OR REPLACE FUNCTION lethe.seal_deterministic(
  value text, policy text, context text DEFAULT '', day date DEFAULT lethe.today(), pad integer DEFAULT 0
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN lethe.seal_with_salt(convert_to(value, 'UTF8'), CASE WHEN pad > 0 THEN 'p' ELSE 't' END, policy COLLATE "C", context, day, pad, NULL);

-- What stays where values are sealed: what opens, and tokens that are expired or that the session has no key for.
CREATE OR REPLACE FUNCTION lethe.is_sealed(value text, context text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN lethe.outcome(value, context) IN ('value', 'expired', 'noKey');

-- The same of a string in a document, which may be the token of a number or boolean, too.
CREATE OR REPLACE FUNCTION lethe.is_sealed_leaf(leaf text, context text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN lethe.is_sealed(leaf, context) OR lethe.outcome(leaf, context || '#json') = 'value';

-- Seals every leaf of a document: strings as they are, numbers and booleans as JSON under the context and #json. Tokens stay,
-- so that it may run twice, also those that the session has no key for.
CREATE OR REPLACE FUNCTION lethe.seal_leaves(
  leaves jsonb, policy text, context text, day date, pad integer
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
  RETURN CASE jsonb_typeof(leaves)
    WHEN 'object' THEN coalesce((SELECT jsonb_object_agg(key, lethe.seal_leaves(value, policy, context, day, pad))
      FROM jsonb_each(leaves)), leaves)
    WHEN 'array' THEN coalesce((SELECT jsonb_agg(lethe.seal_leaves(value, policy, context, day, pad) ORDER BY ordinality)
      FROM jsonb_array_elements(leaves) WITH ORDINALITY), leaves)
    WHEN 'string' THEN CASE WHEN lethe.is_sealed_leaf(leaves #>> '{}', context) THEN leaves
      ELSE to_jsonb(lethe.seal(leaves #>> '{}', policy, context, day, pad)) END
    WHEN 'null' THEN leaves
    ELSE to_jsonb(lethe.seal(leaves::text, policy, context || '#json', day, pad)) END;
END $$;

-- Seals what stands at a path of a document, such as '{client,ip}', leaf by leaf. JSON null, what is empty and tokens stay.
CREATE OR REPLACE FUNCTION lethe.seal_json(
  document jsonb, path text[], policy text, context text DEFAULT '', day date DEFAULT lethe.today(), pad integer DEFAULT 0
) RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN CASE WHEN document #> path IS NULL THEN document
  WHEN cardinality(path) = 0 THEN lethe.seal_leaves(document, policy, context, day, pad)
  ELSE jsonb_set(document, path, lethe.seal_leaves(document #> path, policy, context, day, pad), false) END;

-- Seals a text, so that it can be searched or not.
CREATE OR REPLACE FUNCTION lethe.seal_as(
  value text, policy text, context text, day date, pad integer, searchable boolean
) RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN CASE WHEN searchable THEN lethe.seal_deterministic(value, policy, context, day, pad)
  ELSE lethe.seal(value, policy, context, day, pad) END;

-- What is left of paths below a member (its name) or an element (its index): each is a list of steps, {"deep", "key"} with
-- null for any key. A path without steps takes everything.
CREATE OR REPLACE FUNCTION lethe.paths_below(paths jsonb, key jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT CASE WHEN bool_or(path = '[]') THEN '[[]]' ELSE coalesce(jsonb_agg(onward) FILTER (WHERE onward IS NOT NULL), '[]') END
  FROM jsonb_array_elements(paths) AS path LEFT JOIN LATERAL (
    SELECT path AS onward WHERE path -> 0 -> 'deep' = 'true'
    UNION ALL SELECT path - 0 WHERE path -> 0 -> 'key' IN ('null', key)) AS below ON true);

-- Seals the leaves of a document that paths name: strings as they are, numbers and booleans as JSON under the context and
-- #json. Strings that are tokens already, as far as this session can tell, stay, and so does what redaction writes.
CREATE OR REPLACE FUNCTION lethe.seal_paths(
  document jsonb, paths jsonb, policy text, context text, day date, pad integer, searchable boolean, stays text
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  leaf text;
BEGIN
  IF paths = '[]' THEN RETURN document; END IF;
  CASE jsonb_typeof(document)
    WHEN 'object' THEN
      RETURN coalesce((SELECT jsonb_object_agg(m.key,
          lethe.seal_paths(m.value, lethe.paths_below(paths, to_jsonb(m.key)), policy, context, day, pad, searchable, stays))
        FROM jsonb_each(document) AS m), document);
    WHEN 'array' THEN
      RETURN coalesce((SELECT jsonb_agg(
          lethe.seal_paths(m.value, lethe.paths_below(paths, to_jsonb(m.ordinality - 1)), policy, context, day, pad, searchable, stays)
          ORDER BY m.ordinality)
        FROM jsonb_array_elements(document) WITH ORDINALITY AS m), document);
    ELSE
      IF jsonb_typeof(document) = 'null' OR NOT EXISTS (SELECT FROM jsonb_array_elements(paths) AS path WHERE path = '[]')
      THEN RETURN document; END IF;
      IF jsonb_typeof(document) <> 'string' THEN
        RETURN to_jsonb(lethe.seal_as(document::text, policy, context || '#json', day, pad, searchable));
      END IF;
      leaf := document #>> '{}';
      IF leaf = stays OR lethe.is_sealed_leaf(leaf, context) THEN RETURN document; END IF;
      RETURN to_jsonb(lethe.seal_as(leaf, policy, context, day, pad, searchable));
  END CASE;
END $$;

-- The token that bytes are, as a text; null: they are none.
CREATE OR REPLACE FUNCTION lethe.token_of(value bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  characters text;
BEGIN
  IF octet_length(value) NOT BETWEEN 52 AND 87433 OR substring(value FOR 1) <> 'l' THEN RETURN NULL; END IF;
  characters := encode(value, 'escape');
  RETURN CASE WHEN lethe.is_token(characters) THEN characters END;
END $$;

-- The bytes that stand in a column of sealed bytes, as tokens in the bytes of their characters; markers as theirs.
CREATE OR REPLACE FUNCTION lethe.reveal_column(
  value bytea,
  context text,
  expired text DEFAULT '[expired]',
  no_key text DEFAULT '[no key]',
  tampered text DEFAULT '[tampered]'
) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  token text := lethe.token_of(value);
  opened bytea;
BEGIN
  IF token IS NULL OR context IS NULL THEN RETURN value; END IF;
  opened := lethe.open_token(token, context);
  RETURN CASE get_byte(opened, 0) WHEN 118 THEN substring(opened FROM 2) WHEN 101 THEN convert_to(expired, 'UTF8')
    WHEN 107 THEN convert_to(no_key, 'UTF8') WHEN 116 THEN convert_to(tampered, 'UTF8') ELSE value END;
END $$;

-- Seals bytes for such a column; tokens stay, as far as this session can tell, and so does what redaction writes.
CREATE OR REPLACE FUNCTION lethe.seal_column(
  value bytea, policy text, context text, day date, pad integer, searchable boolean, stays text
) RETURNS bytea
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
  IF value = convert_to(stays, 'UTF8') OR lethe.is_sealed(lethe.token_of(value), context) THEN RETURN value; END IF;
  RETURN convert_to(lethe.seal_with_salt(value, CASE WHEN pad > 0 THEN 'q' ELSE 'b' END, policy, context, day, pad,
    CASE WHEN searchable THEN NULL ELSE {pgcrypto}.gen_random_bytes(12) END), 'UTF8');
END $$;

-- Seals what an expression without groups finds in a text without tokens, where it is also what `accepts` says.
CREATE OR REPLACE FUNCTION lethe.seal_found(
  value text, expression text, flags text, accepts text, policy text, context text, day date, pad integer, searchable boolean
) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
  -- What lies before each match, and the match; behind the last one there is none.
  RETURN (SELECT string_agg(part || CASE WHEN hit IS NULL THEN '' WHEN accepts IS NULL OR hit[1] COLLATE "C" ~ accepts
      THEN lethe.seal_as(hit[1], policy, context, day, pad, searchable) ELSE hit[1] END, '' ORDER BY n)
    FROM ROWS FROM (unnest(regexp_split_to_array(value COLLATE "C", expression, flags)),
      regexp_matches(value COLLATE "C", expression, flags || 'g')) WITH ORDINALITY AS found_parts (part, hit, n));
END $$;

-- The same between the tokens of a text, which stay as far as this session can tell: no body of a token is short enough for
-- a match to hide in it.
CREATE OR REPLACE FUNCTION lethe.seal_matches(
  value text, expression text, flags text, accepts text, policy text, context text, day date, pad integer, searchable boolean
) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  parts text[] COLLATE "C" := string_to_array(value COLLATE "C", '.');
  at integer := 1;
  rest integer := 1;
  token text COLLATE "C";
  result text := '';
BEGIN
  WHILE at <= cardinality(parts) - 3 LOOP
    token := CASE WHEN octet_length(parts[at + 1]) = 8 AND parts[at] LIKE '%l_1'
      THEN right(parts[at], 3) || '.' || parts[at + 1] || '.' || parts[at + 2] || '.' END;
    IF lethe.is_sealed(token, context) THEN
      result := result
        || lethe.seal_found(left(array_to_string(parts[rest:at], '.'), -3), expression, flags, accepts, policy, context, day, pad, searchable)
        || token;
      at := at + 3;
      rest := at;
    ELSE
      at := at + 1;
    END IF;
  END LOOP;
  RETURN result || lethe.seal_found(array_to_string(parts[rest:], '.'), expression, flags, accepts, policy, context, day, pad, searchable);
END $$;

-- Whether a text is a JSON number that a jsonb can hold, or true, false, null, {} or [].
CREATE OR REPLACE FUNCTION lethe.is_json_leaf(value text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN octet_length(value) <= 1000
  AND value COLLATE "C" ~ '^(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?|true|false|null|\{\}|\[\])$';

-- Reveals the tokens in all strings of a document that are values; a token of a number or boolean becomes that again.
-- What cannot be read becomes its marker, or JSON null.
CREATE OR REPLACE FUNCTION lethe.reveal_json(
  document jsonb,
  context text DEFAULT '',
  expired text DEFAULT '[expired]',
  no_key text DEFAULT '[no key]',
  tampered text DEFAULT '[tampered]',
  "binary" text DEFAULT '[binary]'
) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  value text;
  shown text;
  opened bytea;
BEGIN
  CASE jsonb_typeof(document)
    WHEN 'object' THEN
      RETURN coalesce((SELECT jsonb_object_agg(m.key, lethe.reveal_json(m.value, context, expired, no_key, tampered, "binary"))
        FROM jsonb_each(document) AS m), document);
    WHEN 'array' THEN
      RETURN coalesce((SELECT jsonb_agg(lethe.reveal_json(m.value, context, expired, no_key, tampered, "binary") ORDER BY m.ordinality)
        FROM jsonb_array_elements(document) WITH ORDINALITY AS m), document);
    WHEN 'string' THEN
      value := document #>> '{}';
      IF strpos(value, '1.') = 0 THEN RETURN document; END IF;
      shown := lethe.open_with(value, context, NULL);
      IF shown IS NOT NULL THEN RETURN to_jsonb(shown); END IF;
      IF lethe.is_token(value) AND lethe.outcome(value, context) = 'tampered' THEN
        opened := lethe.open_token(value, context || '#json');
        IF get_byte(opened, 0) = 118 AND substr(value, 2, 1) IN ('t', 'p') THEN
          value := convert_from(substring(opened FROM 2), 'UTF8');
          IF lethe.is_json_leaf(value) THEN RETURN value::jsonb; END IF;
        END IF;
        RETURN coalesce(to_jsonb(tampered), 'null'::jsonb);
      END IF;
      RETURN coalesce(to_jsonb(lethe.reveal(value, context, expired, no_key, tampered, "binary")), 'null'::jsonb);
    ELSE
      RETURN document;
  END CASE;
END $$;

-- The days that the ring of a policy opens, as far as the calendar says; none without a ring.
CREATE OR REPLACE FUNCTION lethe.ring_days(policy text) RETURNS SETOF date
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  ring text := current_setting('lethe.r_' || policy, true);
  first date;
  last date;
BEGIN
  IF ring IS NULL OR ring COLLATE "C" !~ '^[0-9]{6},[0-9]{6},' OR policy COLLATE "C" !~ '^[a-z0-9]{2}$'
    OR NOT lethe.is_date(left(ring, 6)) OR NOT lethe.is_date(substr(ring, 8, 6)) THEN RETURN; END IF;
  first := ('20' || substr(ring, 8, 6))::date;
  last := ('20' || left(ring, 6))::date;
  IF split_part(ring, ',', 3) <> '' THEN last := greatest(last, lethe.today()); END IF;
  RETURN QUERY SELECT first + n FROM generate_series(0, least(last - first, 36525)) AS n;
END $$;

-- Of these the days that the session can read now, the oldest first: none where they are closed, null without a ring.
CREATE OR REPLACE FUNCTION lethe.open_days(policy text) RETURNS date[]
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (SELECT array_remove(array_agg(CASE WHEN lethe.closed(policy || to_char(day, 'YYMMDD')) IS NULL THEN day END ORDER BY day), NULL)
  FROM lethe.ring_days(policy) AS day);

-- The tokens that an equal text has on each day that can be read, for `column = ANY (…)` and an index on the column; of
-- policies whose tokens are deterministic only. Null without a ring of the policy.
CREATE OR REPLACE FUNCTION lethe.search_tokens(
  policy text, context text, value text, pad integer DEFAULT 0
) RETURNS text[]
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  days date[] := lethe.open_days(policy COLLATE "C");
BEGIN
  RETURN CASE WHEN days IS NOT NULL THEN
    ARRAY(SELECT lethe.seal_deterministic(value, policy, context, day, pad) FROM unnest(days) AS day) END;
END $$;

-- The same for a column of sealed bytes.
CREATE OR REPLACE FUNCTION lethe.search_tokens(
  policy text, context text, value bytea, pad integer DEFAULT 0
) RETURNS bytea[]
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
  days date[] := lethe.open_days(policy COLLATE "C");
BEGIN
  RETURN CASE WHEN days IS NOT NULL THEN
    ARRAY(SELECT convert_to(
        lethe.seal_with_salt(value, CASE WHEN pad > 0 THEN 'q' ELSE 'b' END, policy COLLATE "C", context, day, pad, NULL), 'UTF8')
      FROM unnest(days) AS day) END;
END $$;

-- Every token inside a text becomes the marker, for those who may not read; null: a text that is one token becomes null.
CREATE OR REPLACE FUNCTION lethe.mask(value text, marker text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN marker IS NULL AND lethe.is_token(value) THEN NULL WHEN strpos(value COLLATE "C", '1.') = 0 THEN value
  ELSE regexp_replace(value COLLATE "C", '(?:l[tpbq]1\.[a-z0-9]{2}[0-9]{6}\.[A-Za-z0-9_-]{38,}\.)+',
    replace(coalesce(marker, '') COLLATE "C", '\', '\\'), 'g') END;

-- The same for the strings of a document that are values.
CREATE OR REPLACE FUNCTION lethe.mask_json(document jsonb, marker text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN CASE jsonb_typeof(document)
    WHEN 'object' THEN coalesce((SELECT jsonb_object_agg(m.key, lethe.mask_json(m.value, marker)) FROM jsonb_each(document) AS m), document)
    WHEN 'array' THEN coalesce((SELECT jsonb_agg(lethe.mask_json(m.value, marker) ORDER BY m.ordinality)
      FROM jsonb_array_elements(document) WITH ORDINALITY AS m), document)
    WHEN 'string' THEN coalesce(to_jsonb(lethe.mask(document #>> '{}', marker)), 'null'::jsonb)
    ELSE document END;
END $$;
