if (typeof lethe1 === 'undefined') {
  // Evaluated for every row, but run once: the library stays in a global variable.
  lethe1 = (function () {
    var TOKEN = 'l[tpbq]1\\.[a-z0-9]{2}[0-9]{6}\\.[A-Za-z0-9_-]{38,}\\.';
    var WHOLE = new RegExp('^' + TOKEN + '$');
    var LEAF = /^(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?|true|false|null|\{\}|\[\])$/;
    var ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    var VALUES = new Uint8Array(128);
    for (var letter = 0; letter < 64; letter++) VALUES[ALPHABET.charCodeAt(letter)] = letter;

    // SHA-256 (FIPS 180-4).
    var K = new Int32Array([
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ]);
    var START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
    var w = new Int32Array(64);

    function compress(state, bytes, at) {
      var i, s0, s1, t1, t2;
      for (i = 0; i < 16; i++, at += 4)
        w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
      for (i = 16; i < 64; i++) {
        t1 = w[i - 15];
        t2 = w[i - 2];
        s0 = ((t1 >>> 7) | (t1 << 25)) ^ ((t1 >>> 18) | (t1 << 14)) ^ (t1 >>> 3);
        s1 = ((t2 >>> 17) | (t2 << 15)) ^ ((t2 >>> 19) | (t2 << 13)) ^ (t2 >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      var a = state[0], b = state[1], c = state[2], d = state[3];
      var e = state[4], f = state[5], g = state[6], h = state[7];
      for (i = 0; i < 64; i++) {
        s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
        s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + t1) | 0;
        d = c;
        c = b;
        b = a;
        a = (t1 + t2) | 0;
      }
      state[0] += a;
      state[1] += b;
      state[2] += c;
      state[3] += d;
      state[4] += e;
      state[5] += f;
      state[6] += g;
      state[7] += h;
    }

    // Goes on from a state that has taken one block of 64 bytes, to the digest.
    function finish(state, message) {
      var own = new Int32Array(state);
      var length = message.length;
      var padded = new Uint8Array(Math.ceil((length + 9) / 64) * 64);
      padded.set(message);
      padded[length] = 0x80;
      var bits = (length + 64) * 8;
      for (var i = 1; i <= 4; i++, bits = Math.floor(bits / 256)) padded[padded.length - i] = bits % 256;
      for (var at = 0; at < padded.length; at += 64) compress(own, padded, at);
      var digest = new Uint8Array(32);
      for (i = 0; i < 32; i++) digest[i] = own[i >> 2] >>> (24 - (i & 3) * 8);
      return digest;
    }

    function padState(key, pad) {
      var block = new Uint8Array(64);
      for (var i = 0; i < 64; i++) block[i] = (i < key.length ? key[i] : 0) ^ pad;
      var state = new Int32Array(START);
      compress(state, block, 0);
      return state;
    }

    // A key of HMAC-SHA256 with the states after its two pads.
    function macKey(key) {
      return { inner: padState(key, 0x36), outer: padState(key, 0x5c) };
    }

    function mac(key, message) {
      return finish(key.outer, finish(key.inner, message));
    }

    function decode(body) {
      var out = new Uint8Array(Math.floor((body.length * 3) / 4));
      var bits = 0;
      var held = 0;
      for (var i = 0, at = 0; i < body.length; i++) {
        held = ((held << 6) | VALUES[body.charCodeAt(i)]) & 0xffff;
        bits += 6;
        if (bits >= 8) {
          bits -= 8;
          out[at++] = held >> bits;
        }
      }
      return out;
    }

    function encode(text) {
      var out = [];
      for (var i = 0; i < text.length; i++) {
        var code = text.codePointAt(i);
        if (code > 0xffff) i++;
        if (code < 0x80) out.push(code);
        else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 63));
        else if (code < 0x10000) out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
        else
          out.push(
            0xf0 | (code >> 18),
            0x80 | ((code >> 12) & 63),
            0x80 | ((code >> 6) & 63),
            0x80 | (code & 63),
          );
      }
      return out;
    }

    // Strict UTF-8 without U+0000, or null.
    function decodeText(bytes) {
      var parts = [];
      var units = [];
      for (var i = 0; i < bytes.length; ) {
        var code = bytes[i++];
        if (code === 0) return null;
        if (code >= 0x80) {
          var more = code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : 1;
          if (code < 0xc2 || code > 0xf4 || i + more > bytes.length) return null;
          var least = more === 3 ? 0x10000 : more === 2 ? 0x800 : 0x80;
          code &= 0x3f >> more;
          for (; more > 0; more--) {
            if ((bytes[i] & 0xc0) !== 0x80) return null;
            code = (code << 6) | (bytes[i++] & 63);
          }
          if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return null;
        }
        if (code > 0xffff) units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
        else units.push(code);
        if (units.length > 4000) {
          parts.push(String.fromCharCode.apply(null, units));
          units = [];
        }
      }
      return parts.join('') + String.fromCharCode.apply(null, units);
    }

    function isDate(date) {
      var year = +date.slice(0, 2);
      var month = +date.slice(2, 4);
      var day = +date.slice(4);
      var long = month === 2 ? (year % 4 === 0 ? 29 : 28) : [4, 6, 9, 11].indexOf(month) >= 0 ? 30 : 31;
      return month >= 1 && month <= 12 && day >= 1 && day <= long;
    }

    // The day so many days before yymmdd; not before 2000.
    function daysBefore(date, days) {
      var then = new Date(Date.UTC(2000 + +date.slice(0, 2), +date.slice(2, 4) - 1, +date.slice(4) - days));
      return then.getTime() < Date.UTC(2000, 0, 1) ? '000101' : then.toISOString().slice(2, 10).replace(/-/g, '');
    }

    function unhex(text) {
      var bytes = [];
      for (var i = 0; i < text.length; i += 2) bytes.push(parseInt(text.slice(i, i + 2), 16));
      return decodeText(bytes);
    }

    // policy=marker=asOf,first,window;yymmdd<key>;yymmdd; and so on, policies between |
    function readRings(text, today) {
      var rings = {};
      text.split('|').forEach(function (block) {
        var parts = block.split('=');
        if (parts.length !== 3) return;
        var ring = { expired: parts[1] === '-' ? null : unhex(parts[1]), days: null };
        rings[parts[0]] = ring;
        var lines = parts[2].split(';');
        var head = lines[0].split(',');
        if (head.length !== 3) return;
        ring.asOf = head[0];
        ring.first = head[1];
        if (head[2] !== '') {
          var first = daysBefore(today, +head[2]);
          if (today > ring.asOf) ring.asOf = today;
          if (first > ring.first) ring.first = first;
        }
        ring.days = {};
        lines.slice(1).forEach(function (line) {
          if (line === '') return;
          var keys = line.length === 6 ? null : decode(line.slice(6));
          ring.days[line.slice(0, 6)] = keys && { x: macKey(keys.subarray(0, 32)), m: macKey(keys.subarray(32)) };
        });
      });
      return rings;
    }

    var lastRing = null;
    var lastToday = null;
    var rings = {};
    var lastContext = null;
    var c = [];

    function prepare(context, ring, today) {
      if (ring !== lastRing || today !== lastToday) {
        rings = readRings(ring, today);
        lastRing = ring;
        lastToday = today;
      }
      if (context !== lastContext) {
        c = encode(context);
        c.unshift(c.length >> 8, c.length & 255);
        lastContext = context;
      }
    }

    function canonical(body) {
      var last = body.charAt(body.length - 1);
      var rest = body.length & 3;
      return (
        body.length <= 87419 &&
        rest !== 1 &&
        (rest !== 2 || 'AQgw'.indexOf(last) >= 0) &&
        (rest !== 3 || 'AEIMQUYcgkosw048'.indexOf(last) >= 0)
      );
    }

    // What a token holds: {outcome, bytes, text}. Never throws.
    function open(token, context, ringText, today) {
      if (!WHOLE.test(token)) return { outcome: 'notToken' };
      var body = token.slice(13, -1);
      var date = token.slice(6, 12);
      if (!canonical(body) || !isDate(date)) return { outcome: 'notToken' };
      prepare(context, ringText, today);
      var ring = rings[token.slice(4, 6)];
      if (!ring || ring.days === null) return { outcome: 'noKey' };
      var keys = ring.days[date];
      if (date < ring.first || keys === null) return { outcome: 'expired' };
      if (date > ring.asOf || keys === undefined || c.length > 1026) return { outcome: 'noKey' };
      var bytes = decode(body);
      var tagAt = bytes.length - 16;
      var message = new Uint8Array(13 + c.length + tagAt);
      for (var i = 0; i < 13; i++) message[i] = token.charCodeAt(i);
      message.set(c, 13);
      message.set(bytes.subarray(0, tagAt), 13 + c.length);
      var tag = mac(keys.m, message);
      var differs = 0;
      for (i = 0; i < 16; i++) differs |= tag[i] ^ bytes[tagAt + i];
      if (differs !== 0) return { outcome: 'tampered' };
      var plain = new Uint8Array(tagAt - 12);
      var counted = new Uint8Array(16);
      counted.set(bytes.subarray(0, 12));
      for (var block = 0; block * 32 < plain.length; block++) {
        counted[13] = block >> 16;
        counted[14] = block >> 8;
        counted[15] = block;
        var stream = mac(keys.x, counted);
        var end = Math.min(32, plain.length - block * 32);
        for (i = 0; i < end; i++) plain[block * 32 + i] = bytes[12 + block * 32 + i] ^ stream[i];
      }
      var kind = token.charAt(1);
      if (kind === 'p' || kind === 'q') {
        var length = plain.length;
        while (length > 0 && plain[length - 1] === 0) length--;
        if (length === 0 || plain[length - 1] !== 0x80) return { outcome: 'tampered' };
        plain = plain.subarray(0, length - 1);
      }
      if (kind === 'b' || kind === 'q') return { outcome: 'value', bytes: new Uint8Array(plain) };
      var text = decodeText(plain);
      return text === null ? { outcome: 'tampered' } : { outcome: 'value', text: text };
    }

    function shown(opened, token) {
      if (opened.outcome === 'value') return opened.text === undefined ? '[binary]' : opened.text;
      if (opened.outcome === 'noKey') return '[no key]';
      if (opened.outcome === 'tampered') return '[tampered]';
      return rings[token.slice(4, 6)].expired;
    }

    // Every token inside a text; what is no token stays.
    function reveal(text, context, ring, today) {
      if (text.indexOf('1.') < 0) return text;
      var every = new RegExp(TOKEN, 'g');
      var out = '';
      var at = 0;
      var from = 0;
      for (var match = every.exec(text); match; match = every.exec(text)) {
        var start = match.index;
        var end = every.lastIndex;
        // Another token can start in the last four characters of this one only.
        every.lastIndex = end - 4;
        if (start < from) continue;
        var opened = open(match[0], context, ring, today);
        if (opened.outcome === 'notToken') continue;
        var part = shown(opened, match[0]);
        if (start === 0 && end === text.length) return part;
        out += text.slice(at, start) + (part === null ? '' : part);
        at = end;
        if (opened.outcome !== 'tampered') from = end;
      }
      return out + text.slice(at);
    }

    function revealString(text, context, ring, today) {
      var opened = open(text, context, ring, today);
      if (opened.outcome === 'tampered') {
        var typed = open(text, context + '#json', ring, today);
        return typed.text !== undefined && LEAF.test(typed.text) ? typed.text : JSON.stringify('[tampered]');
      }
      var part = reveal(text, context, ring, today);
      return part === null ? 'null' : JSON.stringify(part);
    }

    // Every token in the strings of a JSON text that are values, not names; numbers keep their digits.
    function revealJson(json, context, ring, today) {
      return json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g, function (literal, name) {
        if (name !== undefined || literal.indexOf('1.') < 0) return literal;
        var text = JSON.parse(literal);
        var part = revealString(text, context, ring, today);
        return part === JSON.stringify(text) ? literal : part;
      });
    }

    function revealBytes(token, context, ring, today) {
      var opened = open(token, context, ring, today);
      return opened.outcome !== 'value' ? null : opened.bytes || new Uint8Array(encode(opened.text));
    }

    return { open: open, reveal: reveal, revealJson: revealJson, revealBytes: revealBytes };
  })();
}
