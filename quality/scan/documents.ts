import type { TransformerSpec } from '../../anonymize/transformer.js';
import { eachLeaf, type Leaf } from '../../mongo/documents/leaves.js';
import { type Place, placesOf } from '../../mongo/documents/places.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import type { Residual } from '../inspection.js';
import { personalKinds } from '../residual.js';
import { type Draws, drawsOf } from './chance.js';
import { partsOf, type RowValues, roleOf } from './identifying.js';
import type { LeakScan } from './leakScan.js';
import { MOST_CHARACTERS } from './words.js';

const NAMES: Draws = { words: true, shapes: false };
/** First names that are put before last names, in one document. */
const MOST_PAIRED = 6;

/** Searches the documents of one collection for values of the source, as `texts.ts` and `sourceRows.ts` do rows. */
export class DocumentScan {
  private readonly root: Place;
  private readonly source: string;
  private readonly destination: string;
  private readonly keepsRest: boolean;
  private readonly draws = new Map<TransformerSpec, Draws>();
  private readonly counts = new Map<string, { looked: number; found: Residual['found'] }>();

  constructor(
    private readonly table: TablePlan,
    private readonly scan: LeakScan | undefined,
  ) {
    const { rules } = table.collection!;
    this.root = placesOf(rules);
    this.keepsRest = rules.unlisted === 'keep';
    this.source = tableText(table.source);
    this.destination = tableText(table.destination);
  }

  /** First pass: a document of the source and what it became. */
  learn(before: Uint8Array, after: Uint8Array): void {
    const row = noValues();
    this.changed(before, after, (leaf, text) => this.add(leaf, text, row));
    this.scan?.learn(row);
  }

  /** Second pass: a document of the destination. */
  look(document: Uint8Array): void {
    const first: Leaf[] = [];
    const last: Leaf[] = [];
    eachLeaf(document, this.root, (leaf) => {
      const { text, place, spec } = leaf;
      if (!isSearched(leaf) || text === null) return;
      const cut = text.slice(0, MOST_CHARACTERS);
      this.scan?.look(cut, `${this.destination}.${place.path}`, this.drawsOf(spec));
      if (this.isKept(leaf)) this.tally(place.path, cut);
      const role = spec && roleOf(spec);
      if (role === 'first') first.push(leaf);
      if (role === 'last') last.push(leaf);
    });
    // First and last name stand in fields of their own: beside each other they identify.
    for (const a of first.slice(0, MOST_PAIRED)) {
      for (const b of last.slice(0, MOST_PAIRED)) {
        const place = `${this.destination}.${a.place.path}+${b.place.path}`;
        this.scan?.look(`${a.text} ${b.text}`, place, NAMES);
      }
    }
  }

  /** Third pass: who has what is suspected, and whether it was kept somewhere. */
  confirm(before: Uint8Array, after: Uint8Array): void {
    const { scan } = this;
    if (!scan) return;
    const people = noValues();
    const names = new Set<string>();
    const kept = (text: string) => scan.confirmKept(text.slice(0, MOST_CHARACTERS));
    this.changed(
      before,
      after,
      (leaf, text) => {
        const row = noValues();
        this.add(leaf, text, row);
        if (row.value.length > 0) scan.confirm(row, `${this.source}.${leaf.place.path}`);
        people.first.push(...row.first);
        people.last.push(...row.last);
        if (row.first.length + row.last.length > 0) names.add(leaf.place.path);
      },
      kept,
    );
    if (people.first.length > 0) scan.confirm(people, `${this.source}.${[...names].join('+')}`);
  }

  /** What looks personal in kept fields of the documents that were looked at. */
  residual(): Residual[] {
    return [...this.counts].map(([column, count]) => ({ table: this.table.id, column, ...count }));
  }

  /** Values that the rules changed; what is the same afterwards, in the same place, was left as it is. */
  private changed(
    before: Uint8Array,
    after: Uint8Array,
    visit: (leaf: Leaf, text: string) => void,
    kept: (text: string) => void = () => undefined,
  ): void {
    const same = new Set<string>();
    eachLeaf(after, this.root, (leaf) => {
      if (isSearched(leaf)) same.add(`${leaf.place.path}\0${leaf.text}`);
    });
    eachLeaf(before, this.root, (leaf) => {
      const { text, place } = leaf;
      if (!isSearched(leaf) || text === null) return;
      if (this.isKept(leaf) || same.has(`${place.path}\0${text}`)) kept(text);
      else if (text.length <= MOST_CHARACTERS) visit(leaf, text);
    });
  }

  private add({ spec }: Leaf, text: string, into: RowValues): void {
    const role = spec ? roleOf(spec) : 'value';
    if (role !== 'none') into[role].push(...(spec ? partsOf([spec])(text) : [text]));
  }

  private isKept({ spec }: Leaf): boolean {
    return spec ? spec.name === 'keep' : this.keepsRest;
  }

  private drawsOf(spec: TransformerSpec | undefined): Draws {
    if (!spec) return drawsOf([]);
    const known = this.draws.get(spec) ?? drawsOf([spec]);
    this.draws.set(spec, known);
    return known;
  }

  private tally(path: string, text: string): void {
    const count = this.counts.get(path) ?? { looked: 0, found: {} };
    count.looked++;
    const found: { -readonly [K in keyof Residual['found']]: number } = count.found;
    for (const kind of personalKinds(text)) found[kind] = (found[kind] ?? 0) + 1;
    this.counts.set(path, count);
  }
}

function isSearched({ kind }: Leaf): boolean {
  return kind === 'text' || kind === 'number';
}

function noValues(): RowValues {
  return { first: [], last: [], value: [] };
}
