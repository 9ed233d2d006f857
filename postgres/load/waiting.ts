const EVERY_MS = 3_000;
/** A server that computes for longer without giving a row counts as stuck. */
const LIMIT_MS = 15 * 60_000;

/**
 * Tells, now and then, that work goes on while a server computes and nothing can be seen of it: the first row of a
 * filter that few rows pass, or a lock that another attempt holds. Not for writing rows: who is stuck there holds locks,
 * and has to be noticed.
 */
export async function whileWaiting<T>(work: Promise<T>, tell: () => void): Promise<T> {
  const started = Date.now();
  const timer = setInterval(() => {
    if (Date.now() - started < LIMIT_MS) tell();
  }, EVERY_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
