import { jobKeys } from '../anonymize/keys.js';
import { BLIND, throwawaySealing } from '../anonymize/sealing.js';
import type { Sealing } from '../anonymize/transformer.js';
import { LetheError } from '../errors/errors.js';
import type { Job } from '../job/types.js';
import { type TableName, tableText } from '../plan/catalog.js';
import { buildDocumentPlan } from '../plan/documents/build.js';
import type { DocumentCatalog, SampledFields } from '../plan/documents/types.js';
import { Findings } from '../plan/findings.js';
import type { Finding, Plan, TablePlan } from '../plan/plan.js';
import { dayAt } from '../retention/token/day.js';
import { databasesOf, readCatalog } from './catalog.js';
import { deploymentsOf } from './claim.js';
import type { Connection } from './connection.js';
import { prepareDocuments } from './documents/compile.js';
import { idOf, idText } from './ids.js';
import { judgePushdown } from './pushdown/judge.js';
import { judgeSealedPlaces } from './sealedPlaces.js';

/** Documents of each collection that a plan looks at. */
const SAMPLE = 200;
/** Undecided fields of one collection that are looked for. */
const MOST_UNDECIDED = 100;

/** What was read for a plan, and the plan. */
export interface DocumentsPlanned {
  readonly plan: Plan;
  readonly source: DocumentCatalog;
  readonly destination: DocumentCatalog;
}

/**
 * Reads both catalogs, looks at a sample of each collection for fields that nobody decided, and plans. Writes nothing.
 * Never throws for a mistake in the job: the plan's findings hold what is wrong.
 */
export async function planDocuments(
  job: Job,
  source: Connection,
  destination: Connection,
): Promise<DocumentsPlanned> {
  const mentioned = Object.keys(job.collections ?? {}).map((name) => name.slice(0, name.indexOf('.')));
  const own = destination.database.databaseName;
  const [from, there] = await Promise.all([
    readCatalog(source, await databasesOf(source, mentioned)),
    readCatalog(destination, [own]),
  ]);
  const draft = buildDocumentPlan({ job, source: from, destination: there });
  const written = new Set(draft.tables.map((table) => table.destination.schema));
  written.delete(own);
  const others = await readCatalog(destination, [...written]);
  const to = {
    ...there,
    collections: [...there.collections, ...others.collections],
    views: [...there.views, ...others.views],
  };
  const input = { job, source: from, destination: to };
  const samples: SampledFields[] = [];
  const sealing = sampleSealing(job);
  for (const table of draft.tables) samples.push(await sampleFields(source, table, sealing));
  const plan = buildDocumentPlan({ ...input, samples });
  const judged = withFindings(plan, judgeSealedPlaces(plan, job, from));
  return { plan: await withPushdown(judged, source, destination), source: from, destination: to };
}

/** Whether both ends are one deployment is asked only where it matters: it may leave a mark for a moment. */
async function withPushdown(plan: Plan, source: Connection, destination: Connection): Promise<Plan> {
  if (!plan.tables.some(({ collection }) => collection?.pushdown)) return plan;
  return withFindings(plan, judgePushdown(plan, (await deploymentsOf(source, destination)) === 'one'));
}

function withFindings(plan: Plan, more: readonly Finding[]): Plan {
  const findings = new Findings();
  findings.add(plan.findings);
  findings.add(more);
  return { ...plan, findings: findings.sorted() };
}

/**
 * Applies the rules to a sample. Fields that nobody decided are kept one after the other, so that each is found even
 * where a document has several.
 */
async function sampleFields(source: Connection, table: TablePlan, sealing: Sealing): Promise<SampledFields> {
  const documents = await sampleDocuments(source, table.source, SAMPLE);
  const collection = tableText(table.source);
  const rules = { ...table.collection!.rules, unlisted: 'block' as const };
  // Which values come out does not matter here.
  const keys = { ...jobKeys(new Uint8Array(32)), sealing };
  const undecided: string[] = [];
  for (;;) {
    const kept = undecided.map((path) => ({
      ...{ rule: 'sample', path, apply: { name: 'keep', options: {} }, domain: 'sample' },
    }));
    const transform = await prepareDocuments({ ...rules, fields: [...rules.fields, ...kept] }, keys).catch(
      mistakeOf,
    );
    if (typeof transform === 'string') {
      const mistake = transform.replace(`${collection}:\n`, '').replaceAll('\n', '; ');
      return { collection, documents: documents.length, undecided: [], refused: [], mistake };
    }
    const { refused } = transform.apply(documents);
    // Names that may be data are not shown; as a path they are a wildcard.
    const paths = refused.filter(isUndecided).map(({ path }) => path.replaceAll('?', '*'));
    const found = [...new Set(paths)].filter((path) => !undecided.includes(path));
    if (found.length > 0 && undecided.length < MOST_UNDECIDED) {
      undecided.push(...found);
      continue;
    }
    const counts = new Map<string, { path: string; reason: string; count: number }>();
    for (const refusal of refused) {
      if (isUndecided(refusal)) continue;
      const { path, reason } = refusal;
      const known = counts.get(`${path}\n${reason}`) ?? { path, reason, count: 0 };
      known.count += 1;
      counts.set(`${path}\n${reason}`, known);
    }
    return {
      collection,
      documents: documents.length,
      undecided: undecided.sort(),
      refused: [...counts.values()],
    };
  }
}

/**
 * Keys that nobody keeps: which documents cannot be sealed shows without the real ones. Where a key store goes by a clock
 * of its own, dates that it does not know yet are no mistake.
 */
function sampleSealing({ retention }: Job): Sealing {
  const file = retention?.read?.file;
  if (!file || Object.values(file.stores).some(({ simulated }) => simulated)) return BLIND;
  return throwawaySealing(Object.values(file.policies), dayAt(Date.now()));
}

/** What the compiler says about paths and transformers that do not go together. */
function mistakeOf(error: unknown): string {
  if (error instanceof LetheError && error.type === 'JobInvalid') return error.message;
  throw error;
}

function isUndecided({ reason }: { reason: string }): boolean {
  return reason.includes('no rule decides');
}

/** The first documents, and some from all over the collection. */
export async function sampleDocuments(
  { client }: Connection,
  { schema, name }: TableName,
  size: number,
): Promise<Uint8Array[]> {
  const collection = client.db(schema).collection(name);
  const raw = { raw: true } as const;
  const first = (await collection.find({}, raw).limit(size).toArray()) as unknown as Uint8Array[];
  if (first.length < size) return first;
  const spread = (await collection
    .aggregate([{ $sample: { size: size / 2 } }], raw)
    .toArray()
    .catch(() => [])) as unknown as Uint8Array[];
  const known = first.slice(0, size / 2);
  const seen = new Set(known.map(textOf));
  return [...known, ...spread.filter((document) => !seen.has(textOf(document)))];
}

function textOf(document: Uint8Array): string {
  const id = idOf(document);
  return id ? idText(id) : '';
}
