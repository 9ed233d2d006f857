import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LetheError } from '../../../errors/errors.js';
import { addDays } from '../../../retention/token/day.js';
import { parseToken } from '../../../retention/token/format.js';
import { findTokens } from '../../../retention/token/scan.js';
import { filter, MemoryStore, revealing, settingsOf } from './filter-scene.js';
import { DAY } from './scene.js';
import { policyOf } from './snowflake-scene.js';

/** What an input becomes when it is sealed and then revealed. */
async function roundTrip(settings: ReturnType<typeof settingsOf>, input: string, options = {}) {
  const store = new MemoryStore();
  const sealed = await filter(settings, input, { store, ...options });
  const revealed = await filter(revealing(settings), sealed.out, { store, ...options });
  return { sealed, revealed };
}

describe('JSON lines through a filter', () => {
  it('seals named fields, leaves every other character as it is, and reads back', async () => {
    const input =
      '{"ip": "192.0.2.1", "n": 1.50, "ip2": "192.0.2.1"}\r\n\n  {"a": {"ip": 1}, "ip": 17}\n{"ip":true}';
    const { sealed, revealed } = await roundTrip(settingsOf(), input);
    expect(sealed.text).toMatch(
      /^\{"ip": "lt1\.ip260310\.[\w-]+\.", "n": 1\.50, "ip2": "192\.0\.2\.1"\}\r\n\n {2}\{"a": \{"ip": 1\}, "ip": "lt1/,
    );
    expect(sealed.totals).toMatchObject({
      lines: 4,
      changed: 3,
      refused: 0,
      bytes: Buffer.byteLength(input),
    });
    expect(revealed.text).toBe(input);
    expect(revealed.totals.outcomes).toEqual({ value: 3 });
  });

  it('seals matches of several patterns inside longer strings', async () => {
    const settings = settingsOf({ fields: ['$..msg'], patterns: ['ipv4', '/(?<=user=)\\w+/'] });
    const input = '{"msg":"GET from 192.0.2.1 user=anna \\u00e9","x":{"msg":"1.2.3.4"}}\n';
    const { sealed, revealed } = await roundTrip(settings, input);
    expect(sealed.text).not.toMatch(/192\.0|anna|1\.2\.3/);
    expect(findTokens(sealed.text).length).toBe(3);
    expect(JSON.parse(revealed.text)).toEqual(JSON.parse(input));
  });

  it('keeps a byte order mark, carriage returns and a last line without an end', async () => {
    const input = '\ufeff{"ip":"a"}\r\n{"ip":"b"}';
    const { sealed, revealed } = await roundTrip(settingsOf(), input);
    expect(sealed.text.startsWith('\ufeff{"ip":"lt1.')).toBe(true);
    expect(revealed.text).toBe(input);
    expect((await filter(settingsOf(), '')).out.length).toBe(0);
  });

  it('can run twice: what is sealed stays', async () => {
    const store = new MemoryStore();
    const once = await filter(settingsOf(), '{"ip":"a"}\n', { store });
    const twice = await filter(settingsOf(), once.out, { store });
    expect(twice.text).toBe(once.text);
    expect(twice.totals.changed).toBe(0);
  });

  it('seals what only looks like a token: truncated, in capitals or small letters, with a flipped bit, of another key', async () => {
    const store = new MemoryStore();
    const token = JSON.parse((await filter(settingsOf(), '{"ip":"a"}\n', { store })).text).ip as string;
    const fakes = [
      token.slice(0, -1),
      token.toLowerCase(),
      token.slice(0, 20) + (token[20] === 'A' ? 'B' : 'A') + token.slice(21),
      token.replace('.ip260310.', '.ip260309.'),
      `${token}${token}`,
      `lt1.ip260310.${'A'.repeat(38)}.`,
    ];
    const input = fakes.map((ip) => `${JSON.stringify({ ip })}\n`).join('');
    store.days.get('ip')!.add(addDays(DAY, -1));
    const sealed = await filter(settingsOf(), input, { store });
    expect(sealed.totals).toMatchObject({ changed: fakes.length, refused: 0 });
    expect((await filter(revealing(settingsOf()), sealed.out, { store })).text).toBe(input);
  });

  it('reveals nested and overlapping tokens once, and marks those of tomorrow, of other policies and tampered ones', async () => {
    const store = new MemoryStore();
    const seal = async (text: string) =>
      JSON.parse((await filter(settingsOf(), `${JSON.stringify({ ip: text })}\n`, { store })).text)
        .ip as string;
    const token = await seal('a');
    const nested = await seal(`<${token}>`);
    const tomorrow = token.replace('.ip260310.', '.ip260311.');
    const other = token.replace('.ip260310.', '.zz260310.');
    const torn = `lt1.ip260310.${'A'.repeat(41)}${token}`;
    const flipped = token.slice(0, 20) + (token[20] === 'A' ? 'B' : 'A') + token.slice(21);
    const values = [nested, tomorrow, other, torn, `x ${flipped} y`, ''];
    const { text, totals } = await filter(
      revealing(settingsOf()),
      `${JSON.stringify({ [token]: values })}\n`,
      { store },
    );
    expect(JSON.parse(text)).toEqual({
      [token]: [`<${token}>`, '[no key]', '[no key]', '[tampered]a', 'x [tampered] y', ''],
    });
    expect(totals.outcomes).toEqual({ value: 2, noKey: 2, tampered: 2 });
  });

  it('reveals some fields only where they are named', async () => {
    const store = new MemoryStore();
    const settings = settingsOf({ fields: ['a', 'b'] });
    const sealed = await filter(settings, '{"a":"1.2.3.4","b":"x"}\n', { store });
    const { text } = await filter({ ...revealing(settings), fields: ['b'] }, sealed.out, { store });
    expect(JSON.parse(text)).toEqual({ a: JSON.parse(sealed.text).a, b: 'x' });
  });
});

describe('lines that are refused', () => {
  it('are left out of the output and handed over whole, with number and reason, while the others go on', async () => {
    const long = JSON.stringify({ ip: 'x'.repeat(65_537) });
    const bad = ['{"ip":"secret', long, '{"ip":"a\\u0000secret"}', '{"ip":"\\ud800secret"}', 'null secret'];
    const input = `{"ip":"ok1"}\n${bad.join('\n')}\n{"ip":"${'y'.repeat(65_536)}"}\n`;
    const { text, refused, totals } = await filter(settingsOf(), input, { chunkBytes: 64 });
    expect(refused.map(({ line, record }) => [line, record])).toEqual(
      bad.map((record, i) => [i + 2, record]),
    );
    for (const { reason } of refused) expect(reason).not.toContain('secret');
    expect(text.split('\n').filter((line) => line.startsWith('{"ip":"lt1.')).length).toBe(2);
    expect(text).not.toContain('secret');
    expect(totals).toMatchObject({ lines: 7, changed: 2, refused: 5 });
  });

  it('come as bytes where they are not UTF-8', async () => {
    const bad = Buffer.from([0x7b, 0x22, 0x69, 0x70, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]);
    const input = Buffer.concat([Buffer.from('{"ip":"é"}\n'), bad, Buffer.from('\r\n{"ip":"b"}\n')]);
    const { refused, totals } = await filter(settingsOf(), input);
    expect(refused).toEqual([{ line: 2, reason: 'The line is not UTF-8.', record: new Uint8Array(bad) }]);
    expect(totals).toMatchObject({ lines: 3, changed: 2 });
  });

  it('end the filter where nobody takes them, before anything behind them is written', async () => {
    const settings = settingsOf();
    const failing = filter(settings, '{"ip":"a"}\nnot JSON\n{"ip":"b"}\n', {
      chunkBytes: 1,
      transform: async ({ bytes }) => {
        if (Buffer.from(bytes).includes('not')) throw new LetheError('Internal', 'stopped');
      },
    });
    await expect(failing).rejects.toThrow('stopped');
  });

  it('are those whose day cannot be sealed for, or that have none', async () => {
    const store = new MemoryStore();
    store.gone.add(addDays(DAY, -2));
    const settings = settingsOf({ day: undefined, dateField: 'at.time' });
    const days = [
      DAY,
      addDays(DAY, -2),
      addDays(DAY, -40),
      addDays(DAY, 9),
      'yesterday',
      '2026-02-30',
      '1999-12-31',
    ];
    const input = days.map((time) => `{"ip":"a","at":{"time":"${time}"}}\n`).join('');
    const { refused, totals } = await filter(settings, `${input}{"ip":"a"}\n`, { store });
    expect(totals).toMatchObject({ changed: 1, refused: 7 });
    expect(refused[0]!.reason).toContain('2026-03-08');
    expect(store.asked).toEqual([`ip ${DAY}`, `ip ${addDays(DAY, 9)}`]);
  });
});

describe('days of lines', () => {
  it('are read from ISO 8601, seconds and milliseconds, in UTC', async () => {
    const times = [
      '"2026-03-10"',
      '"2026-03-10T23:59:59Z"',
      '"2026-03-09 23:30:00-05:00"',
      '"2026-03-10T12:00"',
      '"2026-03-11T01:00:00.123+0200"',
      '"2026-03-10 00:00:00,5 UTC"',
      '1773100800',
      '1773100800123',
      '"1773100800.5"',
    ];
    const settings = settingsOf({ day: undefined, dateField: 't' });
    const { text, refused } = await filter(settings, times.map((t) => `{"ip":"a","t":${t}}\n`).join(''));
    expect(refused).toEqual([]);
    for (const line of text.trimEnd().split('\n'))
      expect(parseToken(JSON.parse(line).ip)?.day).toBe('2026-03-10');
  });

  it('get their keys before they are sealed, each asked for once', async () => {
    const store = new MemoryStore();
    const settings = settingsOf({ day: undefined, dateField: 't' });
    const days = Array.from({ length: 400 }, (_, i) => addDays(DAY, -(i % 20)));
    const input = days.map((t) => `{"ip":"a","t":"${t}"}\n`).join('');
    const { totals } = await filter(settings, input, { store, chunkBytes: 300, parallel: 4 });
    expect(totals).toMatchObject({ changed: 400, refused: 0 });
    expect(new Set(store.asked).size).toBe(store.asked.length);
  });
});

describe('policies of lines', () => {
  it('are chosen by a field, and read back each under its own context', async () => {
    const policies = {
      ip: policyOf({ context: 'log' }),
      ac: policyOf({ id: 'ac', context: 'acme', deterministic: true }),
      pa: policyOf({ id: 'pa', context: 'log', pad: 64 }),
    };
    const choice = { by: 'tenant', map: { acme: 'ac', '7': 'pa' }, default: 'ip' };
    const settings = settingsOf({ policies, choice });
    const input = ['"acme"', '7', '"x"', '"acme"']
      .map((tenant) => `{"tenant":${tenant},"ip":"a"}\n`)
      .join('');
    const { sealed, revealed } = await roundTrip(settings, input);
    const tokens = sealed.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).ip as string);
    expect(tokens.map((token) => token.slice(0, 6))).toEqual(['lt1.ac', 'lp1.pa', 'lt1.ip', 'lt1.ac']);
    expect(tokens[0]).toBe(tokens[3]);
    expect(revealed.text).toBe(input);
    const strict = settingsOf({ policies, choice: { by: 'tenant', map: choice.map } });
    expect((await filter(strict, input)).refused.map(({ line }) => line)).toEqual([3]);
  });
});

