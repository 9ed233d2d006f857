import type { ColumnType, TransformerSpec } from '../../anonymize/transformer.js';
import type { Job, JobCollection } from '../../job/types.js';
import { type TableName, tableText } from '../catalog.js';
import { findTransformer, proofOf } from '../effects.js';
import type { Findings } from '../findings.js';
import type { TablePlan } from '../plan.js';
import type { FieldReference } from './domains.js';
import { judgeSealedFields } from './sealing.js';
import type {
  CatalogCollection,
  CatalogDocumentIndex,
  CollectionField,
  CollectionRules,
  DocumentCatalog,
  SampledFields,
} from './types.js';

/** For proofs: most transformers take texts. */
export const TEXT: ColumnType = { kind: 'text', name: 'string', nullable: true, equality: 'exact' };

interface WholeJob {
  readonly source: DocumentCatalog;
  readonly destination: DocumentCatalog;
  readonly collections: readonly TableName[];
}

/** What is to be said about the job as a whole. */
export function judgeJob(job: Job, { source, destination, collections }: WholeJob, findings: Findings): void {
  if (collections.length === 0) {
    findings.refuse(
      'no-collections',
      `The source has no collection that the job selects. Check the database in its URL, \`include\` and \`exclude\`. Databases seen: ${databases(source)}.`,
    );
  }
  const known = new Set(collections.map(tableText));
  const views = new Set(source.views.map(tableText));
  for (const [name, { skip, position }] of Object.entries(job.collections ?? {})) {
    if (skip || known.has(name) || views.has(name)) continue;
    findings.refuse('unknown-collection', `${name} is decided, but the source has no such collection.`, {
      table: name,
      position,
    });
  }
  findings.note(
    'no-snapshot',
    'MongoDB holds no snapshot over a whole run: each document is copied as it is when its batch is read.',
  );
  if (!destination.transactions) {
    findings.warn(
      'no-transactions',
      job.destination.mode === 'upsert'
        ? 'The destination is a standalone server without transactions: a late write of a worker that was taken for dead is detected by the checks at the end, not prevented. A replica set prevents it.'
        : 'The destination is a standalone server: what it acknowledged may be lost with it. The run writes into collections of its own until it is complete.',
    );
  }
}

function databases({ collections }: DocumentCatalog): string {
  return [...new Set(collections.map(({ schema }) => schema))].sort().join(', ') || 'none';
}

interface OneCollection {
  readonly job: Job;
  readonly collection: CatalogCollection;
  readonly rules: CollectionRules;
  readonly own: JobCollection | undefined;
  readonly sample: SampledFields | undefined;
  readonly references: readonly FieldReference[];
}

/** What is to be said about one collection: its `_id`, unique indexes, options, and fields that nobody decided. */
export function judgeCollection(one: OneCollection, findings: Findings): void {
  judgeId(one, findings);
  judgeSealedFields(one, findings);
  judgeUnique(one, findings);
  judgeSample(one, findings);
  const { job, collection, own, references } = one;
  const table = tableText(collection);
  const place = { table, ...(own && { position: own.position }) };
  if (collection.options.includes('"timeseries"')) {
    findings.refuse(
      'time-series',
      `${table} is a time series collection, which is not copied yet: leave it out (skip: true).`,
      place,
    );
  }
  if (collection.capped && job.destination.mode === 'upsert') {
    findings.refuse(
      'capped',
      `${table} is capped: it drops documents by itself, so upsert cannot follow it. Use mode: replace.`,
      place,
    );
  }
  if (collection.capped && job.destination.mode === 'replace') {
    findings.warn(
      'capped',
      `${table} is capped, and so is its copy: documents that have grown may push the oldest out. The counts at the end tell.`,
      place,
    );
  }
  if (own?.where && references.some(({ to, from }) => to.collection === table && from.collection !== table)) {
    findings.refuse(
      'filtered-parent',
      `${table} has a \`where\`, and documents outside of it are referenced: their references would lead nowhere. Filter the referencing collections instead.`,
      place,
    );
  }
  if (job.destination.mode === 'upsert' && own?.where === undefined) {
    findings.note(
      'deletions',
      `upsert does not follow deletions: documents that ${table} no longer has stay in the destination.`,
      place,
    );
  }
}

/** What stands in the destination where a collection is to go. */
export function judgeDestination(
  tables: readonly TablePlan[],
  job: Job,
  { collections, views }: DocumentCatalog,
  findings: Findings,
): void {
  const capped = new Set(collections.filter((one) => one.capped).map(tableText));
  const viewed = new Set(views.map(tableText));
  for (const { source, destination } of tables) {
    const [table, there] = [tableText(source), tableText(destination)];
    if (viewed.has(there)) {
      findings.refuse(
        'destination-view',
        `${table} goes to ${there}, which is a view in the destination: drop it there, or give the copy another name (rename).`,
        { table },
      );
    }
    if (capped.has(there) && job.destination.mode === 'upsert') {
      findings.refuse(
        'capped',
        `${table} goes to ${there}, which is capped in the destination: it would drop documents by itself. Use mode: replace, or another collection (rename).`,
        { table },
      );
    }
  }
}

