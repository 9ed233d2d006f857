import { readChecks } from './checkSettings.js';
import { readCollections } from './collections.js';
import { durationSeconds } from './duration.js';
import { type Engine, engineOf, refuseForeign } from './engines.js';
import { isRecord, type Reading, readRules, readSpec } from './rules.js';
import { type JobFile, tableNameMistake } from './schema.js';
import type { Path } from './source.js';
import type {
  ColumnRule,
  DestinationSettings,
  Job,
  SourceSettings,
  TableRules,
  VirtualReference,
} from './types.js';
import { splitReference } from './virtualReference.js';

/** Schemas that are never copied unless an `include` glob names them. */
const SYSTEM_SCHEMAS = ['pg_catalog.*', 'pg_toast.*', 'information_schema.*', 'lethe.*'];

/**
 * Fills in defaults and checks what needs two places at once. `raw` is the file after overlays; its shape may still be
 * wrong in places (that was reported), so nothing here trusts it. The result counts only if nothing was reported.
 */
export function normalize(raw: Record<string, unknown>, reading: Reading): Job {
  const file = raw as Partial<JobFile>;
  if (raw.job === undefined) reading.mistake([], 'job is missing: name it, e.g. "job: crm-staging"');
  if (raw.key === undefined) {
    reading.mistake(
      [],
      'key is missing: make one with `lethe keygen` and refer to it, e.g. "key: env:LETHE_KEY"',
    );
  }
  const engine = engineOf(raw);
  refuseForeign(raw, engine, reading);
  const source = readSourceSettings(raw.source, engine, reading);
  const destination = readDestination(raw.destination, file, engine, reading);
  if (source.url !== '' && source.url === destination.url) {
    reading.mistake(
      ['destination', engine === 'mongo' ? 'mongodb' : 'postgres'],
      'source and destination are one and the same reference: a source is never written',
    );
  }
  return {
    ...(engine === 'mongo' && { engine, collections: readCollections(raw.collections, reading) }),
    job: String(raw.job),
    source,
    destination,
    key: String(raw.key),
    consistency: file.consistency ?? 'job',
    unlisted: raw.unlisted === null ? 'null' : (file.unlisted ?? 'block'),
    ...(isRecord(raw.schedule) && {
      schedule: { cron: String(raw.schedule.cron), timezone: String(raw.schedule.timezone ?? 'UTC') },
    }),
    include: file.include ?? ['*'],
    exclude: [...(file.exclude ?? []), ...SYSTEM_SCHEMAS],
    rules: readRules(raw.rules, reading),
    tables: readTables(raw.tables, reading),
    domains: readDomains(raw.domains, reading),
    references: readReferences(raw.references, reading),
    onFailure: readOnFailure(raw.onFailure),
    whenBusy: file.whenBusy ?? 'refuse',
    evidence: file.evidence ?? 'batch',
    batchRows: file.batchRows ?? 50_000,
    concurrency: file.concurrency ?? 4,
    checks: readChecks(raw.checks, reading),
    ledger: readLedger(raw.ledger),
    ...(typeof raw.retention === 'string' && {
      retention: { path: raw.retention, position: reading.source.position(['retention'], 'key') },
    }),
  };
}

function readSourceSettings(raw: unknown, engine: Engine, reading: Reading): SourceSettings {
  const source = isRecord(raw) ? raw : {};
  const url = engine === 'mongo' ? source.mongodb : source.postgres;
  if (url === undefined)
    missingUrl('source', engine, engine === 'mongo' ? 'env:SHOP_URL' : 'env:CRM_URL', raw, reading);
  const limits = isRecord(source.limits) ? source.limits : {};
  const snapshot = isRecord(limits.snapshot) ? limits.snapshot : { maxAge: limits.snapshot };
  const seconds = (value: unknown, fallback: number) =>
    (typeof value === 'string' ? durationSeconds(value) : undefined) ?? fallback;
  return {
    url: String(url ?? ''),
    connections: Number(limits.connections ?? 4),
    snapshot: {
      maxAgeSeconds: seconds(snapshot.maxAge, 6 * 3600),
      maxPauseSeconds: seconds(snapshot.maxPause, 600),
    },
    ...(typeof source.encoding === 'string' && { encoding: source.encoding }),
  };
}

