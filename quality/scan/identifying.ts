import type { ColumnType, TransformerSpec } from '../../anonymize/transformer.js';
import { valueList } from '../../anonymize/value-lists.js';
import { matcher, type PathState, parsePath } from '../../json/path.js';
import { scanLeaves, unquote } from '../../json/text.js';
import type { ColumnPlan, Plan, TablePlan } from '../../plan/plan.js';
import { findMatches, patternOf } from '../../retention/token/matches.js';
import { DIGIT, LETTER, type Words } from './words.js';

/** Longest run of words that is looked for: of a longer value its beginning. */
export const MOST_WORDS = 8;
/** Digits that make a number identify: fewer meet by chance. */
const LEAST_DIGITS = 10;
const KNOWN_NAMES = 10_000;
/** Of made-up streets. */
const HOUSE_NUMBERS = 9999;
/** Names of one document or row that are combined with each other. */
const MOST_NAMES = 6;

/** What the transformer `company` adds to names. */
const COMPANY_WORDS = ['inc llc ltd group and sons partners holding works'];

/** How a part of a row takes part in the search. */
export type Role = 'first' | 'last' | 'value' | 'none';

/** These say little about a person alone, or give places, numbers and dates. */
const ALONE_HARMLESS = new Set('city postalCode permute noise range dateShift dateTruncate keep'.split(' '));

/** The role of what a transformer changes. */
export function roleOf({ name }: TransformerSpec): Role {
  if (name === 'firstName') return 'first';
  if (name === 'lastName') return 'last';
  return ALONE_HARMLESS.has(name) ? 'none' : 'value';
}

/** Values of a row, before, by role. */
export interface RowValues {
  readonly first: string[];
  readonly last: string[];
  readonly value: string[];
}

/** Takes the values that were changed out of one column. */
export interface Extractor {
  readonly column: string;
  /** Index of the column among those that are written. */
  readonly written: number;
  /** First or last names. */
  readonly names: boolean;
  /** Adds what was changed to `into`, what was left to `kept`; both are values before. */
  take(before: string, after: string | null, into: RowValues, kept: string[]): void;
}

/** The extractors of a table's transformed columns that hold text. */
export function extractors(table: TablePlan, writes: readonly string[]): Extractor[] {
  return table.columns.flatMap((column): Extractor[] => {
    const written = writes.indexOf(column.name);
    if (written < 0 || !holdsText(column.type)) return [];
    const specs = specsOf(column);
    const documents = specs.filter(({ name }) => name === 'json');
    const take = documents.length > 0 ? documentTaker(documents[0]!) : plainTaker(specs, column.type);
    const names = specs.some((spec) => roleOf(spec) === 'first' || roleOf(spec) === 'last');
    return [{ column: column.name, written, names, take }];
  });
}

/** Types whose text is searched. */
export function holdsText({ kind, element }: ColumnType): boolean {
  return (
    kind === 'text' || kind === 'json' || kind === 'other' || (kind === 'array' && element?.kind === 'text')
  );
}

export function specsOf(column: Pick<ColumnPlan, 'branches'>): TransformerSpec[] {
  return column.branches.flatMap(({ apply, otherwise }) => (otherwise ? [apply, otherwise] : [apply]));
}

function plainTaker(specs: readonly TransformerSpec[], type: ColumnType): Extractor['take'] {
  const roles = new Set(specs.filter(({ name }) => name !== 'keep').map(roleOf));
  // With branches that differ, whatever identifies in any of them.
  const role =
    [...roles].find((one) => one === 'value') ?? [...roles].find((one) => one !== 'none') ?? 'none';
  const parts = partsOf(specs.filter(({ name }) => name !== 'keep'));
  return (before, after, into, kept) => {
    const values = type.kind === 'array' ? elements(before) : [before];
    if (before === after) kept.push(...values);
    else if (role !== 'none') into[role].push(...values.flatMap(parts));
  };
}

