import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { retentionJsonSchema } from '../../../job/retention/jsonschema.js';
import { loadRetention, parseRetention, retentionPath } from '../../../job/retention/load.js';

const MINIMAL = `retention:
  stores:
    main: { postgres: env:KEYS_URL, masters: { file: /var/lib/lethe }, signing: env:SIGNING }
  policies:
    - { id: ip, window: 30 }
`;

function mistakes(text: string): string[] {
  return parseRetention(text, 'r.yaml').mistakes.map(
    ({ position, message }) => `${position.line}:${position.column} ${message}`,
  );
}

describe('a retention file', () => {
  it('has a default for everything but stores, ids and windows', () => {
    expect(parseRetention(MINIMAL, 'r.yaml')).toEqual({
      mistakes: [],
      retention: {
        stores: {
          main: {
            postgres: 'env:KEYS_URL',
            masters: { file: '/var/lib/lethe' },
            signing: 'env:SIGNING',
            simulated: false,
          },
        },
        policies: {
          ip: {
            id: 'ip',
            name: 'ip',
            window: 30,
            store: 'main',
            context: '',
            expired: '[expired]',
            deterministic: false,
            requireGrade: 'bestEffort',
          },
        },
        tables: {},
        schedules: { generate: '5 * * * *', destroy: '30 0 * * *' },
      },
    });
  });

  it('says what is sealed in tables, whole, by pattern, by path, and by the row', () => {
    const { retention } = parseRetention(
      `${MINIMAL}    - { id: u7, name: users, window: 7, expired: null, pad: 16 }
  tables:
    public.event:
      date: at
      readers: [analyst]
      others: null
      columns:
        ip: ip
        line: { policy: ip, pattern: ipv4 }
        doc: { policy: { by: tenant, map: { "7": u7 }, default: ip }, paths: [$.client.ip] }
`,
      'r.yaml',
    );
    expect(retention?.tables['public.event']).toEqual({
      date: 'at',
      readers: ['analyst'],
      others: 'null',
      view: 'public.event_readable',
      columns: {
        ip: { policy: 'ip' },
        line: { policy: 'ip', pattern: 'ipv4' },
        doc: { policy: { by: 'tenant', map: { '7': 'u7' }, default: 'ip' }, paths: ['$.client.ip'] },
      },
    });
    expect(retention?.policies.u7).toMatchObject({ name: 'users', expired: null, pad: 16 });
  });

  it('reports every mistake at once, with its place and the nearest name', () => {
    const text = `retention:
  stores:
    main: { postgres: postgres://u:p@h/d, masters: { file: /m }, signing: env:S }
    spare: { postgres: env:B, masters: { dir: /m }, signing: env:S }
  policies:
    - { id: IP, window: 30, store: main }
    - { id: ip, window: 0, store: mian }
    - { id: ip, windows: 7 }
  tables:
    event:
      columns:
        a: ix
        b: { policy: { by: t, map: { x: zz } }, pattern: ipv5, paths: [client] }
  schedules: { destroy: daily }
`;
    const found = mistakes(text).join('\n');
    for (const part of [
      '3:23 a connection URL does not belong in a job file',
      '4:40 expected { file: DIRECTORY } or { env: NAME }',
      '6:13 a policy id is two characters',
      '7:25 must be at least 1',
      '7:35 there is no key store "mian" (did you mean "main"?)',
      '8:13 policy ip stands here twice',
      '8:17 unknown key "windows" (did you mean "window"?)',
      '8:7 there are several key stores',
      '10:5 "event" does not name its schema',
      '12:12 there is no policy "ix" (did you mean "ip"?)',
      '13:41 there is no policy "zz"',
      '"ipv5" is no pattern by name (did you mean "ipv4"?)',
      'a path starts with $',
      '14:25 a cron expression has 5 fields',
    ])
      expect(found).toContain(part);
    expect(found).not.toContain('u:p@h');
  });

  it('is found by LETHE_RETENTION, and a missing one says so', async () => {
    expect(retentionPath(undefined, { LETHE_RETENTION: '/etc/r.yaml' })).toBe('/etc/r.yaml');
    expect(retentionPath(undefined, {})).toBe('retention.yaml');
    await expect(loadRetention('/nowhere/r.yaml')).rejects.toMatchObject({ type: 'JobInvalid' });
  });

  it('has the published JSON Schema', () => {
    const file = new URL('../../../job/retention/retention.schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(retentionJsonSchema());
  });
});
