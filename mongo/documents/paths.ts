/** One step of a path into a document: to a field by name, to any field, to an element by index, or to any element. */
export type FieldStep = (
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'anyName' }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'anyElement' }
) & {
  /** At any depth below, whatever lies between. */
  readonly deep: boolean;
};

export interface FieldPath {
  readonly steps: readonly FieldStep[];
  /** It names the keys that its last step, `*`, matches, not their values. */
  readonly keys: boolean;
}

const STEP =
  /(?:^|(\.))(\*\*\.)?(?:(\*)(?![\w*])|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^.[\]*~'"\s](?:[^.[\]*~]*[^.[\]*~\s])?))|\[\s*(\d{1,9})?\s*\]/uy;

/**
 * Reads `address.street`, `orders[].total`, `tags[0]`, `tiers.*.id`, `tiers.*~`, `**.email`, `'a.b'.c`.
 *
 * @returns The path, or what is wrong with it.
 */
export function parseFieldPath(text: string): FieldPath | string {
  const keys = text.endsWith('~');
  const body = keys ? text.slice(0, -1) : text;
  const steps: FieldStep[] = [];
  for (let at = 0; at < body.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const match = STEP.exec(body);
    if (!match) return unreadable(at);
    const [whole, dot, dots, star, single, double, plain, index] = match;
    const deep = dots !== undefined;
    if (whole.startsWith('[')) {
      if (at === 0) return unreadable(at);
      steps.push(
        index === undefined ? { kind: 'anyElement', deep } : { kind: 'index', index: Number(index), deep },
      );
      continue;
    }
    if ((dot === undefined) !== (at === 0)) return unreadable(at);
    if (star) steps.push({ kind: 'anyName', deep });
    else {
      const name = (single ?? double)?.replace(/\\(.)/gu, '$1') ?? plain!;
      if (name.includes('\0')) return 'a field name holds no zero character';
      steps.push({ kind: 'name', name, deep });
    }
  }
  if (steps.length === 0) return 'it is empty; write a field such as address.street';
  if (keys && steps.at(-1)!.kind !== 'anyName') return '~ names keys, and stands behind *: tiers.*~';
  return { steps, keys };
}

function unreadable(at: number): string {
  return `it cannot be read at character ${at + 1}; write a.b, list[].a, list[0], map.*.a, map.*~, **.a or 'a name'.b`;
}

/** The names of a path that has nothing but names; undefined for any other. */
export function plainNames(path: FieldPath): readonly string[] | undefined {
  if (path.keys) return undefined;
  const names: string[] = [];
  for (const step of path.steps) {
    if (step.kind !== 'name' || step.deep) return undefined;
    names.push(step.name);
  }
  return names;
}

/** A name as a path has it: what is no word of a path stands in quotes. */
export function quoted(name: string): string {
  if (/^[^.[\]*~'"\s]+$/u.test(name)) return name;
  return `'${name.replace(/[\\']/g, '\\$&')}'`;
}