describe('plain text through a filter', () => {
  const settings = settingsOf({ format: 'text', fields: [], patterns: ['ipv4'] });

  it('seals matches and keeps lines as they are', async () => {
    const input = '192.0.2.1 - "GET /" 10.0.0.1\r\n\n\ufeffno address\u0000\nlast 1.2.3.4';
    const { sealed, revealed } = await roundTrip(settings, input);
    expect(sealed.text).not.toMatch(/192\.0\.2|10\.0\.0|1\.2\.3/);
    expect(revealed.text).toBe(input);
    expect(sealed.totals).toMatchObject({ lines: 4, changed: 2 });
  });

  it('leaves expired values as their marker', async () => {
    const store = new MemoryStore();
    const sealed = await filter(settings, 'from 192.0.2.1\n', { store });
    store.now = addDays(DAY, 31);
    const own = {
      ...revealing(settings),
      policies: { ip: policyOf({ context: 'log', expired: 'x.x.x.x' }) },
    };
    expect((await filter(own, sealed.out, { store })).text).toBe('from x.x.x.x\n');
  });
});

describe('CSV through a filter', () => {
  const settings = settingsOf({ format: 'csv', fields: ['ip', 'a "note"'] });

  it('seals columns by name and leaves every other field and quote as it is', async () => {
    const input =
      'id,ip,"a ""note""",x\r\n1,192.0.2.1,"two\r\nlines, ""quoted""","kept"\r\n2,"b,c",,\r\n3,,"",""\r\n';
    const { sealed, revealed } = await roundTrip(settings, input);
    expect(sealed.text.split('\r\n')[0]).toBe('id,ip,"a ""note""",x');
    expect(sealed.text).toMatch(/\r\n1,lt1\.[^,]+,"lt1\.[^,]+","kept"\r\n2,"lt1\.[^,]+",,\r\n3,,"",""\r\n$/);
    expect(revealed.text).toBe(input);
    expect(sealed.totals).toMatchObject({ lines: 5, changed: 2 });
  });

  it('takes numbers where there is no header, other delimiters, dates and patterns', async () => {
    const own = settingsOf({
      format: 'csv',
      header: false,
      delimiter: ';',
      fields: ['2'],
      dateField: '1',
      day: undefined,
      patterns: ['ipv4'],
    });
    const input = '2026-03-09;from 192.0.2.1, 10.0.0.1\n2026-03-10;none\nnever;1.1.1.1\n';
    const { text, refused } = await filter(own, input);
    expect(text).toMatch(/^2026-03-09;from lt1\.ip260309\.[^ ]+, lt1\.ip260309\.[^ ]+\n2026-03-10;none\n$/);
    expect(refused.map(({ line, record }) => [line, record])).toEqual([[3, 'never;1.1.1.1']]);
  });

  it('refuses records whose quotes do not fit, and counts lines inside quotes', async () => {
    const input = 'ip\n"two\nlines"\n"a"b\nx"y"\nok\n"open';
    const { refused, totals } = await filter(settingsOf({ format: 'csv' }), input);
    expect(refused.map(({ line, record }) => [line, record])).toEqual([
      [4, '"a"b'],
      [5, 'x"y"'],
      [7, '"open'],
    ]);
    expect(totals).toMatchObject({ lines: 7, changed: 2 });
  });

  it('refuses a column that the header does not name', async () => {
    await expect(filter(settingsOf({ format: 'csv', fields: ['adress'] }), 'ip\na\n')).rejects.toThrow(
      'adress',
    );
  });
});

