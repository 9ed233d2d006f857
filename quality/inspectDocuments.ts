import type { JobKeys } from '../anonymize/keys.js';
import { LetheError } from '../errors/errors.js';
import type { CheckSettings } from '../job/types.js';
import type { Connection } from '../mongo/connection.js';
import { prepareDocuments } from '../mongo/documents/compile.js';
import { idOf, type RawId } from '../mongo/ids.js';
import { sampledSource, smallGroups, sourceDocuments, writtenDocuments } from '../mongo/inspect.js';
import { renamedBy } from '../mongo/ledger/runs.js';
import { type Ledger, ledgerOf } from '../mongo/ledger/store.js';
import { target } from '../mongo/load/context.js';
import { tableText } from '../plan/catalog.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import { isSealed } from '../plan/sealing.js';
import { limit, sampleSizes } from './budget.js';
import { DocumentCounts } from './documentDistributions.js';
import type { Groups, Inspection, InspectProgress } from './inspection.js';
import { DocumentScan } from './scan/documents.js';
import { LeakScan } from './scan/leakScan.js';
import type { SealedBy, SealedColumn } from './sealed.js';
import { SealedLook } from './sealedDocuments.js';

/** What looking at documents gave, beside what counts, references and a sample transformed again do. */
export type DocumentInspection = Pick<Inspection, 'leaks' | 'residual' | 'distributions' | 'groups'> & {
  readonly sealed: readonly SealedColumn[];
};

export interface InspectDocuments {
  readonly run: string;
  readonly plan: Plan;
  readonly keys: JobKeys;
  readonly settings: CheckSettings;
  /** Documents that the run wrote, by plan id. */
  readonly written: ReadonlyMap<number, number>;
  /** What sealed values are judged by, where the run sealed any. */
  readonly sealed?: SealedBy;
  readonly report?: (progress: InspectProgress) => void;
  readonly signal?: AbortSignal;
}

/** A collection on its way through the passes. */
interface Inspected {
  readonly table: TablePlan;
  readonly scan: DocumentScan;
  /** Documents that are searched; infinity: all. */
  readonly size: number;
  readonly before: DocumentCounts;
  readonly after: DocumentCounts;
  /** Destination `_id`s of those that are searched, and of the first of them, which are counted. */
  readonly ids: RawId[];
  readonly counted: RawId[];
}

/**
 * Looks at the documents of a finished run on both sides: searches the destination for values of the source, for what is
 * personal in kept fields, and counts. Memory is bounded by the sets of the leak scan, the `_id`s of a sample and a few
 * chunks.
 */
export async function inspectDocuments(
  request: InspectDocuments,
  source: Connection,
  destination: Connection,
): Promise<DocumentInspection> {
  const { plan, settings, keys, written } = request;
  const sizes = sampleSizes(
    plan.tables.map(({ id }) => written.get(id) ?? 0),
    settings,
  );
  const looked = plan.tables.map(({ id }, at) => Math.min(sizes[at]!, written.get(id) ?? 0));
  const rows = looked.reduce((sum, count) => sum + count, 0);
  const { rare, minLength, severity } = settings.leaks;
  const scan = severity === 'off' ? undefined : new LeakScan({ plan, keys, rows, rare, minLength });
  const inspected = plan.tables.map(
    (table, at): Inspected => ({
      table,
      size: sizes[at]!,
      scan: new DocumentScan(table, scan),
      before: new DocumentCounts(table),
      after: new DocumentCounts(table),
      ...{ ids: [], counted: [] },
    }),
  );
  const passes = new Passes(request, source, destination);
  await passes.learn(inspected);
  await passes.look(inspected);
  if (scan?.settle()) await passes.confirm(inspected);
  return {
    ...(scan && { leaks: scan.result() }),
    residual: inspected.flatMap((one) => one.scan.residual()),
    distributions: inspected.flatMap(({ before, after }) => before.compare(after)),
    groups: await passes.groups(),
    sealed: await passes.sealed(inspected),
  };
}

class Passes {
  private readonly ledger: Ledger;

  constructor(
    private readonly request: InspectDocuments,
    private readonly source: Connection,
    private readonly destination: Connection,
  ) {
    this.ledger = ledgerOf(destination);
  }

