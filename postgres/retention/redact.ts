import { LetheError } from '../../errors/errors.js';
import { didYouMean } from '../../job/nearest.js';
import type { RetentionFile, SealedTable } from '../../job/retention/types.js';
import type { Day } from '../../retention/token/day.js';
import { parseHeader, parseToken } from '../../retention/token/format.js';
import { revealJson } from '../../retention/token/json.js';
import { Revealer } from '../../retention/token/revealer.js';
import { Keyring } from '../../retention/token/ring.js';
import { findTokens } from '../../retention/token/scan.js';
import { type RevealTextOptions, revealTexts } from '../../retention/token/text.js';
import { charactersOf, hexOf } from '../../retention/token/wholes.js';
import { type Hold, refuseHeld } from '../keystore/holds.js';
import { type Session, withTransaction } from '../session.js';
import { planExisting, type SealUnit } from './existing/plan.js';
import { byteColumns, type Columns, RowRewriter } from './existing/rows.js';

export interface RedactRequest {
  /** `schema.table` of the retention file. */
  readonly table: string;
  /** SQL condition over its rows, in the operator's own words. */
  readonly where: string;
  /** Default: all sealed columns of the table. */
  readonly columns?: readonly string[];
  /** Rows, as a look before counted them; without it nothing is changed. */
  readonly confirmed?: number;
  /** Holds that are in force, of all key stores of the file. */
  readonly holds: readonly Hold[];
}

/** What a redaction is about, or did: names and counts. */
export interface Redaction {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: number;
  /** Rows with tokens of a policy, by its id. */
  readonly policies: Readonly<Record<string, number>>;
  readonly done: boolean;
}

/** Days of the tokens that are rewritten, by policy. */
export type RedactionDays = ReadonlyMap<string, ReadonlySet<Day>>;

/**
 * Rewrites the tokens of some rows to what their policies say of expired values, for one subject whose day keys live on. In
 * one transaction, which commits after `record` returned.
 *
 * @param record Writes down what is about to be committed.
 * @throws LetheError `Unconfirmed` when other rows are there than were confirmed, `OnHold` when a hold keeps a day of theirs.
 */
export async function redactRows(
  session: Session,
  file: Pick<RetentionFile, 'policies' | 'tables'>,
  request: RedactRequest,
  record: (redaction: Redaction, days: RedactionDays) => Promise<void>,
): Promise<Redaction> {
  const sealed = tableOf(file, request);
  const columns = columnsOf(sealed, request);
  const [planned] = await planExisting(session, file.policies, { [request.table]: sealed }, 'redact');
  const { units } = planned!;
  const look = new Redactor(file, sealed, columns);
  const found = await withTransaction(session, () => rewriteAll(session, units, look, request.where, true));
  refuseAllHeld(look, request.holds);
  const result = { table: request.table, columns, rows: found, policies: look.policies };
  if (request.confirmed === undefined) return { ...result, done: false };
  const work = new Redactor(file, sealed, columns);
  return withTransaction(session, async () => {
    const rows = await rewriteAll(session, units, work, request.where, false);
    refuseAllHeld(work, request.holds);
    if (rows !== request.confirmed)
      throw new LetheError(
        'Unconfirmed',
        `${rows} rows have tokens to be rewritten, and ${request.confirmed} were confirmed. Nothing was changed: look again, and then give this number, --confirm ${rows}.`,
      );
    const done = { ...result, rows, policies: work.policies, done: true };
    await record(done, work.days);
    return done;
  });
}

async function rewriteAll(
  session: Session,
  units: readonly SealUnit[],
  redactor: Redactor,
  where: string,
  dryRun: boolean,
): Promise<number> {
  let rows = 0;
  for (const unit of units) {
    const bytes = await byteColumns(session, unit, redactor.columns);
    const rewriter = await RowRewriter.open(session, {
      ...{ unit, needs: [], columns: redactor.columns, dryRun },
      change: (_, before) => redactor.redact(before, bytes),
    });
    // A comment at its end must not swallow what follows.
    rows += await rewriter.rewrite(`(${where}\n)`);
  }
  return rows;
}

function tableOf({ tables }: Pick<RetentionFile, 'tables'>, { table }: RedactRequest): SealedTable {
  const found = tables[table];
  if (found) return found;
  throw new LetheError(
    'RetentionInvalid',
    `The retention file has no table ${table}${didYouMean(table, Object.keys(tables))}.`,
  );
}

function columnsOf({ columns }: SealedTable, request: RedactRequest): string[] {
  const known = Object.keys(columns);
  const unknown = request.columns?.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new LetheError(
      'RetentionInvalid',
      `${request.table} has no sealed column ${unknown}${didYouMean(unknown, known)}.`,
    );
  return [...(request.columns ?? known)];
}

function refuseAllHeld({ days }: Redactor, holds: readonly Hold[]): void {
  for (const [policy, own] of days) refuseHeld(holds, policy, own);
}

/** Bytes in hexadecimal that are one token, as its text; other bytes hold none, whatever stands among them. */
function tokenOf(value: string | null): string | null {
  const characters = charactersOf(value);
  return characters !== null && parseToken(characters) ? characters : null;
}

/** Takes tokens away without any key: what looks like a token of a known policy is one. */
class Redactor {
  readonly policies: Record<string, number> = {};
  readonly days = new Map<string, Set<Day>>();
  private readonly revealer = new Revealer(new Keyring([]));
  private readonly options: RevealTextOptions;

  constructor(
    { policies }: Pick<RetentionFile, 'policies'>,
    private readonly table: SealedTable,
    readonly columns: readonly string[],
  ) {
    this.options = {
      takes: (policy) => Object.hasOwn(policies, policy),
      policyMarkers: Object.fromEntries(
        Object.values(policies).map(({ id, expired }) => [id, { noKey: expired }]),
      ),
    };
  }

  /** @param bytes Columns whose values are bytes in hexadecimal. */
  redact(before: Columns, bytes: ReadonlySet<string>): Columns {
    const read = before.map((values, at) => (bytes.has(this.columns[at]!) ? values.map(tokenOf) : values));
    const shown = this.columns.map((name, at) =>
      this.table.columns[name]!.paths === undefined
        ? revealTexts(this.revealer, read[at]!, this.options)
        : revealJson(this.revealer, read[at]!, this.options, () => undefined).map(
            (text, row) => text ?? read[at]![row]!,
          ),
    );
    for (let row = 0; row < (read[0]?.length ?? 0); row++)
      this.count(read.flatMap((values, at) => (values[row] === shown[at]![row] ? [] : values[row]!)));
    return shown.map((values, at) =>
      bytes.has(this.columns[at]!)
        ? values.map((text, row) =>
            text === read[at]![row] ? before[at]![row]! : text === null ? null : hexOf(text),
          )
        : values,
    );
  }

  /** Values of one row that change. */
  private count(values: readonly string[]): void {
    const found = new Set<string>();
    for (const value of values)
      for (const { start } of findTokens(value)) {
        const header = parseHeader(value.slice(start, start + 13));
        if (!header || !this.options.takes!(header.policy)) continue;
        found.add(header.policy);
        const days = this.days.get(header.policy) ?? new Set<Day>();
        this.days.set(header.policy, days.add(header.day));
      }
    for (const policy of found) this.policies[policy] = (this.policies[policy] ?? 0) + 1;
  }
}
