import { describe, expect, test } from 'vitest';
import { parseJob } from '../../job/load.js';
import { withRetentionText } from '../../job/retention/ofJob.js';
import { judgePushdown } from '../../mongo/pushdown/judge.js';
import { judgeSealedPlaces } from '../../mongo/sealedPlaces.js';
import { buildDocumentPlan } from '../../plan/documents/build.js';
import type { CatalogCollection, DocumentCatalog, SampledFields } from '../../plan/documents/types.js';
import type { Plan } from '../../plan/plan.js';
import { isSealed, retainsOfPlan } from '../../plan/sealing.js';

const HEAD = 'job: shop\nsource: { mongodb: env:S }\ndestination: { mongodb: env:D }\nkey: env:K\n';

function collection(name: string, more: Partial<CatalogCollection> = {}): CatalogCollection {
  return {
    schema: 'shop',
    name,
    rows: 100,
    bytes: 1_000,
    capped: false,
    options: '{}',
    indexes: [],
    ...more,
  };
}

function catalog(name: string, collections: CatalogCollection[], transactions = true): DocumentCatalog {
  return {
    serverVersion: 8_000,
    database: { system: 's', oid: '', name },
    transactions,
    collections,
    views: [],
  };
}

const SHOP = [
  collection('accounts', {
    indexes: [{ name: 'id_1', paths: ['account_id'], unique: true, definition: '{}' }],
  }),
  collection('customers'),
  collection('audit.log'),
];

function plan(text: string, samples: SampledFields[] = [], source = catalog('shop', SHOP)): Plan {
  const { job, mistakes } = parseJob(HEAD + text, 'job.yaml');
  if (!job) throw new Error(mistakes.map(({ message }) => message).join('\n'));
  return buildDocumentPlan({ job, source, destination: catalog('copy', []), samples });
}

function refusals({ findings }: Plan): string[] {
  return findings.filter(({ level }) => level === 'refusal').map(({ code }) => code);
}

const REFERENCE = 'references: ["shop.customers.accounts[] -> shop.accounts.account_id"]\n';

describe('references between documents', () => {
  test('hand the transformer of the parent and its key to the field that references it', () => {
    const { tables, findings } = plan(
      `${REFERENCE}collections: { shop.accounts: { fields: { account_id: permute } } }\n`,
    );
    expect(findings.filter(({ level }) => level === 'refusal')).toEqual([]);
    const fields = tables.find(({ source }) => source.name === 'customers')!.collection!.rules.fields;
    expect(fields.find(({ path }) => path === 'accounts[]')).toMatchObject({
      rule: 'foreign key',
      apply: { name: 'permute' },
      domain: 'shop.accounts.account_id',
    });
  });

  test('are refused where both ends are decided differently, or name no collection', () => {
    const both = `${REFERENCE}collections:
  shop.accounts: { fields: { account_id: permute } }
  shop.customers: { fields: { "accounts[]": hash } }
`;
    expect(refusals(plan(both))).toEqual(['domain-disagrees']);
    expect(refusals(plan('references: ["shop.nobody.x -> shop.accounts.account_id"]\n'))).toEqual([
      'unknown-reference',
    ]);
  });

  test('find collections whose names hold dots', () => {
    const { domains } = plan(
      'references: ["shop.audit.log.who -> shop.customers.name"]\ncollections: { shop.customers: { fields: { name: hash } } }\n',
    );
    expect(domains).toMatchObject([
      { name: 'shop.customers.name', members: ['shop.audit.log.who', 'shop.customers.name'] },
    ]);
  });

  test('refuse a filter on what is referenced', () => {
    const filtered = `${REFERENCE}collections: { shop.accounts: { where: { active: true }, fields: { account_id: permute } } }\n`;
    expect(refusals(plan(filtered))).toEqual(['filtered-parent']);
  });
});

describe('what must stay unique', () => {
  const accounts = (fields: string, more = '') =>
    plan(`collections: { shop.accounts: { fields: { ${fields} }${more} } }\n`);

  test('is proved by the transformer, or accepted by name', () => {
    expect(refusals(accounts('account_id: permute'))).toEqual([]);
    expect(refusals(accounts('account_id: firstName'))).toEqual(['unproved-unique']);
    expect(refusals(accounts('account_id: firstName', ', accept: [id_1]'))).toEqual([]);
    expect(refusals(accounts('account_id: permute', ', accept: [nothing]'))).toEqual(['unknown-accept']);
  });

  test('holds for _id, which no document can do without', () => {
    expect(refusals(accounts('_id: firstName'))).toEqual(['unproved-unique']);
    expect(refusals(accounts('_id: drop'))).toEqual(['id-removed']);
    expect(refusals(accounts('_id: { types: { string: hash, int: mask } }'))).toEqual(['unproved-unique']);
  });
});

