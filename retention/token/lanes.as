// HMAC-SHA256 in four SIMD lanes, and around it the sealing and opening of a chunk of values. AssemblyScript;
// scripts/lanes.mjs writes `compress` (SHA-256, FIPS 180-4, its 64 rounds unrolled) behind it and compiles it.
// How the host fills and reads the areas: lanes.ts.

const MOST: i32 = 512;
const SLOTS: i32 = 128;

export const input: usize = memory.data(196672, 16);
export const inputEnds: usize = memory.data(2048, 16);
export const slots: usize = memory.data(512, 16);
export const keys: usize = memory.data(8192, 16);
export const headers: usize = memory.data(2048, 16);
export const context: usize = memory.data(1088, 16);
export const salts: usize = memory.data(6208, 16);
export const output: usize = memory.data(393280, 16);
export const outputStarts: usize = memory.data(2048, 16);
export const outputEnds: usize = memory.data(2048, 16);
export const statuses: usize = memory.data(512, 16);

const records: usize = memory.data(262208, 16);
const recordAt: usize = memory.data(2048, 16);
const recordLength: usize = memory.data(2048, 16);
const tags: usize = memory.data(8192, 16);
// Per slot eight words, each of four lanes: Kx inner, Kx outer, Km inner, Km outer.
const midstates: usize = memory.data(16384, 16);
const STATE: usize = memory.data(128, 16);
const ENDED: usize = memory.data(128, 16);
const WORDS: usize = memory.data(256, 16);
const NOTHING: usize = memory.data(64, 16);
const TRASH: usize = memory.data(32, 16);

const INITIAL: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
const ALPHABET: usize = memory.data<u8>([
  65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90,
  97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118,
  119, 120, 121, 122, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 45, 95,
]);
const SEXTETS: usize = memory.data(256, 16);

const HEADER: usize = 13;
const SALT: usize = 12;
const TAG: usize = 16;
const NOT_TOKEN: u8 = 0;
const TAMPERED: u8 = 1;
const ASCII: u8 = 2;
const BYTES: u8 = 3;
const DET: u32 = 0x746564;
const XOR_KEY: usize = 0;
const MAC_KEY: usize = 8;
const INNER: usize = 0;
const OUTER: usize = 4;

memory.fill(SEXTETS, 0xff, 256);
for (let i: usize = 0; i < 64; i++) store<u8>(SEXTETS + load<u8>(ALPHABET + i), <u8>i);

