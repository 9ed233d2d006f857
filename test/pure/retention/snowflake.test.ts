import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { snowflakeDdl, snowflakeVariables } from '../../../retention/dialects/snowflake.js';
import { snowflakeSession } from '../../../retention/dialects/snowflakeSession.js';
import { addDays, type Day } from '../../../retention/token/day.js';
import { parseHeader } from '../../../retention/token/format.js';
import { revealJson, sealJson } from '../../../retention/token/json.js';
import { Revealer } from '../../../retention/token/revealer.js';
import { dayKeys, Keyring, type Ring } from '../../../retention/token/ring.js';
import { Sealer } from '../../../retention/token/sealer.js';
import { revealText } from '../../../retention/token/text.js';
import { DAY, readVectors, ringOf, type Vector } from './scene.js';
import { columnOf, javascriptFunctions, policyOf, ringText } from './snowflake-scene.js';

const javascript = javascriptFunctions();
const vectors = readVectors();
const TODAY = '260310';

/** The ring of a vector as the functions get it. */
function vectorRing({ token, dayKey, ring }: Vector): string {
  const header = parseHeader(token.slice(0, 13));
  if (!header || !ring) return '';
  const { policy, day } = header;
  const keys = new Map(dayKey ? [[day, dayKeys(Buffer.from(dayKey, 'hex'), policy, day)]] : []);
  return ringText(snowflakeVariables([{ ...ring, policy, keys, simulated: true }]), [
    policyOf({ id: policy }),
  ]);
}

const DAYS: readonly Day[] = Array.from({ length: 31 }, (_, i) => addDays(DAY, i - 30));
const ring = ringOf(DAYS, { gone: [addDays(DAY, -3)] });
const keyring = new Keyring([ring]);
const revealer = new Revealer(keyring, 'log');
const rings = ringText(snowflakeVariables([ring]));
const oldSealer = new Sealer({ keyring: new Keyring([ringOf(DAYS)]), policy: 'ip', context: 'log' });
const BY_ID = { ip: policyOf() };
const padded = new Sealer({ keyring, policy: 'ip', context: 'log', pad: 32 });

/** Pieces of texts: plain ones, and tokens of every fate. */
const piece = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => !/[\uD800-\uDFFF]/u.test(text)),
  fc.constantFrom('lt1.', 'l', 'lt1.ip260310.', '.', '1.', ' ', `lt1.ip260310.${'A'.repeat(38)}.`),
  fc
    .tuple(fc.nat(DAYS.length - 1), fc.string({ maxLength: 40 }), fc.constantFrom(oldSealer, padded))
    .map(([day, text, sealer]) => {
      const token = oldSealer === sealer || day !== DAYS.length - 4 ? sealer : oldSealer;
      return token.seal(text.replaceAll('\0', ''), DAYS[day]);
    }),
  fc.nat(60).map((cut) => oldSealer.seal('192.0.2.1', DAY).slice(cut)),
  fc.constant(oldSealer.sealBytes(Buffer.from('bytes'), DAY)),
);
const texts = fc.sample(
  fc.array(piece, { maxLength: 6 }).map((parts) => parts.join('')),
  { numRuns: 500, seed: 7 },
);

const documents = [
  '{"a": "192.0.2.1", "n": 12345678901234567890.10, "b": true, "list": [1.50, null, {}, "x\\"y\\\\"]}',
  '{"lt1.ip": "é\\u00e9", "deep": {"a": -1e-7}}',
].flatMap(
  (text) =>
    sealJson(
      oldSealer,
      [text, text],
      [
        { path: '$.a' },
        { path: '$..b' },
        { path: '$.n' },
        { path: '$..a' },
        { path: '$.list' },
        { path: '$.deep' },
      ],
      { day: [DAY, addDays(DAY, -3)] },
    ) as string[],
);

