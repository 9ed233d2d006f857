import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { LetheError } from '../../errors/errors.js';
import type { Policy, PolicyChoice } from '../../retention/keys/policy.js';
import { describeIssue } from '../issues.js';
import { inFileOrder, jobInvalid } from '../load.js';
import { didYouMean } from '../nearest.js';
import { isRecord } from '../rules.js';
import { type Path, readSource, type SourceText } from '../source.js';
import type { Mistake } from '../types.js';
import { type RetentionFileInput, retentionSchema } from './schema.js';
import type { KeyStoreSettings, RetentionFile, SealedColumn, SealedTable } from './types.js';

export interface ParsedRetention {
  /** Present only when there are no mistakes. */
  readonly retention?: RetentionFile;
  /** All of them, in file order. */
  readonly mistakes: readonly Mistake[];
}

/** The path of the retention file: what was given, else `LETHE_RETENTION`, else `retention.yaml` here. */
export function retentionPath(given?: string, environment: NodeJS.ProcessEnv = process.env): string {
  return given ?? (environment.LETHE_RETENTION || 'retention.yaml');
}

/**
 * Reads a retention file from disk.
 * @throws LetheError `JobInvalid` with every mistake as `file:line:column message`.
 */
export async function loadRetention(file = retentionPath()): Promise<RetentionFile> {
  const parsed = parseRetention(await readRetentionText(file), file);
  if (!parsed.retention) throw jobInvalid(file, parsed.mistakes);
  return parsed.retention;
}

/** The text of a retention file, mistakes and all. */
export async function readRetentionText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    throw new LetheError(
      'JobInvalid',
      `${file}: ${why}. Give the path of a retention file (--retention, LETHE_RETENTION); docs/retention.md shows one.`,
    );
  }
}

/** Reads the text of a retention file (YAML or JSON); `file` is its name in messages. Touches nothing but the text. */
export function parseRetention(text: string, file: string): ParsedRetention {
  const source = readSource(text, file);
  if (source.data === undefined) return { mistakes: source.mistakes };
  const mistakes: Mistake[] = [...source.mistakes];
  if (!isRecord(source.data)) {
    const message = 'a retention file is a map that begins with "retention:"';
    return { mistakes: [...mistakes, { position: { file, line: 1, column: 1 }, message }] };
  }
  const shape = retentionSchema.safeParse(source.data, { reportInput: true });
  for (const issue of shape.error?.issues ?? []) {
    for (const { path, at, message } of describeIssue(issue as z.core.$ZodIssue)) {
      mistakes.push({ position: source.position(path, at), message });
    }
  }
  const raw = isRecord(source.data.retention) ? source.data.retention : {};
  checkNames(raw, source, mistakes);
  if (mistakes.length > 0 || !shape.success) return { mistakes: inFileOrder(mistakes) };
  return { retention: normalize(shape.data.retention), mistakes };
}

/** Names that are said in one place and meant in another. The shape may still be wrong in places; that was reported. */
function checkNames(raw: Record<string, unknown>, source: SourceText, mistakes: Mistake[]): void {
  const mistake = (path: Path, message: string, at?: 'key' | 'value') =>
    mistakes.push({ position: source.position(['retention', ...path], at), message });
  const stores = isRecord(raw.stores) ? Object.keys(raw.stores) : [];
  const policies = (Array.isArray(raw.policies) ? raw.policies : []).map((item) =>
    isRecord(item) ? item : {},
  );
  const seen = new Set<string>();
  const isId = (id: unknown): id is string => typeof id === 'string' && /^[a-z0-9]{2}$/.test(id);
  for (const [i, { id, store }] of policies.entries()) {
    if (isId(id) && seen.has(id))
      mistake(
        ['policies', i, 'id'],
        `policy ${id} stands here twice: tokens name their policy by it, choose another`,
      );
    if (isId(id)) seen.add(id);
    if (store === undefined && stores.length > 1)
      mistake(['policies', i], `there are several key stores: say which, store: ${stores.join(' or ')}`);
    if (typeof store === 'string' && !stores.includes(store))
      mistake(['policies', i, 'store'], `there is no key store "${store}"${didYouMean(store, stores)}`);
  }
  const policy = (path: Path, id: unknown) => {
    if (isId(id) && !seen.has(id)) mistake(path, `there is no policy "${id}"${didYouMean(id, [...seen])}`);
  };
  for (const [name, table] of Object.entries(isRecord(raw.tables) ? raw.tables : {})) {
    if (!/^[^.]+\.[^.]+$/.test(name))
      mistake(['tables', name], `"${name}" does not name its schema: write e.g. public.${name}`, 'key');
    const columns = isRecord(table) && isRecord(table.columns) ? table.columns : {};
    for (const [column, spec] of Object.entries(columns)) {
      const at = ['tables', name, 'columns', column];
      const chosen = isRecord(spec) ? spec.policy : spec;
      const below = isRecord(spec) ? [...at, 'policy'] : at;
      policy(below, chosen);
      if (!isRecord(chosen)) continue;
      policy([...below, 'default'], chosen.default);
      for (const [value, id] of Object.entries(isRecord(chosen.map) ? chosen.map : {}))
        policy([...below, 'map', value], id);
    }
  }
}

type Raw = RetentionFileInput['retention'];

function normalize(raw: Raw): RetentionFile {
  const onlyStore = Object.keys(raw.stores)[0] ?? '';
  return {
    stores: mapValues(
      raw.stores,
      (store): KeyStoreSettings => ({ ...store, simulated: store.simulated ?? false }),
    ),
    policies: Object.fromEntries(raw.policies.map((policy) => [policy.id, readPolicy(policy, onlyStore)])),
    tables: mapEntries(raw.tables ?? {}, readTable),
    schedules: {
      generate: raw.schedules?.generate ?? '5 * * * *',
      destroy: raw.schedules?.destroy ?? '30 0 * * *',
    },
  };
}

function readPolicy(raw: Raw['policies'][number], onlyStore: string): Policy {
  return {
    id: raw.id,
    name: raw.name ?? raw.id,
    window: raw.window,
    store: raw.store ?? onlyStore,
    context: raw.context ?? '',
    expired: raw.expired === undefined ? '[expired]' : raw.expired,
    deterministic: raw.deterministic ?? false,
    ...(raw.pad !== undefined && { pad: raw.pad }),
    requireGrade: raw.requireGrade ?? 'bestEffort',
  };
}

function readTable(name: string, raw: NonNullable<Raw['tables']>[string]): SealedTable {
  return {
    ...(raw.database !== undefined && { database: raw.database }),
    ...(raw.date !== undefined && { date: raw.date }),
    readers: raw.readers ?? [],
    // `others: null` in YAML is the value null, and means the same as the word.
    others: raw.others === null ? 'null' : (raw.others ?? 'marker'),
    view: raw.view ?? `${name}_readable`,
    ...(raw.trigger !== undefined && { trigger: raw.trigger }),
    ...(raw.check !== undefined && { check: raw.check }),
    columns: mapValues(
      raw.columns,
      (column): SealedColumn =>
        typeof column === 'string'
          ? { policy: column }
          : { ...column, policy: column.policy as PolicyChoice },
    ),
  };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return mapEntries(record, (_, value) => change(value));
}

function mapEntries<A, B>(
  record: Readonly<Record<string, A>>,
  change: (key: string, value: A) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(key, value)]));
}
