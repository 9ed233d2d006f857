import { compileColumn } from '../../../anonymize/compile.js';
import { type JobKeys, jobKeys, parseJobKey } from '../../../anonymize/keys.js';
import { getTransformer } from '../../../anonymize/registry.js';
import type { TransformerSpec } from '../../../anonymize/transformer.js';
import { valueList } from '../../../anonymize/value-lists.js';
import { tableText } from '../../../plan/catalog.js';
import type { ColumnPlan, Plan, TablePlan } from '../../../plan/plan.js';
import { query } from '../../../postgres/session.js';
import { copyText, type Ends, own, rowsOf, tablesOf } from './databases.js';

/** The plan of a run, as its ledger keeps it. */
export async function planOf({ destination }: Ends, run: string): Promise<Plan> {
  const [row] = await query(destination, `SELECT pins->'plan' AS plan FROM lethe.run WHERE run = $1::uuid`, [
    run,
  ]);
  return JSON.parse(row!.plan!) as Plan;
}

/** The mapping of one column, made anew from the key. */
export function mapping(column: ColumnPlan, keys: JobKeys): (values: (string | null)[]) => (string | null)[] {
  const transform = compileColumn(
    specOf(column),
    column.compileType,
    keys.domain(column.domain),
    keys.domain(''),
  );
  return (values) =>
    transform(values, {
      size: values.length,
      fail: (_, reason) => {
        throw new Error(`${column.name}: ${reason}`);
      },
      source: () => [],
    });
}

export interface Aligned {
  /** Values of which input and output were seen. */
  readonly compared: number;
  /** Rows of the source without a row in the destination, by table. */
  readonly missing: Record<string, number>;
  /** Outputs that equal their own input, by column. */
  readonly leaks: Record<string, number>;
  /** Values that should have been kept and were not, by column. */
  readonly changed: Record<string, number>;
}

/**
 * Joins each row of the source with what it became, by mapping its key, and counts the outputs that equal their input,
 * and the kept values that do not.
 *
 * @param keysOf For tables without a key: the columns that tell their rows apart; none leaves the table out.
 */
