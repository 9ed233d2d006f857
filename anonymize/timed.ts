import vm from 'node:vm';

const script = new vm.Script('run()');

/**
 * Runs a function that may not end by itself, such as a search with a pattern that backtracks without end. V8 stops it
 * when the time is up, also inside a regular expression.
 *
 * @param milliseconds 1 or more.
 * @returns The result, or undefined when the time was up.
 */
export function timed<T>(run: () => T, milliseconds: number): { readonly result: T } | undefined {
  try {
    return { result: script.runInContext(contextWith(run), { timeout: milliseconds }) as T };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  }
}

let context: vm.Context | undefined;

/** One context for all: making one takes a millisecond. */
function contextWith(run: () => unknown): vm.Context {
  context ??= vm.createContext(Object.create(null));
  context.run = run;
  return context;
}
