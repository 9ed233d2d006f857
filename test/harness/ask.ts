import { openSession, query, type Session } from '../../postgres/session.js';

/* Tests look at a database many times a second while they wait: a connection costs more than what is asked in it. */

/** Sessions that wait for the next question, by URL. */
const idle = new Map<string, Session>();

/** Rows of one statement, in a session that later questions to the same URL may get: it must leave none of its settings. */
export async function ask(
  { url }: { readonly url: string },
  sql: string,
  params: readonly unknown[] = [],
): Promise<Record<string, string | null>[]> {
  const waiting = idle.get(url);
  idle.delete(url);
  const session =
    waiting && !waiting.lost
      ? waiting
      : await openSession({ url, role: 'destination', applicationName: 'test' });
  try {
    return await query(session, sql, params);
  } finally {
    if (session.lost || idle.has(url)) await session.close();
    else idle.set(url, session);
  }
}

/** Waits until `probe` gives something. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  timeoutMs = 90_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export async function closeIdle(): Promise<void> {
  const sessions = [...idle.values()];
  idle.clear();
  await Promise.all(sessions.map((session) => session.close()));
}