/** What of a value its transformers change: all of it, or what `retain` finds in it. */
export function partsOf(specs: readonly TransformerSpec[]): (value: string) => string[] {
  const patterns = specs.map(({ name, options }) => (name === 'retain' ? options.pattern : undefined));
  if (!patterns.every((pattern) => typeof pattern === 'string')) return (value) => [value];
  return (value) => patterns.flatMap((pattern) => findMatches(value, patternOf(pattern)));
}

/** The texts of an array of texts as PostgreSQL prints it. */
function elements(array: string): string[] {
  return [...array.matchAll(/"((?:[^"\\]|\\.)*)"|[^{},]+/g)].map(([whole, quoted]) =>
    quoted === undefined ? whole : quoted.replace(/\\(.)/g, '$1'),
  );
}

/** Values of a document go by the transformer of their path; what no path names is changed unless it is kept. */
function documentTaker({ options }: TransformerSpec): Extractor['take'] {
  const paths = Object.entries(options).filter(([path]) => path.startsWith('$'));
  const root: PathState = matcher(
    paths.map(([path]) => parsePath(path)).filter((steps) => typeof steps !== 'string'),
  );
  const specs = paths.map(([, spec]) => spec as TransformerSpec);
  const rest = options.rest === 'keep' ? 'keep' : 'scramble';
  return (before, after, into, kept) => {
    let leaves: ReturnType<typeof scanLeaves>;
    try {
      leaves = scanLeaves(before, root);
    } catch {
      if (before !== after) into.value.push(before);
      return;
    }
    let at = 0;
    const rests: string[] = [];
    for (const leaf of leaves) {
      const spec = specs[leaf.path] ?? { name: rest, options: {} };
      if (spec.name === 'keep' || leaf.kind === 'null' || leaf.kind === 'boolean' || leaf.kind === 'empty')
        continue;
      const text =
        leaf.kind === 'string' ? unquote(before, leaf.start, leaf.end) : before.slice(leaf.start, leaf.end);
      const role = roleOf(spec);
      if (role !== 'none') into[role].push(...partsOf([spec])(text));
      rests.push(before.slice(at, leaf.start));
      at = leaf.end;
    }
    kept.push(documentText(`${rests.join(' ')} ${before.slice(at)}`));
  };
}

const ESCAPES = /\\(?:u([0-9a-fA-F]{4})|.)/g;

