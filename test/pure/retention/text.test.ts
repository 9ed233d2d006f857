import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sealMatches, sealMatchesAll } from '../../../retention/token/matches.js';
import { PATTERNS, type PatternName } from '../../../retention/token/patterns.js';
import { Revealer } from '../../../retention/token/revealer.js';
import { findTokens } from '../../../retention/token/scan.js';
import { Sealer } from '../../../retention/token/sealer.js';
import { revealText, revealTexts } from '../../../retention/token/text.js';
import { DAY, keyringOf } from './scene.js';

const keyring = keyringOf(['2026-03-08', '2026-03-09', DAY], { gone: ['2026-03-08'] });
const sealer = new Sealer({ keyring, policy: 'ip' });
const revealer = new Revealer(keyring);
const token = sealer.seal('192.0.2.1', DAY);
const another = sealer.seal('192.0.2.2', DAY);
const gone = new Sealer({ keyring: keyringOf(['2026-03-08']), policy: 'ip' }).seal('x', '2026-03-08');
const future = token.replace('260310', '270101');
const foreign = token.replace('.ip', '.zz');
const broken = `${token.slice(0, 20)}${token[20] === 'A' ? 'B' : 'A'}${token.slice(21)}`;

describe('revealing inside texts', () => {
  it('replaces tokens wherever they stand, and leaves all else', () => {
    const text = `{"ip":"${token}","b":"é ${another}${token}, ${another}"}`;
    expect(revealText(revealer, text)).toBe('{"ip":"192.0.2.1","b":"é 192.0.2.2192.0.2.1, 192.0.2.2"}');
    const plain = [
      '',
      'plain',
      'lt1.ip260310.short.',
      'lt1.ip260230.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.',
      null,
    ];
    expect(revealTexts(revealer, plain)).toEqual(plain);
  });

  it('puts markers where a token cannot be read', () => {
    const text = `${gone}|${future}|${foreign}|${broken}|${sealer.sealBytes(Buffer.from('x'), DAY)}`;
    expect(revealText(revealer, text)).toBe('[expired]|[no key]|[no key]|[tampered]|[binary]');
    const outcomes: string[] = [];
    const markers = { expired: null, noKey: '?' };
    const policyMarkers = { zz: { noKey: 'no ring' } };
    const options = { markers, policyMarkers, count: (outcome: string) => outcomes.push(outcome) };
    expect(revealTexts(revealer, [gone, ` ${gone} `, future, foreign, token], options)).toEqual([
      null,
      '  ',
      '?',
      'no ring',
      '192.0.2.1',
    ]);
    expect(outcomes).toEqual(['expired', 'expired', 'noKey', 'noKey', 'value']);
  });

  it('finds a token behind a fake header that would swallow it', () => {
    const filler = 'A'.repeat(41);
    const fakes = [`lt1.ip260310.${filler}`, `lt1.ip260230.${filler}`, `lt1.ip260310.lt1.ip260310.${filler}`];
    expect(
      revealTexts(
        revealer,
        fakes.map((fake) => `${fake}${token} end`),
      ),
    ).toEqual([
      '[tampered]192.0.2.1 end',
      `lt1.ip260230.${filler}192.0.2.1 end`,
      'lt1.ip260310.[tampered]192.0.2.1 end',
    ]);
  });

  it('takes a context', () => {
    const labelled = new Sealer({ keyring, policy: 'ip', context: 'log' }).seal('x', DAY);
    expect(revealText(revealer, labelled)).toBe('[tampered]');
    expect(revealText(revealer, labelled, { context: 'log' })).toBe('x');
  });

  it('finds the same as a search that goes one character on after every start', () => {
    const parts = fc.constantFrom(
      'lt1.',
      'lp1.ip260310.',
      'A'.repeat(38),
      'lt1',
      '.',
      'ip260310.',
      token,
      'é',
      'lq1.aa000101.',
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 30 }), (list) => {
        const text = list.join('');
        const slow: unknown[] = [];
        for (let start = 0; start < text.length; start++) {
          const match = /^l[tpbq]1\.[a-z0-9]{2}[0-9]{6}\.[A-Za-z0-9_-]{38,}\./.exec(text.slice(start));
          if (match) slow.push({ start, end: start + match[0].length });
        }
        expect(findTokens(text)).toEqual(slow);
      }),
      { numRuns: 500 },
    );
  });

  it('takes long texts', () => {
    const long = `lt1.ip260310.${'A'.repeat(3_000_000)}${token}`;
    expect(revealText(revealer, long)).toBe(`lt1.ip260310.${'A'.repeat(3_000_000)}192.0.2.1`);
    expect(revealText(revealer, 'lt1.ip260310.'.repeat(200_000))).toHaveLength(2_600_000);
  });
});

