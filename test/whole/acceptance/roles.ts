import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { query, type Session } from '../../../postgres/session.js';
import type { Ends } from './databases.js';

const run = promisify(execFile);

/** A role that reads the source, one that writes the destination, and one that owns what is there. */
export interface Roles {
  readonly reader: string;
  readonly writer: string;
  readonly owner: string;
  /** Lets the job log in as the two. */
  use(): Promise<void>;
  /** Runs what `lethe grants` prints for the two, on both sides, and lets the job log in as them. */
  grant(job: string): Promise<void>;
  /** While the databases are there. */
  drop(): Promise<void>;
}

/** Makes roles without any right, and gives everything in the destination to the owner. */
export async function makeRoles(ends: Ends): Promise<Roles> {
  const { source, destination } = ends;
  const suffix = randomBytes(4).toString('hex');
  const [reader, writer, owner] = [`reader_${suffix}`, `writer_${suffix}`, `owner_${suffix}`];
  await query(destination, `CREATE ROLE ${owner} NOLOGIN`);
  for (const role of [reader, writer]) await query(destination, `CREATE ROLE ${role} LOGIN PASSWORD 'p'`);
  await giveAll(destination, owner);
  const use = async () => {
    await ends.refer('source', loginUrl(ends.urls.source, reader));
    await ends.refer('destination', loginUrl(ends.urls.destination, writer));
  };
  return {
    reader,
    writer,
    owner,
    use,
    async grant(job) {
      await ends.refer('source', ends.urls.source);
      await ends.refer('destination', ends.urls.destination);
      const [forSource, forDestination] = (await printed(job, reader, writer)).split(/^(?=-- Destination)/m);
      await query(source, forSource!);
      await query(destination, forDestination!);
      await use();
    },
    async drop() {
      const all = [reader, writer, owner].join(', ');
      for (const session of [source, destination]) await query(session, `DROP OWNED BY ${all} CASCADE`);
      await query(source, `DROP ROLE ${all}`);
    },
  };
}

function loginUrl(superuser: string, role: string): string {
  const url = new URL(superuser);
  url.username = role;
  url.password = 'p';
  return url.href;
}

async function printed(job: string, reader: string, writer: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-acceptance-'));
  const file = join(folder, 'job.yaml');
  await writeFile(file, job);
  const args = ['grants', file, '--source-role', reader, '--destination-role', writer];
  const { stdout } = await run(process.execPath, ['dist/cli/main.js', ...args]);
  await rm(folder, { recursive: true });
  return stdout;
}

async function giveAll(session: Session, owner: string): Promise<void> {
  const schemas = await query(
    session,
    `SELECT quote_ident(nspname) AS name FROM pg_namespace
      WHERE nspname NOT IN ('public', 'information_schema') AND nspname !~ '^pg_'`,
  );
  for (const { name } of schemas) await query(session, `ALTER SCHEMA ${name} OWNER TO ${owner}`);
  const found = await query(
    session,
    `SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i', 'e')
                           AND (c.relkind = 'S' OR d.deptype = 'e'))
      ORDER BY c.relkind = 'S'`,
  );
  for (const { kind, name } of found) await query(session, `ALTER ${kind} ${name} OWNER TO ${owner}`);
}
