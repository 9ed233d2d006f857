/** One step of a path: to a member by name, an element by index, or any child; `deep`: at any depth below. */
export interface Step {
  readonly deep: boolean;
  /** A member's name, an element's index, or null for any. */
  readonly key: string | number | null;
}

const STEP =
  /(\.\.|\.(?=[^[.]))?(?:(\*)|\[\s*(?:(\*)|(\d{1,9})|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\]|([^.[\]*'"\s]+))/uy;

/**
 * Reads `$.address.street`, `$.tags[*]`, `$.items[0]['unit price']`, `$..email`, `$.*`.
 *
 * @returns The steps, or what is wrong with the path.
 */
export function parsePath(text: string): readonly Step[] | string {
  if (!text.startsWith('$')) return `a path starts with $, such as $.address.street`;
  const steps: Step[] = [];
  for (let at = 1; at < text.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const match = STEP.exec(text);
    const [whole, dots = '', star, anyElement, index, single, double, name] = match ?? [];
    const bracket = whole?.slice(dots.length).startsWith('[');
    if (!match || (dots === '' && !bracket)) {
      return `cannot be read at character ${at + 1}; write $.name, $.list[*], $.list[0], $['a name'] or $..name`;
    }
    const quoted = (single ?? double)?.replace(/\\(.)/gu, '$1');
    const key = (star ?? anyElement) ? null : index !== undefined ? Number(index) : (quoted ?? name!);
    steps.push({ deep: dots === '..', key });
  }
  return steps;
}

/** A node of a document, as far as paths can tell it from others. */
export interface PathState {
  /** The first path in the list that names the node or one above it; -1: none. */
  readonly path: number;
  /** The first path in the list that leads on below the node; -1: none. */
  readonly below: number;
  /** The state of a member or element. */
  child(key: string | number): PathState;
}

/** Matches many paths at once; states are shared and found again, so that a document costs one look-up a node. */
export function matcher(paths: readonly (readonly Step[])[]): PathState {
  const keys = new Set(paths.flatMap((steps) => steps.map(({ key }) => key)));
  const states = new Map<string, PathState>();

  /** @param open Reached steps, each as a path and how many of its steps are behind. */
  function state(open: readonly (readonly [path: number, step: number])[], above: number): PathState {
    const done = open.filter(([path, step]) => step === paths[path]!.length).map(([path]) => path);
    const path = Math.min(...[above, ...done].filter((candidate) => candidate >= 0));
    const own = Number.isFinite(path) ? path : -1;
    const onward = open.filter(([candidate, step]) => step < paths[candidate]!.length);
    const below = onward.length > 0 ? Math.min(...onward.map(([candidate]) => candidate)) : -1;
    const id = `${open.map(String).sort().join(';')}|${own}`;
    const known = states.get(id);
    if (known) return known;
    const children = new Map<string | number, PathState>();
    const fresh: PathState = {
      path: own,
      below,
      child(key) {
        // Names and indices that no path has are all alike.
        const like = keys.has(key) ? key : typeof key === 'number' ? -1 : null;
        let next = children.get(like as string | number);
        if (!next) {
          next = state(advance(open, key), own);
          children.set(like as string | number, next);
        }
        return next;
      },
    };
    states.set(id, fresh);
    return fresh;
  }

  function advance(open: readonly (readonly [number, number])[], key: string | number) {
    const next = new Map<string, readonly [number, number]>();
    for (const [path, at] of open) {
      const step = paths[path]![at];
      if (!step) continue;
      if (step.deep) next.set(`${path},${at}`, [path, at]);
      if (step.key === null || step.key === key) next.set(`${path},${at + 1}`, [path, at + 1]);
    }
    return [...next.values()];
  }

  return state(
    paths.map((_, path) => [path, 0] as const),
    -1,
  );
}
