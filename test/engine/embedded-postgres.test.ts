import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../embedded/postgres.js';
import { onVersions } from '../harness/servers.js';

async function query(server: PostgresServer, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server.url() });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

onVersions('an embedded server', (version) => {
  test('recovers what was committed when it is killed, on the same port', async () => {
    const server = await startPostgres({ version, settings: { log_min_messages: 'fatal' } });
    await query(server, 'CREATE TABLE kept AS SELECT 42 AS n');
    await server.kill();
    await expect(query(server, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    await server.restart();
    expect(await query(server, 'SELECT n FROM kept')).toEqual([42]);
    expect(await query(server, 'SHOW log_min_messages')).toEqual(['fatal']);
    await server.stop();
    expect(existsSync(server.dataDir)).toBe(false);
  });

  test('asks for its password', async () => {
    const server = await startPostgres({ version, superuserPassword: 'right' });
    const client = new pg.Client({ connectionString: server.url().replace(':right@', ':wrong@') });
    await expect(client.connect()).rejects.toMatchObject({ code: '28P01' });
    await server.stop();
  });

  test('goes on with the data of its folder', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'lethe-test-postgres-'));
    const first = await startPostgres({ version, dataDir });
    await query(first, 'CREATE TABLE kept AS SELECT 42 AS n');
    await first.stop();
    const second = await startPostgres({ version, dataDir });
    expect(await query(second, 'SELECT n FROM kept')).toEqual([42]);
    await second.stop();
    await rm(dataDir, { recursive: true });
  });
});
