import { BSON, BsonMistake } from './bson.js';
import type { Decisions } from './decisions.js';
import { DERIVED, REFUSE } from './match.js';
import { lookup, type Refusal, type Scanner } from './scan.js';
import type { Target } from './target.js';

/**
 * Notes what the derived fields of a document are made of, after it was scanned: in the place of the field of that name,
 * or at the document's end.
 *
 * @param derived Filled in: slot → target and field.
 */
export function deriveFields(
  { derived: fields, reasons }: Decisions,
  scanner: Scanner,
  targets: readonly Target[],
  bytes: Buffer,
  document: number,
  derived: Map<number, { readonly target: number; readonly field: number }>,
): Refusal | undefined {
  if (fields.length === 0) return undefined;
  const { edits } = scanner;
  for (const [field, { name, from, codes }] of fields.entries()) {
    try {
      const source = lookup(
        bytes,
        from.map((part) => Buffer.from(part)),
      );
      if (!source) continue;
      const code = codes[source.type]!;
      if (code <= REFUSE) return { reason: reasons[REFUSE - code]!, path: name };
      const nothing = source.type === BSON.null || source.type === BSON.undefined;
      const number = nothing ? codes.find((candidate) => candidate > 0)! : code;
      const target = targets[number - 1]!;
      const item = nothing ? target.addNull(document) : target.add(document, bytes, source.start, source.end);
      if (item < 0) return { reason: 'a value that this transformer cannot take', path: name };
      const limit = bytes.length - 1;
      if (!scanner.present[field]) edits.addSlot(DERIVED - field, item, -1, limit, limit, scanner.rootFrame);
      for (let slot = edits.slots - 1; slot >= 0; slot--) {
        if (edits.target[slot] !== DERIVED - field) continue;
        edits.item[slot] = item;
        derived.set(slot, { target: number, field });
        break;
      }
    } catch (error) {
      if (!(error instanceof BsonMistake)) throw error;
      return { reason: error.message, path: name };
    }
  }
  return undefined;
}