describe('sealing inside texts', () => {
  it('seals matches and nothing else, and gives the text back', () => {
    const text = 'GET / 192.0.2.7 - 2001:db8::7, x@example.org';
    let sealed = text;
    for (const pattern of ['ipv4', 'ipv6', 'email'] as const)
      sealed = sealMatches(sealer, sealed, pattern, DAY);
    expect(sealed).toMatch(/^GET \/ lt1\.[^ ]+ - lt1\.[^ ]+, lt1\.[^ ]+$/);
    expect(revealText(revealer, sealed)).toBe(text);
    expect(sealMatches(sealer, sealed, /\w+/, DAY)).not.toBe(sealed);
  });

  it('leaves tokens that are there, and those whose key is gone; what only looks like one is text', () => {
    const texts = [`${token} 192.0.2.9`, gone, `${broken} 192.0.2.9`, foreign, null];
    const done = sealMatchesAll(sealer, texts, /[A-Za-z]{1,}\S*|\d\S+/, { day: DAY });
    expect(done).toMatchObject({ sealed: 4, kept: 2, lookalikes: 2 });
    expect(done.texts[0]!.startsWith(`${token} lt1.`)).toBe(true);
    expect(done.texts[1]).toBe(gone);
    expect(revealTexts(revealer, done.texts)).toEqual([
      '192.0.2.1 192.0.2.9',
      '[expired]',
      texts[2],
      foreign,
      null,
    ]);
    const again = sealMatchesAll(sealer, done.texts, /[A-Za-z]{1,}\S*|\d\S+/, { day: DAY });
    expect(again).toMatchObject({ texts: done.texts, sealed: 0, kept: 6, lookalikes: 0 });
  });

  it('seals the group named value', () => {
    const sealed = sealMatches(sealer, 'id=7 user=ann id=8', /id=(?<value>\d+)/, DAY);
    expect(sealed).toMatch(/^id=lt1\.\S+ user=ann id=lt1\.\S+$/);
    expect(revealText(revealer, sealed)).toBe('id=7 user=ann id=8');
  });

  it('gives a refused text to fail, whole', () => {
    const failures: string[] = [];
    const { texts, sealed } = sealMatchesAll(sealer, ['a 1', 'b \ud800', 'c 3'], /\S$/, {
      day: [DAY, DAY, null],
      fail: (i, { type }) => failures.push(`${i} ${type}`),
    });
    expect(failures).toEqual(['1 SealRefused', '2 SealRefused']);
    expect([texts[0] !== null, texts[1], texts[2], sealed]).toEqual([true, null, null, 1]);
  });

  const examples: Record<PatternName, { yes: string[]; no: string[] }> = {
    ipv4: {
      yes: ['192.0.2.1', '255.255.255.255', '010.001.000.009'],
      no: ['1.2.3', '256.1.1.1', '1.2.3.4.5', '12345.1.1.1'],
    },
    ipv6: {
      yes: ['::1', '2001:db8::1', 'FE80::1', '::ffff:192.0.2.1', '1:2:3:4:5:6:7:8'],
      no: ['12:30:59', ':::', '1::2::3', 'a:b'],
    },
    email: { yes: ['a@b.example', 'first.last+tag@mail.example.org'], no: ['a@b', '@b.example'] },
    mac: { yes: ['00:1b:44:11:3a:b7', '00-1B-44-11-3A-B7'], no: ['00:1b:44:11:3a', '00:1b:44:11:3a:b7:00'] },
    uuid: { yes: ['123e4567-e89b-12d3-a456-426614174000'], no: ['123e4567-e89b-12d3-a456-42661417400'] },
  };
  for (const name of Object.keys(PATTERNS) as PatternName[]) {
    it(`knows ${name}`, () => {
      for (const yes of examples[name].yes) {
        const sealed = sealMatches(sealer, `<${yes}>, ${yes}.`, name, DAY);
        expect(sealed.split('lt1.').length, yes).toBe(3);
        expect(sealed, yes).toMatch(/^<lt1\.\S+>, lt1\.\S+\.$/);
      }
      for (const no of examples[name].no)
        expect(sealMatches(sealer, `<${no}>`, name, DAY), no).toBe(`<${no}>`);
    });
  }
});