@inline
function swap(x: v128): v128 {
  return v128.shuffle<u8>(x, x, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

@inline
function word(i: usize, value: v128): void {
  v128.store(WORDS + (i << 4), value);
}

/** Four words of each of four messages become four words of four lanes. */
@inline
function gather(at: usize, p0: usize, p1: usize, p2: usize, p3: usize): void {
  const r0 = swap(v128.load(p0)), r1 = swap(v128.load(p1)), r2 = swap(v128.load(p2)), r3 = swap(v128.load(p3));
  const t0 = v128.shuffle<u32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<u32>(r0, r1, 2, 6, 3, 7);
  const t2 = v128.shuffle<u32>(r2, r3, 0, 4, 1, 5), t3 = v128.shuffle<u32>(r2, r3, 2, 6, 3, 7);
  v128.store(at, v128.shuffle<u64>(t0, t2, 0, 2), 0);
  v128.store(at, v128.shuffle<u64>(t0, t2, 1, 3), 16);
  v128.store(at, v128.shuffle<u64>(t1, t3, 0, 2), 32);
  v128.store(at, v128.shuffle<u64>(t1, t3, 1, 3), 48);
}

/** The inner or outer midstates of a key of four slots become the state. */
@inline
function start(which: usize, s0: usize, s1: usize, s2: usize, s3: usize): void {
  const m0 = midstates + (s0 << 7) + which, m1 = midstates + (s1 << 7) + which;
  const m2 = midstates + (s2 << 7) + which, m3 = midstates + (s3 << 7) + which;
  for (let j: usize = 0; j < 128; j += 16) {
    let v = v128.load32_zero(m0 + j);
    v = v128.load_lane<u32>(m1 + j, v, 1);
    v = v128.load_lane<u32>(m2 + j, v, 2);
    v128.store(STATE + j, v128.load_lane<u32>(m3 + j, v, 3));
  }
}

/** From the inner digest in the state to the HMAC in the state. */
@inline
function finish(which: usize, s0: usize, s1: usize, s2: usize, s3: usize): void {
  for (let j: usize = 0; j < 128; j += 16) v128.store(WORDS + j, v128.load(STATE + j));
  word(8, i32x4.splat(0x80000000));
  for (let i: usize = 9; i < 15; i++) word(i, i32x4.splat(0));
  word(15, i32x4.splat(96 * 8));
  start(which, s0, s1, s2, s3);
  compress();
}

/** Reads Kx and Km of a slot into its midstates: the four pads are four lanes. */
export function loadKey(slot: i32): void {
  const at = keys + (<usize>slot << 6);
  for (let i: usize = 0; i < 8; i++) {
    const x = bswap(load<u32>(at + (i << 2))), m = bswap(load<u32>(at + (i << 2) + 32));
    let v = i32x4.splat(x);
    v = i32x4.replace_lane(v, 2, m);
    v = i32x4.replace_lane(v, 3, m);
    word(i, v128.xor(v, i32x4(0x36363636, 0x5c5c5c5c, 0x36363636, 0x5c5c5c5c)));
    v128.store(STATE + (i << 4), v128.load32_splat(INITIAL + (i << 2)));
  }
  for (let i: usize = 8; i < 16; i++) word(i, i32x4(0x36363636, 0x5c5c5c5c, 0x36363636, 0x5c5c5c5c));
  compress();
  const to = midstates + (<usize>slot << 7);
  for (let j: usize = 0; j < 128; j += 16) v128.store(to + j, v128.load(STATE + j));
}

// A block of the keystream waits here until there are four.
let waiting: i32 = 0;
const jobFrom: usize = memory.data(16, 16);
const jobTo: usize = memory.data(16, 16);
const jobSalt: usize = memory.data(16, 16);
const jobCounter: usize = memory.data(16, 16);
const jobSlot: usize = memory.data(16, 16);

@inline
function keystream(from: usize, to: usize, salt: usize, counter: u32, slot: u32): void {
  const at = <usize>waiting << 2;
  store<u32>(jobFrom + at, from);
  store<u32>(jobTo + at, to);
  store<u32>(jobSalt + at, salt);
  store<u32>(jobCounter + at, counter);
  store<u32>(jobSlot + at, slot);
  if (++waiting == 4) keystream4();
}

/** What still waits goes with copies of its first block, which nobody reads. */
function keystreamEnd(): void {
  while (waiting > 0) keystream(load<u32>(jobFrom), TRASH, load<u32>(jobSalt), 0, load<u32>(jobSlot));
}

/** 32 bytes are written for each block, also where fewer are left: what comes behind is written later. */
function keystream4(): void {
  waiting = 0;
  const s0 = load<u32>(jobSlot), s1 = load<u32>(jobSlot + 4), s2 = load<u32>(jobSlot + 8), s3 = load<u32>(jobSlot + 12);
  gather(WORDS, load<u32>(jobSalt), load<u32>(jobSalt + 4), load<u32>(jobSalt + 8), load<u32>(jobSalt + 12));
  word(3, v128.load(jobCounter));
  word(4, i32x4.splat(0x80000000));
  for (let i: usize = 5; i < 15; i++) word(i, i32x4.splat(0));
  word(15, i32x4.splat((64 + 16) * 8));
  start(XOR_KEY + INNER, s0, s1, s2, s3);
  compress();
  finish(XOR_KEY + OUTER, s0, s1, s2, s3);
  scatter(STATE, 0);
  scatter(STATE + 64, 16);
}

/** Four words of four lanes become sixteen bytes of each of the four blocks. */
@inline
function scatter(at: usize, offset: usize): void {
  const w0 = v128.load(at), w1 = v128.load(at + 16), w2 = v128.load(at + 32), w3 = v128.load(at + 48);
  const t0 = v128.shuffle<u32>(w0, w1, 0, 4, 1, 5), t1 = v128.shuffle<u32>(w0, w1, 2, 6, 3, 7);
  const t2 = v128.shuffle<u32>(w2, w3, 0, 4, 1, 5), t3 = v128.shuffle<u32>(w2, w3, 2, 6, 3, 7);
  mask(0, offset, v128.shuffle<u64>(t0, t2, 0, 2));
  mask(4, offset, v128.shuffle<u64>(t0, t2, 1, 3));
  mask(8, offset, v128.shuffle<u64>(t1, t3, 0, 2));
  mask(12, offset, v128.shuffle<u64>(t1, t3, 1, 3));
}

@inline
function mask(lane: usize, offset: usize, stream: v128): void {
  const from = load<u32>(jobFrom + lane) + offset, to = load<u32>(jobTo + lane) + offset;
  v128.store(to, v128.xor(v128.load(from), swap(stream)));
}

/** Writes what SHA-256 appends to a message behind the 64 bytes of a pad; `length` bytes of it are there. */
@inline
function padMessage(at: usize, length: usize): void {
  const end = blocks(length) << 6;
  for (let p = length; p < end; p += 16) v128.store(at + p, i32x4.splat(0));
  store<u8>(at + length, 0x80);
  store<u32>(at + end - 4, bswap(<u32>((64 + length) << 3)));
}

@inline
function blocks(length: usize): usize {
  return (length + 72) >> 6;
}

/** HMAC under Km of the records i…i+3 (the last again where there are fewer); the state holds them. */
function mac4(i: usize, last: usize): void {
  const i1 = min(i + 1, last) << 2, i2 = min(i + 2, last) << 2, i3 = min(i + 3, last) << 2, i0 = i << 2;
  const s0 = slotOf(i0), s1 = slotOf(i1), s2 = slotOf(i2), s3 = slotOf(i3);
  const p0 = load<u32>(recordAt + i0), p1 = load<u32>(recordAt + i1);
  const p2 = load<u32>(recordAt + i2), p3 = load<u32>(recordAt + i3);
  const n0 = blocks(load<u32>(recordLength + i0)), n1 = blocks(load<u32>(recordLength + i1));
  const n2 = blocks(load<u32>(recordLength + i2)), n3 = blocks(load<u32>(recordLength + i3));
  const most = max(max(n0, n1), max(n2, n3)), least = min(min(n0, n1), min(n2, n3));
  let ends = i32x4.splat(n0);
  ends = i32x4.replace_lane(ends, 1, n1);
  ends = i32x4.replace_lane(ends, 2, n2);
  ends = i32x4.replace_lane(ends, 3, n3);
  start(MAC_KEY + INNER, s0, s1, s2, s3);
  for (let b: usize = 0; b < most; b++) {
    const at = b << 6;
    const a0 = b < n0 ? p0 + at : NOTHING, a1 = b < n1 ? p1 + at : NOTHING;
    const a2 = b < n2 ? p2 + at : NOTHING, a3 = b < n3 ? p3 + at : NOTHING;
    for (let q: usize = 0; q < 64; q += 16) gather(WORDS + (q << 2), a0 + q, a1 + q, a2 + q, a3 + q);
    compress();
    if (most == least) continue;
    const over = i32x4.eq(ends, i32x4.splat(b + 1));
    for (let j: usize = 0; j < 128; j += 16) {
      v128.store(ENDED + j, v128.bitselect(v128.load(STATE + j), v128.load(ENDED + j), over));
    }
  }
  if (most != least) for (let j: usize = 0; j < 128; j += 16) v128.store(STATE + j, v128.load(ENDED + j));
  finish(MAC_KEY + OUTER, s0, s1, s2, s3);
}

@inline
function slotOf(i: usize): usize {
  return <usize>load<u8>(slots + (i >> 2));
}

/** First sixteen bytes of the HMACs in the state, one after the other from `to`. */
@inline
function digests(to: usize): void {
  const w0 = v128.load(STATE), w1 = v128.load(STATE + 16), w2 = v128.load(STATE + 32), w3 = v128.load(STATE + 48);
  const t0 = v128.shuffle<u32>(w0, w1, 0, 4, 1, 5), t1 = v128.shuffle<u32>(w0, w1, 2, 6, 3, 7);
  const t2 = v128.shuffle<u32>(w2, w3, 0, 4, 1, 5), t3 = v128.shuffle<u32>(w2, w3, 2, 6, 3, 7);
  v128.store(to, swap(v128.shuffle<u64>(t0, t2, 0, 2)));
  v128.store(to + 16, swap(v128.shuffle<u64>(t0, t2, 1, 3)));
  v128.store(to + 32, swap(v128.shuffle<u64>(t1, t3, 0, 2)));
  v128.store(to + 48, swap(v128.shuffle<u64>(t1, t3, 1, 3)));
}

@inline
function copy(to: usize, from: usize, length: usize): void {
  for (let p: usize = 0; p < length; p += 16) v128.store(to + p, v128.load(from + p));
}

/**
 * Seals the values in `input` (padded already). Each record is header ‖ C ‖ salt ‖ c ‖ tag; the tag takes the place of
 * what SHA-256 had appended.
 */
export function seal(count: i32, contextLength: i32, deterministic: bool): void {
  const most = <usize>count, fixed = HEADER + <usize>contextLength;
  if (deterministic) {
    for (let i: usize = 0, from = input, at = records; i < most; i++) {
      const end = input + load<u32>(inputEnds + (i << 2));
      store<u32>(at, DET);
      copy(at + 3, headers + (<usize>load<u8>(slots + i) << 4), HEADER);
      copy(at + 3 + HEADER, context, contextLength);
      copy(at + 3 + fixed, from, end - from);
      at = record(i, at, 3 + fixed + (end - from));
      from = end;
    }
    for (let i: usize = 0; i < most; i += 4) {
      mac4(i, most - 1);
      digests(tags);
      for (let j: usize = 0; j < 4 && i + j < most; j++) {
        v128.store(salts + (i + j) * SALT, v128.load(tags + (j << 4)));
      }
    }
  }
  for (let i: usize = 0, from = input, at = records; i < most; i++) {
    const end = input + load<u32>(inputEnds + (i << 2));
    const slot = <usize>load<u8>(slots + i), n = end - from, salt = at + fixed;
    copy(at, headers + (slot << 4), HEADER);
    copy(at + HEADER, context, contextLength);
    v128.store(salt, v128.load(salts + i * SALT));
    for (let b: usize = 0; b < n; b += 32) keystream(from + b, salt + SALT + b, salts + i * SALT, b >> 5, slot);
    at = next(i, at, fixed + SALT + n);
    from = end;
  }
  keystreamEnd();
  for (let i: usize = 0; i < most; i++) {
    padMessage(load<u32>(recordAt + (i << 2)), load<u32>(recordLength + (i << 2)));
  }
  let to = output;
  for (let i: usize = 0; i < most; i += 4) {
    mac4(i, most - 1);
    digests(tags);
    for (let j: usize = 0; j < 4 && i + j < most; j++) {
      const at = load<u32>(recordAt + ((i + j) << 2)), length = load<u32>(recordLength + ((i + j) << 2));
      v128.store(at + length, v128.load(tags + (j << 4)));
      store<u16>(at + length + TAG, 0);
      v128.store(to, v128.load(at));
      to = encode(at + fixed, length + TAG - fixed, to + HEADER);
      store<u8>(to++, 0x2e);
      store<u32>(outputEnds + ((i + j) << 2), to - output);
    }
  }
}

/** Notes a record and says where the one behind it begins; between them is room for what is written too far. */
@inline
function next(i: usize, at: usize, length: usize): usize {
  store<u32>(recordAt + (i << 2), at);
  store<u32>(recordLength + (i << 2), length);
  return at + (blocks(length) << 6) + 32;
}

@inline
function record(i: usize, at: usize, length: usize): usize {
  padMessage(at, length);
  return next(i, at, length);
}

/** Base64url without padding; reads up to two bytes more, which are zero. */
@inline
function encode(from: usize, length: usize, to: usize): usize {
  const end = from + length;
  let at = to;
  for (; from < end; from += 3, at += 4) {
    const bits = bswap(load<u32>(from));
    const a = <u32>load<u8>(ALPHABET + (bits >> 26)), b = <u32>load<u8>(ALPHABET + ((bits >> 20) & 63));
    const c = <u32>load<u8>(ALPHABET + ((bits >> 14) & 63)), d = <u32>load<u8>(ALPHABET + ((bits >> 8) & 63));
    store<u32>(at, a | (b << 8) | (c << 16) | (d << 24));
  }
  return to + (length * 4 + 2) / 3;
}

/**
 * Opens the tokens in `input`, whose form the host has checked but for the letters of their bodies. Plaintexts come
 * without padding; `statuses` says what came of each.
 */
export function reveal(count: i32, contextLength: i32): void {
  const most = <usize>count, fixed = HEADER + <usize>contextLength;
  for (let i: usize = 0, from = input, at = records; i < most; i++) {
    const end = input + load<u32>(inputEnds + (i << 2));
    copy(at, from, HEADER);
    copy(at + HEADER, context, contextLength);
    const body = end - from - HEADER - 1, length = fixed + body * 3 / 4 - TAG;
    const right = decode(from + HEADER, body, at + fixed);
    store<u8>(statuses + i, right ? TAMPERED : NOT_TOKEN);
    v128.store(tags + (i << 4), v128.load(at + length));
    at = record(i, at, length);
    from = end;
  }
  let to = output;
  for (let i: usize = 0; i < most; i += 4) {
    mac4(i, most - 1);
    digests(TAGS_FOUND);
    for (let j: usize = 0; j < 4 && i + j < most; j++) {
      const k = i + j;
      const wrong = v128.xor(v128.load(TAGS_FOUND + (j << 4)), v128.load(tags + (k << 4)));
      if (v128.any_true(wrong) || load<u8>(statuses + k) == NOT_TOKEN) continue;
      const salt = load<u32>(recordAt + (k << 2)) + fixed;
      const n = load<u32>(recordLength + (k << 2)) - fixed - SALT;
      const slot = <usize>load<u8>(slots + k);
      store<u8>(statuses + k, BYTES);
      store<u32>(outputStarts + (k << 2), to - output);
      store<u32>(outputEnds + (k << 2), to - output + n);
      for (let b: usize = 0; b < n; b += 32) keystream(salt + SALT + b, to + b, salt, b >> 5, slot);
      to += (n + 31) & ~31;
    }
  }
  keystreamEnd();
  for (let i: usize = 0; i < most; i++) if (load<u8>(statuses + i) == BYTES) judge(i);
}

const TAGS_FOUND: usize = memory.data(64, 16);

/** Takes the padding off, or finds it wrong; and finds out whether the plaintext is ASCII without NUL. */
@inline
function judge(i: usize): void {
  const from = output + load<u32>(outputStarts + (i << 2));
  let end = output + load<u32>(outputEnds + (i << 2));
  const kind = load<u8>(load<u32>(recordAt + (i << 2)) + 1);
  if (kind == 0x70 || kind == 0x71) {
    while (end > from && load<u8>(end - 1) == 0) end--;
    if (end == from || load<u8>(end - 1) != 0x80) return store<u8>(statuses + i, TAMPERED);
    end--;
    store<u32>(outputEnds + (i << 2), end - output);
  }
  let plain = true;
  let p = from;
  for (; p + 16 <= end; p += 16) {
    const bytes = v128.load(p);
    plain = plain && i8x16.bitmask(bytes) == 0 && i8x16.all_true(bytes);
  }
  for (; p < end; p++) {
    const byte = load<u8>(p);
    plain = plain && byte != 0 && byte < 0x80;
  }
  if (plain) store<u8>(statuses + i, ASCII);
}

/** False where a letter is none of base64url. Writes up to three bytes more. */
@inline
function decode(from: usize, length: usize, to: usize): bool {
  const end = from + length;
  let seen: u32 = 0;
  for (; from + 4 <= end; from += 4, to += 3) {
    const a = <u32>load<u8>(SEXTETS + load<u8>(from)), b = <u32>load<u8>(SEXTETS + load<u8>(from + 1));
    const c = <u32>load<u8>(SEXTETS + load<u8>(from + 2)), d = <u32>load<u8>(SEXTETS + load<u8>(from + 3));
    seen |= a | b | c | d;
    store<u32>(to, bswap((a << 26) | (b << 20) | (c << 14) | (d << 8)));
  }
  let bits: u32 = 0;
  for (let shift: u32 = 26; from < end; from++, shift -= 6) {
    const a = <u32>load<u8>(SEXTETS + load<u8>(from));
    seen |= a;
    bits |= a << shift;
  }
  store<u32>(to, bswap(bits));
  return seen < 64;
}
