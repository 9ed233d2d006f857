import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type PostgresServer, startPostgres, THROWAWAY } from '../../embedded/postgres.js';
import { postgresBinaries, postgresMissing, serverUser } from '../../embedded/postgres-binary.js';
import { openSession, query } from '../../postgres/session.js';
import { describeUnless } from '../harness/servers.js';
import { Scene, statements } from './load-fixture.js';

const run = promisify(execFile);

/** A hot standby made from a base backup; it replays what came with it and stays in recovery. */
async function startStandby(primary: PostgresServer, home: string): Promise<PostgresServer> {
  const user = serverUser();
  const data = join(home, 'data');
  const url = new URL(primary.url());
  await mkdir(data, { recursive: true });
  if (user) await chown(data, user.uid, user.gid);
  await chmod(home, 0o755);
  await chmod(data, 0o700);
  const program = join(await postgresBinaries(15, user), 'pg_basebackup');
  const args = [
    '-D',
    data,
    '-X',
    'fetch',
    '-c',
    'fast',
    '-h',
    '127.0.0.1',
    '-p',
    String(primary.port),
    '-U',
    'postgres',
  ];
  await run(program, args, { ...user, cwd: '/', env: { ...process.env, PGPASSWORD: url.password } });
  await writeFile(join(data, 'standby.signal'), '');
  await writeFile(join(home, 'superuser-password'), url.password);
  return startPostgres({ version: 15, dataDir: home, settings: THROWAWAY });
}

describeUnless(postgresMissing(15), 'a standby as source', () => {
  test('is read in batches, and gone on with, without a temporary table', { timeout: 120_000 }, async () => {
    const home = await mkdtemp(join(tmpdir(), 'lethe-standby-'));
    const primary = await startPostgres({ version: 15, settings: THROWAWAY });
    let standby: PostgresServer | undefined;
    try {
      const setup = await openSession({ url: primary.url(), role: 'destination', applicationName: 'setup' });
      const schema = ['CREATE TABLE public.s (tax text, n int, v text, PRIMARY KEY (tax, n))'];
      await statements(setup, [
        ...schema,
        `INSERT INTO public.s SELECT 'DE ' || i % 7, i, repeat('v', 100) FROM generate_series(1, 2000) AS i`,
        'ANALYZE public.s',
        'CHECKPOINT',
      ]);
      await setup.close();
      standby = await startStandby(primary, home);
      const url = standby.url();
      const scene = await Scene.make({
        version: 15,
        schema: [],
        source: { url, name: 'postgres', drop: async () => undefined },
        destination: schema,
        job: 'batchRows: 100',
      });
      const stop = new AbortController();
      const interrupt = ({ batch }: { batch: number }) => {
        if (batch === 2) stop.abort();
      };
      await expect(scene.load(['s'], {}, interrupt, stop.signal)).rejects.toMatchObject({
        type: 'Unreachable',
      });
      expect(await scene.load(['s'])).toMatchObject({ rows: 2000 });
      expect(await scene.content('destination', 's')).toEqual(await scene.content('source', 's'));
      expect(await query(scene.source, 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: 't' }]);
      await scene.end();
    } finally {
      await standby?.stop();
      await primary.stop();
      await rm(home, { recursive: true, force: true });
    }
  });
});
