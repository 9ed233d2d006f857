/** Classes by their text: `\p{L}` to ranges. */
const known = new Map<string, string>();

const LAST = 0x10ffff;
/** Planes that hold no character yet. */
const EMPTY = [0x40000, 0xe0000] as const;

/**
 * Writes classes of characters out as ranges. The engine of a MongoDB server is built without Unicode's tables, and
 * takes a pattern with `\p{…}` for a mistake of syntax. The ranges are this Node's, so that both say the same.
 *
 * @param source JavaScript whose `\p{…}` stand in literals of patterns with the flag u, behind no slash of the pattern.
 */
export function portableClasses(source: string): string {
  return source.replaceAll(/\\p\{([^}]+)\}/g, (text, _name, at: number) =>
    inClass(source, at) ? ranges(text) : `[${ranges(text)}]`,
  );
}

/** Whether an index of a pattern stands between the brackets of a class. */
function inClass(source: string, at: number): boolean {
  let open = false;
  for (let i = source.lastIndexOf('/', at) + 1; i < at; i++) {
    if (source[i] === '\\') i++;
    else if (source[i] === '[') open = true;
    else if (source[i] === ']') open = false;
  }
  return open;
}

function ranges(text: string): string {
  const found = known.get(text);
  if (found !== undefined) return found;
  const member = new RegExp(`^${text}$`, 'u');
  let made = '';
  let start = -1;
  for (let code = 0; code <= LAST + 1; code++) {
    if (code === EMPTY[0] && start < 0) code = EMPTY[1];
    const inside =
      code <= LAST && !(code >= 0xd800 && code <= 0xdfff) && member.test(String.fromCodePoint(code));
    if (inside && start < 0) start = code;
    if (inside || start < 0) continue;
    made += start === code - 1 ? escaped(start) : `${escaped(start)}-${escaped(code - 1)}`;
    start = -1;
  }
  known.set(text, made);
  return made;
}

function escaped(code: number): string {
  return `\\u{${code.toString(16)}}`;
}