describe('JavaScript for Snowflake', () => {
  it('opens every test vector as written, in an engine that has nothing but the language', () => {
    for (const [i, vector] of vectors.entries()) {
      const text = vectorRing(vector);
      const { outcome, text: plain } = javascript.open(vector.token, vector.context, text, TODAY);
      expect(outcome, `vector ${i}`).toBe(vector.outcome);
      const bytes = javascript.revealBytes(vector.token, vector.context, text, TODAY);
      const expected = outcome === 'value' ? vector.plaintext : undefined;
      expect(
        bytes ? Buffer.from(bytes).toString('hex') === expected : expected === undefined,
        `vector ${i}`,
      ).toBe(true);
      expect(plain !== undefined, `vector ${i}`).toBe(outcome === 'value' && /^l[tp]/.test(vector.kind));
    }
  });

  it('reveals tokens inside texts as the library does', () => {
    for (const text of texts)
      expect(javascript.reveal(text, 'log', rings, TODAY)).toBe(revealText(revealer, text));
    expect(texts.filter((text) => revealText(revealer, text) !== text).length).toBeGreaterThan(100);
  });

  it('reveals JSON as the library does, with every digit', () => {
    for (const text of documents) {
      expect(javascript.revealJson(text, 'log', rings, TODAY)).toBe(revealJson(revealer, [text])[0]);
    }
  });

  it('knows the window: what was readable yesterday is not today, whatever keys the session still has', () => {
    const own: Ring = { ...ringOf(DAYS), first: DAYS[0]!, window: 30, simulated: undefined };
    const text = ringText(snowflakeVariables([own]));
    const oldest = oldSealer.seal('a', DAYS[0]);
    const newest = oldSealer.seal('a', DAY);
    expect(javascript.reveal(oldest, 'log', text, TODAY)).toBe('a');
    expect(javascript.reveal(oldest, 'log', text, '260311')).toBe('[expired]');
    expect(javascript.reveal(newest, 'log', text, '260409')).toBe('a');
    expect(javascript.reveal(newest, 'log', text, '260410')).toBe('[expired]');
    expect(javascript.reveal(newest, 'log', text, '000115')).toBe('a');
  });

  it("gives the policy's own marker, and null", () => {
    const token = oldSealer.seal('a', addDays(DAY, -3));
    const variables = snowflakeVariables([ring]);
    const text = (expired: string | null) => ringText(variables, [policyOf({ expired })]);
    expect(javascript.reveal(token, 'log', text('gone → ✓'), TODAY)).toBe('gone → ✓');
    expect(javascript.reveal(token, 'log', text(null), TODAY)).toBe(null);
    expect(javascript.reveal(`<${token}>`, 'log', text(null), TODAY)).toBe('<>');
    expect(javascript.revealJson(`["${token}"]`, 'log', text(null), TODAY)).toBe('[null]');
    expect(javascript.reveal(token, 'log', 'ip=-=', TODAY)).toBe('[no key]');
  });

  it('XORs binaries', () => {
    const xor = javascript.xor(Uint8Array.of(1, 255, 7), Uint8Array.of(3, 255));
    expect([...xor]).toEqual([2, 0]);
  });
});

describe('Java for Snowflake', () => {
  it('opens every test vector, and reveals texts and JSON as the library does', (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'lethe-java-'));
    try {
      const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
      const sources = [source('../../../retention/dialects/LetheReveal.java'), source('Check.java')];
      const compiled = spawnSync('javac', ['--release', '11', '-d', folder, ...sources], {
        encoding: 'utf8',
      });
      if (compiled.error) context.skip('there is no JDK: no javac on the PATH');
      expect(compiled.stderr).toBe('');
      const calls: { line: string; expected: string }[] = [];
      const call = (what: string, args: string[], expected: string) =>
        calls.push({ line: [what, ...args.map(base64)].join(' '), expected });
      for (const vector of vectors) {
        const args = [vector.token, vector.context, vectorRing(vector), TODAY];
        call('open', args, vector.outcome);
        const bytes = vector.outcome === 'value' ? Buffer.from(vector.plaintext, 'hex') : null;
        call('bytes', args, bytes ? bytes.toString('base64') : 'null');
      }
      const args = ['log', rings, TODAY];
      for (const text of texts) call('reveal', [text, ...args], base64(revealText(revealer, text)));
      for (const text of documents) call('json', [text, ...args], base64(revealJson(revealer, [text])[0]!));
      const token = oldSealer.seal('a', addDays(DAY, -3));
      const silent = ringText(snowflakeVariables([ring]), [policyOf({ expired: null })]);
      call('reveal', [token, 'log', silent, TODAY], 'null');
      call('json', [`["${token}"]`, 'log', silent, TODAY], base64('[null]'));
      const joined = Object.values(snowflakeVariables([ring])).join('');
      call('properties', [snowflakeSession([ring], BY_ID, 'properties')], base64(joined));
      const { stdout, stderr } = spawnSync('java', ['-cp', folder, 'Check'], {
        input: calls.map(({ line }) => `${line}\n`).join(''),
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      });
      expect(stderr).toBe('');
      const answers = stdout.trimEnd().split('\n');
      expect(answers.length).toBe(calls.length);
      for (const [i, { expected }] of calls.entries())
        expect(answers[i] === expected, `call ${i}`).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);
});