describe('a filter as a whole', () => {
  it('gives the same whatever pieces and chunks the input comes in', async () => {
    const record = fc.record({ ip: fc.string({ unit: 'binary', maxLength: 20 }), n: fc.integer() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(record),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 200 }),
        async (records, piece, chunkBytes) => {
          const lines = records.map((one) => JSON.stringify(one));
          const good = lines.filter((line) => !/\\u0000|\\ud[89a-f]/.test(line));
          const settings = settingsOf();
          const { sealed, revealed } = await roundTrip(settings, lines.map((line) => `${line}\n`).join(''), {
            piece,
            chunkBytes,
            parallel: 3,
          });
          expect(revealed.text).toBe(good.map((line) => `${line}\n`).join(''));
          expect(sealed.refused.length).toBe(lines.length - good.length);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('keeps the order when later chunks are done before earlier ones, and no more of them at once than told', async () => {
    let now = 0;
    let most = 0;
    const transform = async () => {
      most = Math.max(most, ++now);
      for (let turn = 0; turn < 1 + (now % 3); turn++) await new Promise((resolve) => setImmediate(resolve));
      now--;
    };
    const input = Array.from({ length: 300 }, (_, i) => `{"i":${i},"ip":"${i}"}\n`).join('');
    const { sealed, revealed } = await roundTrip(settingsOf(), input, {
      chunkBytes: 40,
      parallel: 4,
      transform,
    });
    expect(revealed.text).toBe(input);
    expect(sealed.totals.lines).toBe(300);
    expect(most).toBe(4);
  });

  it('stops at a line without end instead of holding all of it', async () => {
    const { chunks } = await import('../../../retention/filter/chunks.js');
    async function* endless() {
      for (;;) yield Buffer.alloc(1_000, 'x');
    }
    const read = async () => {
      for await (const _ of chunks(endless(), { format: 'jsonl', size: 1_000, longest: 10_000 }));
    };
    await expect(read()).rejects.toThrow('A line is longer');
  });
});