function judgeId({ collection, rules, own }: OneCollection, findings: Findings): void {
  const rule = rules.fields.find(({ path }) => path === '_id');
  if (!rule) return;
  const place = { table: tableText(collection), column: '_id', ...(own && { position: own.position }) };
  for (const spec of specsOf(rule)) {
    if (['drop', 'null', 'block'].includes(spec.name) && !(spec.name === 'block' && rule.types)) {
      findings.refuse(
        'id-removed',
        `Every document needs its _id: ${spec.name} is no decision for it. Use keep, permute or hash.`,
        place,
      );
    } else if (spec.name !== 'retain' && isUnproved(spec)) {
      findings.refuse(
        'unproved-unique',
        `_id becomes ${spec.name}, which may give two documents one _id. Use permute, hash or uuid.`,
        place,
      );
    }
  }
}

function judgeUnique({ collection, rules, own }: OneCollection, findings: Findings): void {
  const table = tableText(collection);
  for (const index of collection.indexes) {
    if (!index.unique) continue;
    const changing = changed(index, rules);
    const bad = changing.filter((rule) => specsOf(rule).some(isUnproved));
    if (bad.length === 0) continue;
    const paths = bad.map(({ path, apply }) => `${path} (${apply.name})`).join(', ');
    const place = { table, ...(own && { position: own.position }) };
    if (own?.accept?.includes(index.name)) {
      findings.warn(
        'unproved-unique',
        `Unique index ${index.name}: ${paths} may collide, as the job accepts; documents that do go to quarantine.`,
        place,
      );
    } else {
      findings.refuse(
        'unproved-unique',
        `Unique index ${index.name}: ${paths} may collide. Use a transformer whose outputs are unique (permute, hash, uuid, email), or accept it: accept: [${index.name}].`,
        place,
      );
    }
  }
  for (const name of own?.accept ?? []) {
    if (collection.indexes.some((index) => index.unique && index.name === name)) continue;
    findings.refuse(
      'unknown-accept',
      `accept names ${name}, but ${table} has no unique index of that name.`,
      {
        table,
        ...(own && { position: own.position }),
      },
    );
  }
}

/** The rules that change what an index holds: of a path of it, or of what lies above or below. */
function changed({ paths }: CatalogDocumentIndex, { fields }: CollectionRules): CollectionField[] {
  const plain = (path: string) => path.replace(/\[[^\]]*\]/g, '');
  return fields.filter((rule) =>
    paths.some((path) => {
      const own = plain(rule.path);
      return own === path || own.startsWith(`${path}.`) || path.startsWith(`${own}.`);
    }),
  );
}

function specsOf({ apply, types }: CollectionField): TransformerSpec[] {
  return [apply, ...Object.values(types ?? {})];
}

function isUnproved(spec: TransformerSpec): boolean {
  if (spec.name === 'keep' || spec.name === 'block') return false;
  if (findTransformer(spec.name) === undefined) return true;
  return (proofOf(spec, TEXT)?.unique ?? 'no') === 'no';
}

function judgeSample({ collection, rules, own, sample }: OneCollection, findings: Findings): void {
  if (!sample) return;
  const table = tableText(collection);
  const place = (column: string) => ({ table, column, ...(own && { position: own.position }) });
  if (sample.mistake !== undefined) {
    findings.refuse('fields', `${table}: ${sample.mistake}`, {
      table,
      ...(own && { position: own.position }),
    });
  }
  const seen = `${sample.documents} ${sample.documents === 1 ? 'document' : 'documents'} of about ${collection.rows} looked at`;
  for (const path of sample.undecided) {
    const message = `${table}.${path} is decided by nobody (${seen})`;
    if (rules.unlisted === 'block') {
      findings.refuse(
        'undecided-field',
        `${message}: write it under collections.${table}.fields with a transformer, keep, null or drop, or set unlisted.`,
        place(path),
      );
    } else {
      findings.warn(
        'undecided-field',
        `${message}: it is ${rules.unlisted === 'keep' ? 'copied as it is' : 'emptied'} (unlisted: ${rules.unlisted}).`,
        place(path),
      );
    }
  }
  for (const { path, reason, count } of sample.refused) {
    // What every document has is no exception but the rule's mistake.
    if (count === sample.documents) {
      findings.refuse(
        'refused-documents',
        `${table}.${path}: ${reason}, in every document (${seen}). Decide it otherwise.`,
        place(path),
      );
      continue;
    }
    findings.warn(
      'refused-documents',
      `${table}.${path}: ${reason} in ${count} of ${sample.documents} documents: such documents go to quarantine.`,
      place(path),
    );
  }
  findings.note('sampled', `${table}: ${seen}; every document of the run is checked again.`, { table });
}
