import type { ColumnType, TransformerSpec } from '../../anonymize/transformer.js';
import { tableFilter } from '../../job/globs.js';
import type { Job, JobCollection } from '../../job/types.js';
import { type TableName, tableText } from '../catalog.js';
import { findTransformer } from '../effects.js';
import { Findings } from '../findings.js';
import { ruleSetHash, versionsOf } from '../pins.js';
import type { ColumnPlan, DomainPlan, Plan, TablePlan } from '../plan.js';
import { type FieldDomains, fieldDomains, keyOf } from './domains.js';
import { judgeCollection, judgeDestination, judgeJob, TEXT } from './judge.js';
import type {
  CatalogCollection,
  CollectionField,
  CollectionRules,
  DocumentCatalog,
  SampledFields,
} from './types.js';

export interface DocumentPlanInput {
  readonly job: Job;
  readonly source: DocumentCatalog;
  readonly destination: DocumentCatalog;
  /** Of the collections whose documents were looked at. Default: none was. */
  readonly samples?: readonly SampledFields[];
}

/** What a value in a document may be; only the value itself says. */
const BSON: ColumnType = { kind: 'other', name: 'BSON', nullable: true, equality: 'exact' };
/** Decides what a run over MongoDB will do: pure, without a database, a key or a clock. */
export function buildDocumentPlan({ job, source, destination, samples = [] }: DocumentPlanInput): Plan {
  const findings = new Findings();
  const wanted = tableFilter(job.include, [...job.exclude, 'admin.*', 'local.*', 'config.*']);
  const collections = source.collections
    .filter((collection) => wanted(tableText(collection)) && !isOurs(collection))
    .filter((collection) => job.collections?.[tableText(collection)]?.skip !== true)
    .sort((a, b) => (tableText(a) < tableText(b) ? -1 : 1));
  judgeJob(job, { source, destination, collections }, findings);
  const domains = fieldDomains(job, collections, findings);
  const naming = nameIn(job, source, destination);
  const tables = collections.map((collection, index): TablePlan => {
    const name = tableText(collection);
    const rules = rulesOf(job, collection, domains);
    const sample = samples.find(({ collection: of }) => of === name);
    const own = job.collections?.[name];
    judgeCollection({ job, collection, rules, sample, own, references: domains.references }, findings);
    return toTable({ id: index + 1, collection, rules, own, sample, destination: naming(collection, own) });
  });
  refuseDoubles(tables, findings);
  judgeDestination(tables, job, destination, findings);
  const ids = new Map(tables.map((table) => [tableText(table.source), table.id]));
  const side = ({ collection, path }: { collection: string; path: string }) => ({
    table: ids.get(collection)!,
    path,
  });
  const pinned = versionsOf(tables);
  return {
    version: 1,
    job: job.job,
    mode: job.destination.mode,
    consistency: job.consistency,
    engine: 'mongo',
    source: source.database,
    destination: destination.database,
    tables,
    domains: domainPlans(tables),
    order: [tables.map(({ id }) => id)],
    cycles: [],
    findings: findings.sorted(),
    ruleSet: ruleSetHash(tables, pinned),
    versions: pinned,
    freeSequences: [],
    execution: {
      batchRows: Math.min(job.batchRows, job.destination.mode === 'upsert' ? UPSERT_ROWS : job.batchRows),
      concurrency: job.concurrency,
      onFailure: job.onFailure,
      evidence: job.evidence,
      whenBusy: job.whenBusy,
      checks: job.checks,
      ledger: job.ledger,
    },
    documents: {
      transactions: destination.transactions,
      views: source.views
        .filter((view) => wanted(tableText(view)))
        .map((view) => {
          const on = { schema: view.schema, name: view.on };
          return {
            source: { schema: view.schema, name: view.name },
            destination: naming(view, job.collections?.[tableText(view)]),
            on: naming(on, job.collections?.[tableText(on)]).name,
            options: view.options,
          };
        }),
      references: domains.references.map(({ from, to }) => ({ from: side(from), to: side(to) })),
    },
  };
}

/** A transaction of MongoDB should stay small. */
const UPSERT_ROWS = 5_000;

/** Collections of Lethe's own: the ledger, and what a run is writing. */
export function isOurs({ name }: TableName): boolean {
  return name.startsWith('lethe.') || name.startsWith('system.');
}

/** The database of the source's URL becomes that of the destination's; others keep their names. */
function nameIn(job: Job, source: DocumentCatalog, destination: DocumentCatalog) {
  return ({ schema, name }: TableName, own: JobCollection | undefined): TableName => {
    if (own?.rename !== undefined) {
      const dot = own.rename.indexOf('.');
      return { schema: own.rename.slice(0, dot), name: own.rename.slice(dot + 1) };
    }
    const renamed =
      job.destination.schemas[schema] ??
      (schema === source.database.name ? destination.database.name : schema);
    return { schema: renamed, name };
  };
}