describe('names', () => {
  test("follow the databases of both URLs, and the job's own", () => {
    const to = (text: string) =>
      plan(text).tables.map(({ destination }) => `${destination.schema}.${destination.name}`);
    expect(to('')).toEqual(['copy.accounts', 'copy.audit.log', 'copy.customers']);
    expect(to('exclude: ["shop.a*"]\ncollections: { shop.customers: { rename: other.people } }\n')).toEqual([
      'other.people',
    ]);
    expect(refusals(plan('collections: { shop.customers: { rename: copy.accounts } }\n'))).toEqual([
      'destination-twice',
    ]);
    expect(refusals(plan('collections: { shop.custmers: { skip: false } }\n'))).toEqual([
      'unknown-collection',
    ]);
  });
});

describe('sealed fields', () => {
  const POLICIES =
    'retention:\n  stores: { main: { postgres: env:K, masters: { env: M }, signing: env:G } }\n' +
    '  policies: [{ id: ip, window: 30 }, { id: us, window: 90, context: users }]\n';
  const sealed = (rules: string, source = catalog('shop', SHOP), head = 'retention: ./r.yaml\n'): Plan => {
    const { job, mistakes } = parseJob(`${HEAD}${head}${rules}`, 'job.yaml');
    if (!job) throw new Error(mistakes.map(({ message }) => message).join('\n'));
    const read = withRetentionText(job, { name: 'r.yaml', text: POLICIES });
    return buildDocumentPlan({ job: read, source, destination: catalog('copy', []) });
  };
  const customers = (fields: string, more = '') =>
    `${more}collections: { shop.customers: { fields: ${fields} } }\n`;

  test('are planned with their policies, whole, in part, below a path, by type and derived', () => {
    const made = sealed(
      'collections: { shop.customers: { fields: { a.b: { retain: ip }, at: keep, line: { retain: { policy: us, pattern: ipv4, date: at } },' +
        ' n: { types: { int: { retain: { policy: { by: t, map: { x: us }, default: ip } } }, else: keep } } },' +
        ' derive: { s: { from: m, apply: { retain: us } } } } }\n',
    );
    expect(refusals(made)).toEqual([]);
    const table = made.tables.find(({ source }) => source.name === 'customers')!;
    expect(table.columns.filter(isSealed).map(({ name }) => name)).toEqual(['a.b', 'line', 'n', 's']);
    expect(retainsOfPlan(made).map(({ policy }) => policy)).toHaveLength(4);
  });

  test.each([
    [customers('{ _id: { retain: ip } }'), 'sealed-id'],
    [customers('{ x: { retain: iq } }'), 'unknown-policy'],
    [customers('{ x: { retain: { policy: ip, date: x.at } } }'), 'sealed-by-itself'],
    [customers('{ x: { apply: { retain: ip }, special: keep } }'), 'sealed-special'],
    [customers('{ accounts: { retain: ip } }', REFERENCE), 'sealed-reference'],
    [customers('{ _id.ip: { retain: ip } }'), 'sealed-id'],
    [customers("{ '_id.**.ip': { retain: ip } }"), 'sealed-id'],
    [customers('{ "\'_id\'.ip": { retain: ip } }'), 'sealed-id'],
  ])('%s is refused', (rules, code) => {
    expect(refusals(sealed(rules))).toEqual([code]);
  });

  const INDEXED = [
    collection('customers', {
      indexes: [{ name: 'x_1', paths: ['a.x'], unique: true, definition: '{}' }],
    }),
    collection('accounts'),
  ];
  const accept = (fields: string) =>
    `collections: { shop.customers: { accept: [x_1], fields: ${fields} } }\n`;
  test.each([
    [customers("{ '*': { retain: ip }, a: keep }", REFERENCE), ['sealed-reference']],
    [customers("{ 'accounts[1]': { retain: ip } }", REFERENCE), ['sealed-reference']],
    [customers("{ '*': { retain: ip }, accounts: keep }", REFERENCE), ['unproved-unique']],
    [customers("{ '**.x': { retain: ip } }", REFERENCE), ['unproved-unique']],
    [customers("{ '*': { retain: ip }, a.x: keep, 'a[].x': keep, accounts: keep }", REFERENCE), []],
    [accept("{ '*': { retain: ip } }"), []],
    [
      `${REFERENCE}collections: { shop.accounts: { fields: { '**.account_id': { retain: ip } } } }\n`,
      ['sealed-reference'],
    ],
  ])('%s is judged by what its rules mean', (rules, codes) => {
    const source = catalog('shop', INDEXED);
    const { job } = parseJob(`${HEAD}retention: ./r.yaml\n${rules}`, 'job.yaml');
    const found = judgeSealedPlaces(sealed(rules, source), job!, source);
    expect(found.map(({ code }) => code)).toEqual(codes);
  });

  test('need a retention file, and unique indexes that the job accepts', () => {
    expect(refusals(sealed(customers('{ x: { retain: ip } }'), catalog('shop', SHOP), ''))).toEqual([
      'no-retention',
    ]);
    const indexes = [{ name: 'x_1', paths: ['x'], unique: true, definition: '{}' }];
    const source = catalog('shop', [collection('customers', { indexes, options: '{"validator":{}}' })]);
    const made = sealed(customers('{ x: { retain: ip } }'), source);
    expect(refusals(made)).toEqual(['unproved-unique']);
    expect(made.findings.map(({ code }) => code)).toContain('sealed-validator');
  });

  test('are not pushed down', () => {
    const pushed = sealed(
      'collections: { shop.customers: { pushdown: true, fields: { x: { retain: ip } } } }\n',
    );
    expect(judgePushdown(pushed, true)[0]?.message).toContain(
      'x: retain seals with day keys and random salts, which stay in the workers',
    );
  });
});

