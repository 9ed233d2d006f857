import { describe, expect, it } from 'vitest';
import { withRetentionText } from '../../job/retention/ofJob.js';
import { buildPlan } from '../../plan/build.js';
import { isSealed } from '../../plan/sealing.js';
import { catalog, codes, columnPlan, job, refusals, type TableSketch } from './plan-fixture.js';

const EVENT: TableSketch = {
  columns: {
    id: 'int4 not null',
    ip: 'varchar(45)',
    at: 'timestamptz',
    line: 'text',
    prefs: 'jsonb',
    host: 'inet',
    tenant: 'text',
  },
  key: ['id'],
};

const RETENTION = `retention:
  stores: { main: { postgres: env:KEYS, masters: { env: M }, signing: env:S } }
  policies:
    - { id: ip, window: 30 }
    - { id: us, window: 90, pad: 64 }
`;

function event(
  columns: string,
  there: Readonly<Record<string, string>> = {},
  more: { head?: string; table?: Partial<TableSketch> } = {},
) {
  const source = { 'public.event': { ...EVENT, ...more.table } };
  const destination = {
    'public.event': { ...EVENT, ...more.table, columns: { ...EVENT.columns, ...there } },
  };
  const parsed = job(
    `${more.head ?? 'retention: ./retention.yaml'}\nunlisted: keep\ntables: { public.event: { columns: ${columns} } }`,
  );
  return buildPlan({
    job: withRetentionText(parsed, { name: 'retention.yaml', text: RETENTION }),
    source: catalog(source),
    destination: catalog(destination, 'staging'),
  });
}

const messages = (made: ReturnType<typeof event>) =>
  refusals(made)
    .map(({ message }) => message)
    .join('\n');

describe('sealed columns', () => {
  it('are planned where tokens have room', () => {
    const made = event('{ ip: { retain: ip }, line: { retain: { policy: us, pattern: ipv4 } } }', {
      ip: 'text',
    });
    expect(codes(made)).toEqual([]);
    expect(isSealed(columnPlan(made, 'public.event.ip'))).toBe(true);
    expect(isSealed(columnPlan(made, 'public.event.tenant'))).toBe(false);
  });

  it('of another type become text in the destination, inside documents as well', () => {
    const json = '{ json: { "$.ip": { retain: { policy: ip, date: at } }, rest: keep } }';
    const made = event(`{ host: { retain: ip }, prefs: ${json} }`, { host: 'text' });
    expect(codes(made)).toEqual([]);
    expect(isSealed(columnPlan(made, 'public.event.prefs'))).toBe(true);
    expect(columnPlan(made, 'public.event.prefs').needs).toEqual(['at']);
    expect(messages(event('{ host: { retain: ip } }'))).toMatch(/host is inet.*TYPE text/);
  });

  it('that are too short are refused with the size that is needed', () => {
    expect(messages(event('{ ip: { retain: ip } }'))).toMatch(
      /character varying\(45\) in the destination.* 112 characters.*TYPE character varying\(112\)/,
    );
    expect(codes(event('{ ip: { retain: ip } }', { ip: 'varchar(112)' }))).toEqual([]);
    // 45 bytes, filled up to 64.
    expect(messages(event('{ ip: { retain: us } }', { ip: 'varchar(112)' }))).toMatch(
      /character varying\(137\)/,
    );
    expect(
      messages(event('{ line: { retain: { policy: ip, pattern: ipv4 } } }', { line: 'varchar(500)' })),
    ).toMatch(/each match inside it grows to 73 characters/);
    expect(messages(event('{ ip: { retain: ip } }', { ip: 'char(200)' }))).toMatch(/tokens are text/);
  });

  it('need a retention file and policies of it', () => {
    const made = event('{ ip: { retain: ip } }', { ip: 'text' }, { head: '' });
    expect(codes(made)).toEqual(['no-retention']);
    const typo = event('{ ip: { retain: us }, line: { retain: uz } }', { ip: 'text' });
    expect(messages(typo)).toMatch(/no policy "uz" in \.\/retention\.yaml/);
    const by = '{ by: tenant, map: { a: ip, b: zz }, default: us }';
    expect(messages(event(`{ ip: { retain: { policy: ${by} } } }`, { ip: 'text' }))).toMatch(
      /no policy "zz"/,
    );
  });

  it('are dated by a column of dates that is copied', () => {
    expect(messages(event('{ ip: { retain: { policy: ip, date: line } } }', { ip: 'text' }))).toMatch(
      /line is text.*type date/,
    );
    expect(codes(event('{ ip: { retain: { policy: ip, date: when } } }', { ip: 'text' }))).toEqual([
      'needs-column',
    ]);
    expect(codes(event('{ at: { retain: { policy: ip, date: at } } }', { at: 'text' }))).toEqual([
      'sealed-by-itself',
    ]);
  });

  it('are no keys', () => {
    const unique = event('{ ip: { retain: ip } }', { ip: 'text' }, { table: { unique: [['ip']] } });
    expect(codes(unique)).toEqual(['unproved-unique']);
    const self = { references: ['tenant -> public.event.line'] };
    const made = event('{ line: { retain: ip } }', {}, { table: self });
    expect(codes(made)).toContain('not-total');
  });
});