function rulesOf(job: Job, collection: CatalogCollection, domains: FieldDomains): CollectionRules {
  const name = tableText(collection);
  const own = job.collections?.[name];
  const domainOf = (path: string) =>
    domains.names.get(keyOf({ collection: name, path })) ?? `${name}.${path}`;
  const fields: CollectionField[] = [];
  for (const [path, rule] of Object.entries(own?.fields ?? {})) {
    const { spec, types, special } = rule;
    fields.push({
      ...{ rule: 'fields', path, domain: domainOf(path), apply: spec },
      ...(types && { types }),
      ...(special && { special }),
    });
  }
  const derive = Object.entries(own?.derive ?? {}).map(([field, { from, spec }]) => ({
    ...{ rule: 'fields', name: field, from, apply: spec, domain: domainOf(from) },
  }));
  for (const { member, spec } of domains.inherited) {
    if (member.collection !== name) continue;
    fields.push({ rule: 'foreign key', path: member.path, apply: spec, domain: domainOf(member.path) });
  }
  // An `_id` is there in every document; kept unless somebody says otherwise.
  if (!fields.some(({ path }) => path === '_id')) {
    fields.unshift({
      rule: 'fields',
      path: '_id',
      apply: { name: 'keep', options: {} },
      domain: domainOf('_id'),
    });
  }
  return { collection: name, fields, derive, unlisted: own?.unlisted ?? job.unlisted };
}

interface ToTable {
  readonly id: number;
  readonly collection: CatalogCollection;
  readonly rules: CollectionRules;
  readonly own: JobCollection | undefined;
  readonly sample: SampledFields | undefined;
  readonly destination: TableName;
}

function toTable({ id, collection, rules, own, sample, destination }: ToTable): TablePlan {
  return {
    id,
    source: { schema: collection.schema, name: collection.name },
    destination,
    destinationOid: 0,
    destinationKind: 'table',
    units: [],
    key: { kind: 'columns', columns: ['_id'] },
    ...(own?.where && { where: JSON.stringify(own.where) }),
    semiJoins: [],
    columns: columnsOf(rules, sample),
    conditions: [],
    overridingSystemValue: false,
    deleteMissing: false,
    rows: collection.rows,
    bytes: collection.bytes,
    fingerprint: '',
    destinationFingerprint: '',
    sequences: [],
    collection: {
      rules,
      ...(own?.where && { where: JSON.stringify(own.where) }),
      options: collection.options,
      indexes: collection.indexes
        .filter(({ name }) => name !== '_id_')
        .map(({ name, definition }) => ({ name, definition })),
      capped: collection.capped,
      ...(own?.pushdown && { pushdown: { allowKeyOnServer: own.allowKeyOnServer === true } }),
      sampled: sample?.documents ?? 0,
    },
  };
}

/** The paths as the summary, the pins and the docs of a plan know columns. */
function columnsOf(rules: CollectionRules, sample: SampledFields | undefined): ColumnPlan[] {
  const column = (name: string, domain: string, branches: ColumnPlan['branches']): ColumnPlan => ({
    name,
    destination: name,
    type: BSON,
    branches,
    domain,
    compileType: BSON,
    needs: [],
  });
  return [
    ...rules.fields.map(({ path, domain, rule, apply, types }) =>
      column(path, domain, [
        { rule, apply: types ? { name: 'byType', options: { ...types, else: apply } } : apply },
      ]),
    ),
    ...rules.derive.map(({ name, from, domain, rule, apply }) =>
      column(name, domain, [{ rule, apply: { name: 'derive', options: { from, apply } } }]),
    ),
    ...(rules.unlisted === 'block' ? (sample?.undecided ?? []) : []).map((path) =>
      column(path, `${rules.collection}.${path}`, []),
    ),
  ];
}

function domainPlans(tables: readonly TablePlan[]): DomainPlan[] {
  const members = new Map<string, { members: string[]; spec: TransformerSpec }>();
  for (const { source, collection } of tables) {
    for (const { path, domain, apply } of collection?.rules.fields ?? []) {
      if (apply.name === 'keep' || findTransformer(apply.name) === undefined) continue;
      const found = members.get(domain) ?? { members: [], spec: apply };
      found.members.push(`${tableText(source)}.${path}`);
      members.set(domain, found);
    }
  }
  return [...members].map(([name, { members: of, spec }]) => ({
    name,
    members: of.sort(),
    transformer: spec,
    type: BSON,
    proof: findTransformer(spec.name)!.proof(TEXT, spec.options),
  }));
}

function refuseDoubles(tables: readonly TablePlan[], findings: Findings): void {
  const seen = new Map<string, string>();
  for (const { source, destination } of tables) {
    const name = tableText(destination);
    const other = seen.get(name);
    if (other !== undefined) {
      findings.refuse(
        'destination-twice',
        `${other} and ${tableText(source)} would both be written to ${name}: rename one of them.`,
        { table: tableText(source) },
      );
    }
    seen.set(name, tableText(source));
  }
}
