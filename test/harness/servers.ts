import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { describe, inject, test } from 'vitest';
import { type PostgresVersion, postgresMissing } from '../../embedded/postgres-binary.js';

export type { PostgresVersion };

export interface TestDatabase {
  /** Connection URL, as superuser. */
  readonly url: string;
  readonly name: string;
  /** Removes it, also under open connections. */
  drop(): Promise<void>;
}

/**
 * A new database on the shared server of that version.
 *
 * @param file an SQL file to start from (see `sharedData`): loaded once a server, then copied.
 */
export async function createDatabase(version: PostgresVersion = 18, file?: string): Promise<TestDatabase> {
  const admin = await postgresUrl(version);
  const template = file ? await templateOf(version, file) : 'template0';
  const name = `t_${randomBytes(6).toString('hex')}`;
  await queryOnce(admin, `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    drop: () => queryOnce(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** URL of the superuser's own database on the shared server of that version. */
export async function postgresUrl(version: PostgresVersion = 18): Promise<string> {
  return (await ask<{ url: string }>(`postgres/${version}`)).url;
}

/** The shared Temporal development server, with Lethe's search attributes. */
export function temporal(): Promise<{ address: string; uiUrl: string; namespace: string }> {
  return ask('temporal');
}

/** A MongoDB server, with names for databases that no other test uses. */
export interface TestMongo {
  /** URL that names a database. */
  url(database: string): string;
  /** A new name: `t_<random>_<what>`. */
  database(what: string): string;
  /** `mongod`: started here, as a replica set; `java`: the stand-in; `given`: by MONGODB_URI. */
  readonly kind: 'mongod' | 'java' | 'given';
  readonly client: MongoClient;
  /** Drops the databases that were named, and closes the client. */
  close(): Promise<void>;
}

/** The shared MongoDB server. It fails where there is none: tests over MongoDB are not skipped. */
export async function mongo(): Promise<TestMongo> {
  const { url: base, kind } = await ask<{ url: string; kind: TestMongo['kind'] }>('mongo');
  const url = (database: string) => base.replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?[^?]*/, `$1/${database}`);
  const client = new MongoClient(base);
  await client.connect();
  const named = new Set<string>();
  return {
    url,
    kind,
    client,
    database: (what) => {
      const name = `t_${randomBytes(5).toString('hex')}_${what}`;
      named.add(name);
      return name;
    },
    close: async () => {
      for (const name of named) await client.db(name).dropDatabase();
      await client.close();
    },
  };
}

/** A task queue that no other test polls. */
export function uniqueTaskQueue(prefix = 'test'): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** Declares a suite once for each PostgreSQL version; where one is not installed, one skipped test says so. */
export function onVersions(title: string, suite: (version: PostgresVersion) => void): void {
  for (const version of [15, 18] as const) {
    describeUnless(postgresMissing(version), `${title} (PostgreSQL ${version})`, () => suite(version));
  }
}

/** Declares a suite, or in its place one test that is skipped for `reason`. */
export function describeUnless(reason: string | undefined, title: string, suite: () => void): void {
  describe(
    title,
    reason === undefined ? suite : () => void test('all of it', (context) => context.skip(reason)),
  );
}

/** Path of a file of the data that is shared beside the checkout (`../shared/data`, or `LETHE_TEST_DATA`). */
export function sharedData(name: string): { path: string; missing: string | undefined } {
  const path = resolve(process.env.LETHE_TEST_DATA ?? '../shared/data', name);
  return {
    path,
    missing: existsSync(path) ? undefined : `no ${path}: set LETHE_TEST_DATA to the folder with ${name}`,
  };
}

async function templateOf(version: PostgresVersion, file: string): Promise<string> {
  const query = new URLSearchParams({ file: resolve(file) });
  return (await ask<{ template: string }>(`postgres/${version}?${query}`)).template;
}

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(`${inject('broker')}/${path}`);
  const body = (await response.json()) as T & { error?: string };
  if (!response.ok) throw new Error(`The test harness could not provide ${path}: ${body.error}`);
  return body;
}

async function queryOnce(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
