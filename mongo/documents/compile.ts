import type { JobKeys } from '../../anonymize/keys.js';
import { versions } from '../../anonymize/registry.js';
import { loadSandbox } from '../../anonymize/sandbox.js';
import type { Column } from '../../anonymize/transformer.js';
import { Assembler, type Derived, type Part } from './assemble.js';
import { BsonMistake, MAX_DOCUMENT } from './bson.js';
import { compileDecisions, type Decisions } from './decisions.js';
import { deriveFields } from './derive.js';
import { type Encoded, encode, encodedNothing } from './encode.js';
import { buildStates, type FieldState } from './match.js';
import { lookup, Scanner } from './scan.js';
import { KEY_NAME, Target } from './target.js';
import type { CollectionRules, DocumentTransform, RefusedDocument, TransformedDocuments } from './types.js';
import { readValue } from './values.js';

/**
 * Builds what transforms the documents of a collection. Throws `JobInvalid` with every mistake in the rules.
 *
 * @example
 * ```ts
 * const parsed = parseFields({ _id: 'keep', email: 'email', 'orders[].note': 'drop' });
 * if ('errors' in parsed) throw new Error(parsed.errors.map(({ message }) => message).join('\n'));
 * const rules = { collection: 'shop.customers', ...parsed, unlisted: 'block' } as const;
 * const { documents, refused } = compileDocuments(rules, jobKeys(key)).apply(raw);
 * ```
 */
export function compileDocuments(rules: CollectionRules, keys: JobKeys): DocumentTransform {
  const decisions = compileDecisions(rules, keys);
  const root = buildStates(decisions.patterns, decisions.unlisted, decisions.derivedCodes);
  return { apply: (documents) => new Batch(decisions, root, documents).transform() };
}

/** `compileDocuments`, after what its transformers need was loaded: the interpreter of `js`. What threads should call. */
export async function prepareDocuments(rules: CollectionRules, keys: JobKeys): Promise<DocumentTransform> {
  const specs = rules.fields.flatMap(({ apply, types }) => [apply, ...Object.values(types ?? {})]);
  const known = specs.filter(({ name }) => name !== 'drop' && name !== 'block');
  if ('js' in versions([...known, ...(rules.derive ?? []).map(({ apply }) => apply)])) await loadSandbox();
  return compileDocuments(rules, keys);
}

class Batch {
  private readonly targets: readonly Target[];
  private readonly scanner: Scanner;
  private readonly documents: readonly Buffer[];
  private readonly refused = new Map<number, RefusedDocument>();
  private readonly parts: Part[] = [];
  private readonly derived = new Map<number, { readonly target: number; readonly field: number }>();
  private readonly rules: Record<string, number> = {};
  private readonly equal: Record<string, number> = {};

  constructor(
    private readonly decisions: Decisions,
    root: FieldState,
    documents: readonly Uint8Array[],
  ) {
    this.documents = documents.map((bytes) =>
      Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
    );
    this.targets = decisions.targets.map((rule) => new Target(rule));
    this.scanner = new Scanner(root, this.targets, decisions.reasons, decisions.derived.length);
  }

  transform(): TransformedDocuments {
    for (let index = 0; index < this.documents.length; index++) this.scan(index);
    const encoded = this.targets.map((target) => this.run(target));
    const documents = this.assemble(encoded);
    const refused = [...this.refused.values()].sort((a, b) => a.index - b.index);
    return { documents, refused, rules: this.rules, equal: this.equal };
  }

  private refuse(index: number, reason: string, path: string): void {
    if (!this.refused.has(index)) this.refused.set(index, { index, reason, path });
  }

  private scan(index: number): void {
    const { edits } = this.scanner;
    const { slots, frames } = edits;
    const refusal =
      this.scanner.scan(this.documents[index]!, index) ??
      deriveFields(this.decisions, this.scanner, this.targets, this.documents[index]!, index, this.derived);
    if (refusal) {
      // The next document uses these slots again.
      for (let slot = slots; slot < edits.slots; slot++) this.derived.delete(slot);
      this.scanner.rollback(slots, frames);
      this.refuse(index, refusal.reason, refusal.path);
    }
    this.parts.push({ firstSlot: slots, lastSlot: edits.slots, firstFrame: frames, lastFrame: edits.frames });
  }

  private run(target: Target): Encoded {
    const { rule } = target;
    // Most targets are for types that hardly any field has. One that reads other fields may refuse documents by them.
    if (target.documents.length === 0 && this.decisions.sources.size === 0)
      return encodedNothing(rule.output);
    const fail = (document: number, reason: string) => this.refuse(document, reason, rule.path);
    const out = target.run(fail, (name) => this.source(name));
    this.count(target, out);
    const encoded = encode(target, out, fail);
    if (rule.type === KEY_NAME) this.refuseMeetingKeys(target, out);
    return encoded;
  }

  private count({ rule, values }: Target, out: Column): void {
    let decided = 0;
    let equal = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value === null) continue;
      decided++;
      if (!rule.mayEqualInput && value === out[i] && value !== '0' && value.trim() !== '') equal++;
    }
    if (decided > 0) this.rules[rule.rule] = (this.rules[rule.rule] ?? 0) + decided;
    if (equal > 0) this.equal[rule.path] = (this.equal[rule.path] ?? 0) + equal;
  }

  /** Different keys of one document must stay different. */
  private refuseMeetingKeys(target: Target, out: Column): void {
    const { edits } = this.scanner;
    const number = this.targets.indexOf(target) + 1;
    const seen = new Set<string>();
    for (let slot = 0; slot < edits.slots; slot++) {
      if (edits.target[slot] !== number) continue;
      const item = edits.item[slot]!;
      const key = `${edits.frame[slot]} ${out[item]}`;
      if (seen.has(key)) this.refuse(target.documents[item]!, 'two keys would become one', target.rule.path);
      seen.add(key);
    }
  }

  private readonly sourceColumns = new Map<string, Column>();

  /** The values of a field, one a document; null where there is none, or no scalar. */
  private source(name: string): Column {
    const known = this.sourceColumns.get(name);
    if (known) return known;
    const names = this.decisions.sources.get(name)!.map((part) => Buffer.from(part));
    const column = this.documents.map((bytes, index) => {
      if (this.refused.has(index)) return null;
      try {
        const found = lookup(bytes, names);
        return found ? (readValue(bytes, found.type, found.start, found.end) ?? null) : null;
      } catch (error) {
        if (!(error instanceof BsonMistake)) throw error;
        this.refuse(index, error.message, name);
        return null;
      }
    });
    this.sourceColumns.set(name, column);
    return column;
  }

  private assemble(encoded: readonly Encoded[]): (Uint8Array | null)[] {
    const derived = new Map<number, Derived>();
    for (const [slot, { target, field }] of this.derived) {
      const name = Buffer.from(`${this.decisions.derived[field]!.name}\0`);
      const item = this.scanner.edits.item[slot]!;
      derived.set(slot, { name, target, item });
    }
    const assembler = new Assembler(this.scanner.edits, encoded, derived);
    return this.documents.map((document, index) => {
      if (this.refused.size > 0 && this.refused.has(index)) return null;
      const part = this.parts[index]!;
      if (assembler.measure(document, part) > MAX_DOCUMENT) {
        this.refuse(index, 'larger than 16 MB after its transformation', '');
        return null;
      }
      return assembler.write(document, part);
    });
  }
}