test('fields that nobody decided are refused, kept or emptied, as the job says', () => {
  const sample = [{ collection: 'shop.customers', documents: 7, undecided: ['hobby'], refused: [] }];
  expect(refusals(plan('', sample))).toEqual(['undecided-field']);
  const kept = plan('unlisted: keep\n', sample);
  expect(refusals(kept)).toEqual([]);
  expect(kept.findings.find(({ code }) => code === 'undecided-field')?.message).toMatch(
    /7 documents of about 100 looked at.*copied as it is/,
  );
});

test('a rule that no document of the sample takes is a mistake, one that some do not is a warning', () => {
  const sample = (count: number) => [
    {
      collection: 'shop.customers',
      documents: 4,
      undecided: [],
      refused: [{ path: 'x', reason: 'no', count }],
    },
  ];
  expect(refusals(plan('', sample(4)))).toEqual(['refused-documents']);
  expect(refusals(plan('', sample(3)))).toEqual([]);
});

test('capped collections cannot be followed by upsert, and time series not at all', () => {
  const source = catalog('shop', [
    collection('log', { capped: true }),
    collection('t', { options: '{"timeseries":{}}' }),
  ]);
  const text = HEAD.replace('env:D }', 'env:D, mode: upsert }');
  const { job } = parseJob(text, 'job.yaml');
  const made = buildDocumentPlan({ job: job!, source, destination: catalog('copy', [], false) });
  expect(refusals(made).sort()).toEqual(['capped', 'time-series']);
  expect(made.findings.find(({ code }) => code === 'no-transactions')?.message).toContain('not prevented');
  expect(made.execution.batchRows).toBe(5_000);
});

test('nothing is written to a view, nor by upsert to what is capped in the destination', () => {
  const destination = {
    ...catalog('copy', [collection('log', { schema: 'copy', capped: true })]),
    views: [{ schema: 'copy', name: 'customers', on: 'other', options: '{}' }],
  };
  const source = catalog('shop', [collection('log'), collection('customers')]);
  const made = (mode: string) => {
    const { job } = parseJob(HEAD.replace('env:D }', `env:D, mode: ${mode} }`), 'job.yaml');
    return refusals(buildDocumentPlan({ job: job!, source, destination })).sort();
  };
  expect(made('upsert')).toEqual(['capped', 'destination-view']);
  expect(made('replace')).toEqual(['destination-view']);
});

test('transformers inside of rules by type, and of derived fields, are pinned like all others', () => {
  const { versions } = plan(
    'collections: { shop.customers: { fields: { x: { types: { string: fullName } } }, derive: { y: { from: x, apply: hash } } } }\n',
  );
  expect(Object.keys(versions)).toEqual(expect.arrayContaining(['fullName', 'hash']));
});

test('settings of the other engine are refused, each at its place', () => {
  const text = `${HEAD}tables: { public.a: {} }\nevidence: row\ncollections: { shop.a: { pushdown: true } }\n`;
  const { mistakes } = parseJob(text, 'job.yaml');
  expect(mistakes.map(({ position: { line } }) => line)).toEqual([5, 6]);
  const other = parseJob(
    'job: a\nsource: { postgres: env:S }\ndestination: { postgres: env:D }\nkey: env:K\ncollections: {}\n',
    'job.yaml',
  );
  expect(other.mistakes).toHaveLength(1);
  const types = parseJob(
    `${HEAD}collections: { shop.a: { fields: { x: { types: { text: hash } } } } }\n`,
    'job.yaml',
  );
  expect(types.mistakes[0]?.message).toContain('"text" is no BSON type');
});