export async function alignRows(
  ends: Ends,
  plan: Plan,
  run: string,
  keysOf: Record<string, string[]>,
): Promise<Aligned> {
  const keys = jobKeys(parseJobKey(ends.key), plan.consistency === 'run' ? run : undefined);
  const found: Aligned = { compared: 0, missing: {}, leaks: {}, changed: {} };
  const kinds = new Map(
    (await tablesOf(ends.source)).map((table) => [`${table.schema}.${table.name}`, table.kind]),
  );
  let compared = 0;
  for (const table of plan.tables) {
    const name = tableText(table.source);
    const key = keysOf[name] ?? (table.key.kind === 'columns' ? table.key.columns : []);
    if (key.length === 0) continue;
    const checked = table.columns.filter((column) => isKept(column) || mustDiffer(column));
    const columns = [...new Set([...key, ...checked.map((column) => column.name)])];
    const kind = kinds.get(name)!;
    const before = await rowsOf(ends.source, { ...table.source, kind }, columns);
    const after = await rowsOf(ends.destination, { ...table.destination, kind }, columns);
    const mapped = key.map((column) =>
      mapping(columnOf(table, column), keys)(before.map((row) => row[column]!)),
    );
    const byKey = new Map(after.map((row) => [key.map((column) => row[column]).join('\0'), row]));
    for (const [at, row] of before.entries()) {
      const image = byKey.get(mapped.map((values) => values[at]).join('\0'));
      if (!image) {
        count(found.missing, name);
        continue;
      }
      for (const column of checked) {
        const value = row[column.name];
        const same = value === image[column.name];
        const place = `${name}.${column.name}`;
        if (isKept(column) && !same) count(found.changed, place);
        if (isKept(column) || value == null || value.trim() === '' || value === '0') continue;
        compared += 1;
        if (same) count(found.leaks, place);
      }
    }
  }
  return { ...found, compared };
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function columnOf(table: TablePlan, name: string): ColumnPlan {
  return table.columns.find((column) => column.name === name)!;
}

function specOf(column: ColumnPlan): TransformerSpec {
  const [branch, ...more] = column.branches;
  if (!branch || more.length > 0 || branch.otherwise) throw new Error(`${column.name} has conditions`);
  return branch.apply;
}

function isKept(column: ColumnPlan): boolean {
  return column.branches.every(({ apply, otherwise }) => apply.name === 'keep' && !otherwise);
}

function mustDiffer(column: ColumnPlan): boolean {
  if (isKept(column)) return false;
  const { name, options } = specOf(column);
  const transformer = getTransformer(name);
  return !transformer.proof(column.compileType, transformer.options.parse(options)).mayEqualInput;
}

/** Row-aligned leaks as the batches themselves counted them. */
export async function recordedLeaks({ destination }: Ends, run: string): Promise<Record<string, number>> {
  const rows = await query(
    destination,
    `SELECT table_id || '.' || l.key AS place, sum(l.value::bigint) AS n
       FROM lethe.batch, jsonb_each_text(leaks) AS l WHERE run = $1::uuid GROUP BY 1 HAVING sum(l.value::bigint) > 0`,
    [run],
  );
  return Object.fromEntries(rows.map(({ place, n }) => [place!, Number(n)]));
}

/** What identifies people in an example: queries over the source. */
export interface Identifying {
  /** Give single texts: e-mail addresses, phone numbers, streets with a number. */
  readonly values: readonly string[];
  /** Give `first` and `last`: names of people. */
  readonly names: readonly string[];
}

export interface Identity {
  /** Lower case. */
  readonly values: ReadonlySet<string>;
  /** First and last name, in the ways in which they may stand beside each other. */
  readonly names: ReadonlySet<string>;
  /** Names of which both parts are in the lists that made-up names are drawn from: they may come out by chance. */
  readonly drawable: ReadonlySet<string>;
}

/** Identifying values of the source that are long enough and in no kept column. */
export async function identities({ source }: Ends, plan: Plan, sources: Identifying): Promise<Identity> {
  const kept = await keptText({ source }, plan);
  const values = new Set<string>();
  for (const sql of sources.values) {
    for (const row of await query(source, sql)) {
      const value = Object.values(row)[0]?.toLowerCase();
      if (value && value.length >= 7 && !kept.includes(value)) values.add(value);
    }
  }
  const names = new Set<string>();
  const drawable = new Set<string>();
  const [firsts, lasts] = [lower('firstName.v1'), lower('lastName.v1')];
  for (const sql of sources.names) {
    for (const row of await query(source, sql)) {
      const [first, last] = [row.first!.toLowerCase(), row.last!.toLowerCase()];
      const set = firsts.has(first) && lasts.has(last) ? drawable : names;
      const forms = [`${first} ${last}`, `${first}\t${last}`, `${first}.${last}`, `${last}, ${first}`];
      for (const form of forms) if (form.length >= 7 && !kept.includes(form)) set.add(form);
    }
  }
  return { values, names, drawable };
}

function lower(list: string): Set<string> {
  return new Set(valueList(list).map((entry) => entry.toLowerCase()));
}

async function keptText({ source }: Pick<Ends, 'source'>, plan: Plan): Promise<string> {
  const kinds = new Map(
    (await tablesOf(source)).map((table) => [`${table.schema}.${table.name}`, table.kind]),
  );
  const texts: string[] = [];
  for (const table of plan.tables) {
    const columns = table.columns.filter(isKept).map(({ name }) => `"${name.replaceAll('"', '""')}"`);
    if (columns.length === 0) continue;
    const from = own({ ...table.source, kind: kinds.get(tableText(table.source))! });
    texts.push(await copyText(source, `SELECT ${columns.join(', ')} FROM ${from}`));
  }
  return texts.join('\n').toLowerCase();
}

const HEAD = 7;

/** Those of `wanted` (lower case, at least seven characters each) that stand anywhere in a text, in any letter case. */
export function foundIn(text: string, wanted: Iterable<string>): string[] {
  const heads = new Map<string, string[]>();
  for (const value of wanted) {
    const head = value.slice(0, HEAD);
    heads.set(head, [...(heads.get(head) ?? []), value]);
  }
  const haystack = text.toLowerCase();
  const found = new Set<string>();
  for (let at = 0; at + HEAD <= haystack.length; at++) {
    for (const value of heads.get(haystack.slice(at, at + HEAD)) ?? []) {
      if (haystack.startsWith(value, at)) found.add(value);
    }
  }
  return [...found];
}

/** The job key and the passwords of the connections, in every form in which they could have been written down. */
export function secretsOf({ key, urls }: Ends): string[] {
  const bytes = Buffer.from(key, 'base64');
  const passwords = Object.values(urls).map((url) => new URL(url).password);
  const forms = [key, key.replace(/=+$/, ''), bytes.toString('base64url'), bytes.toString('hex')];
  return [...forms, bytes.toString('latin1'), ...passwords].filter((secret) => secret !== '');
}