function readDestination(
  raw: unknown,
  file: Partial<JobFile>,
  engine: Engine,
  reading: Reading,
): DestinationSettings {
  const destination = isRecord(raw) ? raw : {};
  const url = engine === 'mongo' ? destination.mongodb : destination.postgres;
  if (url === undefined) missingUrl('destination', engine, 'env:STAGING_URL', raw, reading);
  const mode = destination.mode === 'upsert' ? 'upsert' : 'replace';
  const deleteMissing = destination.deleteMissing === true;
  if (mode === 'replace' && deleteMissing) {
    reading.mistake(
      ['destination', 'deleteMissing'],
      'replace empties each table and so follows deletions already: leave this out',
      'key',
    );
  }
  if (mode === 'upsert' && file.consistency === 'run') {
    reading.mistake(
      ['consistency'],
      'upsert finds rows by their keys of the run before, so it needs "consistency: job"',
      'key',
    );
  }
  const renamed = engine === 'mongo' ? destination.databases : destination.schemas;
  const schemas = Object.entries(isRecord(renamed) ? renamed : {});
  return {
    url: String(url ?? ''),
    mode,
    createSchema: destination.createSchema === true,
    connections: Number(destination.connections ?? 4),
    schemas: Object.fromEntries(schemas.map(([from, to]) => [from, String(to)])),
    deleteMissing,
  };
}

function missingUrl(
  side: 'source' | 'destination',
  engine: Engine,
  example: string,
  raw: unknown,
  reading: Reading,
): void {
  const name = engine === 'mongo' ? 'mongodb' : 'postgres';
  const message = `${side}.${name} is missing: refer to the connection URL, e.g. "${side}: { ${name}: ${example} }"`;
  reading.mistake(raw === undefined ? [] : [side], message, 'key');
}

function readTables(raw: unknown, reading: Reading): Record<string, TableRules> {
  const tables: Record<string, TableRules> = {};
  for (const [name, value] of Object.entries(isRecord(raw) ? raw : {})) {
    const path: Path = ['tables', name];
    const unnamed = tableNameMistake(name);
    if (unnamed) reading.mistake(path, unnamed, 'key');
    if (/[*?[\]{}]/.test(name)) {
      reading.mistake(
        path,
        `"${name}" looks like a pattern: tables are named exactly here; patterns go into rules (match.table)`,
        'key',
      );
    }
    if (!isRecord(value)) continue;
    tables[name] = {
      ...(typeof value.where === 'string' && { where: value.where }),
      ...(typeof value.skip === 'boolean' && { skip: value.skip }),
      columns: readColumns(value.columns, path, reading),
      ...(typeof value.rename === 'string' && { rename: value.rename }),
      ...(value.orphans === 'drop' && { orphans: 'drop' as const }),
      ...(value.sequence === 'keep' && { sequence: 'keep' as const }),
      ...(Array.isArray(value.conflictKey) && { conflictKey: value.conflictKey.map(String) }),
      ...(Array.isArray(value.accept) && { accept: value.accept.map(String) }),
      position: reading.source.position(path, 'key'),
    };
  }
  return tables;
}

function readColumns(raw: unknown, table: Path, reading: Reading): Record<string, ColumnRule> {
  const columns: Record<string, ColumnRule> = {};
  for (const [name, value] of Object.entries(isRecord(raw) ? raw : {})) {
    const path = [...table, 'columns', name];
    const spec = readSpec(value, path, reading);
    if (spec) columns[name] = { spec, position: reading.source.position(path, 'key') };
  }
  return columns;
}

function readDomains(raw: unknown, reading: Reading): Record<string, string[]> {
  const domains: Record<string, string[]> = {};
  const owner = new Map<string, string>();
  for (const [name, members] of Object.entries(isRecord(raw) ? raw : {})) {
    if (!Array.isArray(members)) continue;
    domains[name] = members.map(String);
    for (const [index, member] of members.map(String).entries()) {
      const other = owner.get(member);
      if (other !== undefined) {
        reading.mistake(
          ['domains', name, index],
          `${member} is in domain "${other}" already: a column has one domain`,
        );
      }
      owner.set(member, name);
    }
  }
  return domains;
}

function readReferences(raw: unknown, reading: Reading): VirtualReference[] {
  if (!Array.isArray(raw)) return [];
  return raw.flatMap((value: unknown, index) => {
    const sides = typeof value === 'string' ? splitReference(value) : undefined;
    return sides ? [{ ...sides, position: reading.source.position(['references', index]) }] : [];
  });
}

function readOnFailure(raw: unknown): Job['onFailure'] {
  if (raw === 'fail') return { kind: 'fail' };
  const { quarantine: limit, wait } = isRecord(raw) ? raw : {};
  const waitSeconds = typeof wait === 'string' ? durationSeconds(wait) : undefined;
  const waiting = waitSeconds === undefined ? {} : { waitSeconds };
  if (typeof limit === 'number') return { kind: 'quarantine', rows: limit, ...waiting };
  if (typeof limit === 'string')
    return { kind: 'quarantine', share: Number.parseFloat(limit) / 100, ...waiting };
  return { kind: 'quarantine', rows: 1000 };
}

function readLedger(raw: unknown): Job['ledger'] {
  const keep = isRecord(raw) ? raw.keep : undefined;
  if (typeof keep === 'number') return { keepRuns: keep };
  const keepSeconds = typeof keep === 'string' ? durationSeconds(keep) : undefined;
  return keepSeconds === undefined ? {} : { keepSeconds };
}