function base64(text: string | null): string {
  return text === null ? 'null' : Buffer.from(text).toString('base64');
}

describe('DDL for Snowflake', () => {
  it('makes variables of at most 256 bytes, and no more than the masking policy reads', () => {
    const days = Array.from({ length: 33 }, (_, i) => addDays(DAY, i - 30));
    const variables = snowflakeVariables([{ ...ringOf(days), window: 30 }]);
    for (const text of Object.values(variables)) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(256);
    const ddl = snowflakeDdl([columnOf()]);
    for (const name of Object.keys(variables)) expect(ddl).toContain(`GETVARIABLE('${name}')`);
  });

  it('writes them down for whoever opens sessions', () => {
    const variables = snowflakeVariables([ring]);
    const read: Record<string, string> = JSON.parse(snowflakeSession([ring], BY_ID, 'json'));
    expect(Object.keys(read).sort()).toEqual(
      Object.keys(variables)
        .map((name) => `$${name}`)
        .sort(),
    );
    const back = Object.fromEntries(Object.entries(read).map(([name, value]) => [name.slice(1), value]));
    expect(javascript.reveal(oldSealer.seal('a', DAY), 'log', ringText(back), TODAY)).toBe('a');
    const statements = snowflakeSession([ring], BY_ID, 'sql').trimEnd().split('\n');
    expect(statements.map((text) => /^SET (\w+) = '([\w,;-]*)';$/.exec(text)?.slice(1))).toEqual(
      Object.entries(variables),
    );
    // What a hold adds beyond the window, no masking policy reads.
    const short = { ip: policyOf({ window: 20 }) };
    expect(() => snowflakeSession([ring], short, 'json')).toThrow(
      /take 15 session variables.*read 12.*--since/,
    );
  });

  it('joins in the masking policy what the functions read', () => {
    const variables = snowflakeVariables([ring]);
    const ddl = snowflakeDdl([
      columnOf({ policies: [policyOf(), policyOf({ id: 'ua', expired: null, window: 7 })] }),
    ]);
    const expression = /REVEAL\(val, '',\n([\s\S]*?),\n {4}TO_CHAR/.exec(ddl)![1]!;
    const joined = expression
      .replace(/COALESCE\(GETVARIABLE\('(\w+)'\), ''\)/g, (_, name: string) => `'${variables[name] ?? ''}'`)
      .split(' ||')
      .map((part) => part.trim().replace(/^'|'$/g, ''))
      .join('');
    expect(javascript.reveal(oldSealer.seal('a', DAY), 'log', joined, TODAY)).toBe('a');
  });

  it('applies a masking policy of its own to each column, may run again, and holds nothing that seals', () => {
    const ddl = snowflakeDdl([
      columnOf({ context: "it's" }),
      columnOf({
        table: 'Sales.order "x"',
        column: 'doc',
        holds: 'json',
        readers: ['A', 'bob smith'],
        others: 'null',
      }),
    ]);
    expect(ddl).toContain(
      'CREATE MASKING POLICY IF NOT EXISTS "LETHE"."LETHE public.events.ip" AS (val VARCHAR) RETURNS VARCHAR -> NULL::VARCHAR;',
    );
    expect(ddl).toContain(
      'ALTER TABLE "PUBLIC"."EVENTS" MODIFY COLUMN "IP"\n  SET MASKING POLICY "LETHE"."LETHE public.events.ip" FORCE;',
    );
    expect(ddl).toContain("IS_ROLE_IN_SESSION('ANALYST')");
    expect(ddl).toContain("REVEAL(val, 'it''s',");
    expect(ddl).toContain('AS (val VARIANT) RETURNS VARIANT -> NULL::VARIANT;');
    expect(ddl).toContain('ALTER TABLE "Sales"."order ""x""" MODIFY COLUMN "DOC"');
    expect(ddl).toContain("IS_ROLE_IN_SESSION('A')\n    OR IS_ROLE_IN_SESSION('bob smith')");
    expect(ddl).not.toMatch(/\bseal\w*\(|random/i);
    expect(ddl.split('$$').length % 2).toBe(1);
    expect(snowflakeDdl([columnOf()], { language: 'java', schema: 'tools' })).toContain(
      "HANDLER = 'LetheReveal.revealJson'",
    );
  });

  it('refuses a column that nobody may read', () => {
    expect(() => snowflakeDdl([columnOf({ readers: [] })])).toThrow('public.events.ip');
  });
});