/** The text of a JSON document with its escapes undone: what stands for a blank must not stick to a word. */
export function documentText(document: string): string {
  if (!document.includes('\\')) return document;
  return document.replace(ESCAPES, (_, code: string | undefined) =>
    code === undefined ? ' ' : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** One way in which a value is looked for. */
export interface Form {
  /** Words with one blank between them; of numbers that are written in groups, all in one. */
  readonly text: string;
  /** All its words are words of value lists of the job: it may come out by chance. */
  readonly drawn: boolean;
  /** Of how many combinations such a one is drawn, about. */
  readonly space: number;
}

/** Decides which values identify, and in which forms they are looked for. */
export class Identifying {
  private readonly lists: ReadonlySet<string>;
  /** Words of made-up names: what may stand before, and what after. */
  private readonly names: { readonly first: ReadonlySet<string>; readonly last: ReadonlySet<string> };
  private readonly known = new Map<string, string[]>();
  private readonly pairSpace: number;
  private readonly numberedSpace: number;

  constructor(
    plan: Pick<Plan, 'tables' | 'versions'>,
    private readonly minLength: number,
    private readonly words: Words,
  ) {
    const specs = plan.tables.flatMap(({ columns }) => columns.flatMap(specsOf));
    const names = Object.keys(plan.versions).flatMap((name) =>
      name.startsWith('list ') ? name.slice(5) : [],
    );
    const texts = [...names.flatMap(valueList), ...constants(specs), ...COMPANY_WORDS];
    this.lists = new Set(texts.flatMap((text) => this.split(text)));
    const wordsOf = (list: string) =>
      new Set(
        names
          .filter((name) => name.startsWith(list))
          .flatMap(valueList)
          .flatMap((text) => this.split(text)),
      );
    const last = wordsOf('lastName');
    // Companies put last names beside each other.
    this.names = { first: new Set([...wordsOf('firstName'), ...last]), last };
    const sizeOf = (list: string) =>
      Math.max(1, ...names.filter((name) => name.startsWith(list)).map((name) => valueList(name).length));
    this.pairSpace = sizeOf('firstName') * sizeOf('lastName');
    this.numberedSpace = sizeOf('street') * HOUSE_NUMBERS;
  }

  /** The forms of a row's values. */
  forms({ first, last, value }: RowValues): Form[] {
    const found: Form[] = [];
    for (const text of value) this.valueForms(text, found);
    for (const a of first.slice(0, MOST_NAMES)) {
      for (const b of last.slice(0, MOST_NAMES)) this.pairForms(a, b, found);
    }
    return found;
  }

  private valueForms(text: string, into: Form[]): void {
    const { words } = this;
    words.split(text);
    const count = Math.min(words.count, MOST_WORDS);
    let width = 0;
    let digits = 0;
    let kinds = 0;
    let grouped = count > 1;
    for (let word = 0; word < count; word++) {
      width += words.width(word);
      kinds |= words.kind[word]!;
      if (words.kind[word]! & DIGIT) digits += words.width(word);
      else grouped = false;
    }
    const enough = kinds === DIGIT ? digits >= LEAST_DIGITS : width >= this.minLength;
    // One word of letters alone may be any.
    if (!enough || (count === 1 && kinds === LETTER && width < this.minLength + 4)) return;
    const parts = this.parts(count);
    const drawn = !text.includes('@') && this.areDrawn(parts);
    into.push({ text: parts.join(' '), drawn, space: kinds & DIGIT ? this.numberedSpace : this.pairSpace });
    if (grouped && digits >= LEAST_DIGITS) into.push({ text: parts.join(''), drawn: false, space: 0 });
  }

  private pairForms(first: string, last: string, into: Form[]): void {
    const [a, b] = [this.nameParts(first), this.nameParts(last)];
    if (a.length === 0 || b.length === 0 || a.length + b.length > MOST_WORDS) return;
    if (a.join('').length + b.join('').length < this.minLength - 1) return;
    for (const [before, after] of [
      [a, b],
      [b, a],
    ] as const) {
      const drawn =
        before.every((part) => this.names.first.has(part)) &&
        after.every((part) => this.names.last.has(part));
      into.push({ text: [...before, ...after].join(' '), drawn, space: this.pairSpace });
    }
  }

  /** Words of lists, and besides them only numbers and letters, which say nothing. */
  private areDrawn(parts: readonly string[]): boolean {
    const listed = (part: string) => this.lists.has(part) || this.lists.has(part.replace(/\d+$/, ''));
    return parts.some(listed) && parts.every((part) => part.length < 3 || /^\d+$/.test(part) || listed(part));
  }

  private parts(count: number): string[] {
    return Array.from({ length: count }, (_, word) => this.words.join(word, 1, ''));
  }

  /** Names repeat. */
  private nameParts(name: string): string[] {
    let parts = this.known.get(name);
    if (!parts) {
      if (this.known.size >= KNOWN_NAMES) this.known.clear();
      parts = this.split(name);
      this.known.set(name, parts);
    }
    return parts;
  }

  private split(text: string): string[] {
    this.words.split(text);
    return this.parts(this.words.count);
  }
}

/** Texts that transformers of the job put in place of others. */
function constants(value: unknown, inside = false): string[] {
  if (typeof value === 'string') return inside ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  const { name, options } = value as Partial<TransformerSpec>;
  const gives = name === 'constant' || name === 'pick' || name === 'regexReplace';
  return Object.values(gives && options ? options : value).flatMap((inner) =>
    constants(inner, inside || gives),
  );
}
