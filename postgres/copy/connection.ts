import type { Duplex } from 'node:stream';
import { LetheError } from '../../errors/errors.js';

/** What the COPY queries use of the driver's connection. */
export interface PgConnection {
  readonly stream: Duplex;
  query(text: string): void;
}

/** The listener through which the driver parses what the backend sends. */
export function backendOf(connection: PgConnection): (data: Buffer) => void {
  const [listener, ...others] = connection.stream.listeners('data');
  if (!listener || others.length > 0) {
    throw new LetheError(
      'Internal',
      'The PostgreSQL driver listens to its socket in a way that Lethe does not know.',
    );
  }
  return listener as (data: Buffer) => void;
}