  async learn(inspected: readonly Inspected[]): Promise<void> {
    const { keys, run, settings } = this.request;
    const counted = settings.drift.severity === 'off' ? 0 : limit(settings.drift.rows);
    for (const [done, one] of inspected.entries()) {
      this.at('source', one, done, inspected.length);
      const { table, size, scan, before, ids } = one;
      const documents = Number.isFinite(size)
        ? sampledSource(this.source, { keys, run, ledger: this.ledger }, table, size)
        : sourceDocuments(this.source, table);
      await this.transformed(table, documents, (document, output) => {
        scan.learn(document, output);
        const id = idOf(output)!;
        if (!this.searchesAll(one)) ids.push(id);
        if (one.counted.length >= counted) return;
        one.counted.push(id);
        before.add(document);
      });
    }
  }

  async look(inspected: readonly Inspected[]): Promise<void> {
    const { plan, run } = this.request;
    const renamed = await renamedBy(this.ledger, run);
    for (const [done, one] of inspected.entries()) {
      this.at('destination', one, done, inspected.length);
      const { table, scan, ids, counted, after } = one;
      const place = target(run, plan.mode, table, renamed);
      const searched = this.searchesAll(one) ? 'all' : ids;
      for await (const chunk of writtenDocuments(this.destination, place, searched)) {
        this.refuseStopped();
        for (const document of chunk) scan.look(document);
      }
      for await (const chunk of writtenDocuments(this.destination, place, counted)) {
        for (const document of chunk) after.add(document);
      }
    }
  }

  /** An `upsert` shares its collection with documents that are not Lethe's: there those of the sample are looked at. */
  async sealed(inspected: readonly Inspected[]): Promise<SealedColumn[]> {
    const { plan, run, sealed: by, settings } = this.request;
    if (!by || settings.leaks.severity === 'off') return [];
    const renamed = await renamedBy(this.ledger, run);
    const every = plan.mode === 'replace';
    const found: SealedColumn[] = [];
    for (const { table, ids } of inspected) {
      if (!table.columns.some(isSealed)) continue;
      const look = new SealedLook(table, by);
      const place = target(run, plan.mode, table, renamed);
      for await (const chunk of writtenDocuments(this.destination, place, every ? 'all' : ids, look.names)) {
        this.refuseStopped();
        for (const document of chunk) look.look(document);
      }
      found.push(...look.columns(every));
    }
    return found;
  }

  async confirm(inspected: readonly Inspected[]): Promise<void> {
    for (const [done, { table, scan }] of inspected.entries()) {
      this.at('suspects', { table }, done, inspected.length);
      await this.transformed(table, sourceDocuments(this.source, table), (document, output) =>
        scan.confirm(document, output),
      );
    }
  }

  async groups(): Promise<Groups[]> {
    const { plan, settings, run } = this.request;
    const renamed = await renamedBy(this.ledger, run);
    const found: Groups[] = [];
    for (const [check, { table: name, columns, k }] of settings.kAnonymity.entries()) {
      const table = plan.tables.find((one) => tableText(one.source) === name);
      if (!table) continue;
      const place = target(run, plan.mode, table, renamed);
      const groups = await smallGroups(this.destination, place, columns, k);
      if (groups) found.push({ check, ...groups });
    }
    return found;
  }

  /** An `upsert` shares its collection with documents that are not Lethe's. */
  private searchesAll({ size }: Inspected): boolean {
    return !Number.isFinite(size) && this.request.plan.mode === 'replace';
  }

  /** Documents with what the rules make of them; those that are refused are not in the destination. */
  private async transformed(
    table: TablePlan,
    documents: AsyncIterable<Uint8Array[]>,
    visit: (document: Uint8Array, output: Uint8Array) => void,
  ): Promise<void> {
    const transform = await prepareDocuments(table.collection!.rules, this.request.keys);
    for await (const chunk of documents) {
      this.refuseStopped();
      for (const [at, output] of transform.apply(chunk).documents.entries()) {
        if (output && idOf(output)) visit(chunk[at]!, output);
      }
    }
  }

  private at(
    phase: InspectProgress['phase'],
    { table }: { table: TablePlan },
    done: number,
    of: number,
  ): void {
    this.request.report?.({ phase, table: tableText(table.source), done, of });
  }

  private refuseStopped(): void {
    if (this.request.signal?.aborted) throw new LetheError('RunEnded', 'The work was stopped.');
  }
}
