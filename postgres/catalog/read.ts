import type { Catalog, CatalogLeaf, CatalogTable } from '../../plan/catalog.js';
import { type Session, withTransaction } from '../session.js';
import { readColumns, type TableColumns } from './columns.js';
import { type Constraints, readConstraints } from './constraints.js';
import { readDependents, readSequences } from './dependents.js';
import { readIdentity } from './identity.js';
import { readIndexes } from './indexes.js';
import { partitionKeyOf, readLeaves, readTrees, type TableTree } from './relations.js';

export interface CatalogOptions {
  /** Which tables to read; partitions follow their root. Default: all. */
  readonly include?: (schema: string, table: string) => boolean;
}

/**
 * Reads everything the plan needs to know of a database, in a dozen statements of one read-only repeatable read
 * transaction, whatever the number of tables. Left out: the schemas of the system and of Lethe, tables of extensions,
 * temporary tables. Tables come in byte order of their names.
 */
export async function readCatalog(session: Session, options: CatalogOptions = {}): Promise<Catalog> {
  return withTransaction(
    session,
    async () => {
      const database = await readIdentity(session);
      const trees = await readTrees(session, options.include ?? (() => true));
      return {
        engine: 'postgres' as const,
        serverVersion: session.serverVersion,
        database,
        tables: await readTables(session, trees),
        sequences: await readSequences(session),
      };
    },
    { isolation: 'repeatable read', readOnly: true },
  );
}

interface Parts {
  readonly leaves: ReadonlyMap<number, CatalogLeaf>;
  readonly columns: ReadonlyMap<number, TableColumns>;
  readonly indexes: Awaited<ReturnType<typeof readIndexes>>;
  readonly constraints: ReadonlyMap<number, Constraints>;
  readonly dependents: ReadonlyMap<number, string[]>;
}

async function readTables(session: Session, trees: readonly TableTree[]): Promise<CatalogTable[]> {
  const relations = trees.flatMap((tree) => tree.relations.map((relation) => relation.oid));
  const parts: Parts = {
    leaves: await readLeaves(session, trees),
    columns: await readColumns(
      session,
      trees.map((tree) => tree.relations[0]!.oid),
    ),
    indexes: await readIndexes(session, relations),
    constraints: await readConstraints(session, relations),
    dependents: await readDependents(session, relations),
  };
  const tables = trees.map((tree) => assemble(tree, parts));
  return tables.sort((a, b) => compare(`${a.schema}.${a.name}`, `${b.schema}.${b.name}`));
}

function assemble(tree: TableTree, parts: Parts): CatalogTable {
  const [root, ...below] = tree.relations;
  const own = parts.constraints.get(root!.oid)!;
  const leaves = tree.relations
    .filter((relation) => relation.kind !== 'p')
    .map((relation) =>
      relation === root ? parts.leaves.get(relation.oid)! : withOwnParts(relation.oid, parts),
    );
  const dependents = tree.relations.flatMap((relation) => parts.dependents.get(relation.oid) ?? []);
  return {
    schema: root!.schema,
    name: root!.name,
    oid: root!.oid,
    kind: root!.kind === 'p' ? 'partitioned' : 'table',
    unlogged: root!.unlogged || below.some((relation) => relation.unlogged),
    leaves,
    inherits: root!.inherits,
    partitionKey: partitionKeyOf(tree),
    ...parts.columns.get(root!.oid)!,
    indexes: parts.indexes.get(root!.oid) ?? [],
    ...own,
    dependents: [...new Set(dependents)].sort(compare),
    rowSecurity: root!.rowSecurity,
    rows: leaves.reduce((sum, leaf) => sum + leaf.rows, 0),
    bytes: leaves.reduce((sum, leaf) => sum + leaf.bytes, 0),
    owner: root!.owner,
  };
}

/** A partition may have indexes, keys, checks and triggers that its root does not know. */
function withOwnParts(oid: number, parts: Parts): CatalogLeaf {
  const { foreignKeys, checks, triggers } = parts.constraints.get(oid)!;
  const own = { indexes: parts.indexes.get(oid) ?? [], foreignKeys, checks, triggers };
  const some = Object.entries(own).filter(([, list]) => list.length > 0);
  return { ...parts.leaves.get(oid)!, ...Object.fromEntries(some) };
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
