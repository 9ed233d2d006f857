import type { Document } from 'mongodb';
import { LetheError } from '../errors/errors.js';
import type { DatabaseIdentity } from '../plan/catalog.js';
import { type Connection, type ConnectionOptions, withConnection } from './connection.js';

/** Whether a `system` names one deployment in the world: a user without rights is told less. */
export function isCertain(system: string): boolean {
  return /^(?:set [0-9a-f]{24}$|server [^ ]|cluster [0-9a-f]{24}$)/.test(system);
}

/**
 * Which database this is: the id of its replica set (a copy of the data elsewhere has another one), or what a
 * standalone server calls itself.
 */
export async function readIdentity({ client, database, replicaSet }: Connection): Promise<DatabaseIdentity> {
  const admin = client.db('admin');
  const answer = (command: Document) => admin.command(command).catch((): Document => ({}));
  if (replicaSet !== undefined && replicaSet !== 'sharded') {
    const { config } = await answer({ replSetGetConfig: 1 });
    const id = config?.settings?.replicaSetId;
    return { system: id ? `set ${id}` : `set ${replicaSet}`, oid: '', name: database.databaseName };
  }
  if (replicaSet === 'sharded') {
    const version = await client
      .db('config')
      .collection('version')
      .findOne({})
      .catch(() => null);
    return { system: `cluster ${version?.clusterId ?? ''}`, oid: '', name: database.databaseName };
  }
  const status = await answer({ serverStatus: 1 });
  const { port } = client.options.hosts[0] ?? {};
  return {
    system: `server ${String(status.host ?? '')} ${port ?? ''}`,
    oid: '',
    name: database.databaseName,
  };
}

/** Two identities are of one database. */
export function isDatabase(a: DatabaseIdentity, b: DatabaseIdentity): boolean {
  return a.system === b.system && a.name === b.name;
}

/**
 * Opens the source of a run for the length of `body`, and checks that it is the one that the run pinned.
 *
 * @param misfit What to say where it is another one, and what to do about it.
 * @throws LetheError `PinMismatch` with `misfit`.
 */
export function withPinnedSource<T>(
  connecting: Omit<ConnectionOptions, 'role'>,
  pinned: DatabaseIdentity,
  misfit: string,
  body: (source: Connection) => Promise<T>,
): Promise<T> {
  return withConnection({ ...connecting, role: 'source' }, async (source) => {
    if (!isDatabase(await readIdentity(source), pinned)) throw new LetheError('PinMismatch', misfit);
    return body(source);
  });
}
