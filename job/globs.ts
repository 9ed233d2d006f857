import picomatch from 'picomatch';

/** A compiled pattern over names. */
export type NameMatcher = (name: string) => boolean;

export interface GlobOptions {
  /** Letter case is not counted. Default false. */
  readonly nocase?: boolean;
}

/**
 * Compiles a glob over names: `*` is any run of characters (dots and slashes too), `?` one, `[a-c]` a class, `{a,b}`
 * alternatives. A name that is the pattern letter by letter matches always, whatever it holds.
 * @throws when brackets or braces are not closed.
 */
export function compileGlob(pattern: string, options: GlobOptions = {}): NameMatcher {
  const matches = picomatch(pattern, {
    bash: true,
    dot: true,
    nonegate: true,
    strictBrackets: true,
    nocase: options.nocase ?? false,
  });
  return (name) => name === pattern || matches(name);
}

/** What is wrong with a glob, or undefined. */
export function globMistake(pattern: string): string | undefined {
  if (pattern === '') return 'the pattern is empty: "*" matches everything';
  if (pattern.startsWith('!')) return 'patterns are not negated by "!": list it under exclude';
  try {
    compileGlob(pattern);
    return undefined;
  } catch {
    return `"${pattern}" is no valid pattern: a bracket or brace is not closed`;
  }
}

/** True when `schema.table` is in at least one of `include` and in none of `exclude`. Letter case counts. */
export function tableFilter(include: readonly string[], exclude: readonly string[]): NameMatcher {
  const wanted = include.map((pattern) => compileGlob(pattern));
  const refused = exclude.map((pattern) => compileGlob(pattern));
  return (name) => wanted.some((matches) => matches(name)) && !refused.some((matches) => matches(name));
}
