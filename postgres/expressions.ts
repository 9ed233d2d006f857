import { LetheError } from '../errors/errors.js';
import { didYouMean } from '../job/nearest.js';
import type { TableName } from '../plan/catalog.js';
import { sanitize } from './errors.js';
import { type ExpressionTree, judge } from './expressions/judge.js';
import { isNode, type ParseNode, parseNodeTree } from './expressions/parse-tree.js';
import type { ExpressionCheck, ExpressionCode, ExpressionProblem } from './expressions/problems.js';
import { lex } from './expressions/tokens.js';
import { quoteIdent, quoteLiteral, quoteTable } from './identifiers.js';
import { query, type Session, withTransaction } from './session.js';

export type { ExpressionCheck, ExpressionCode, ExpressionProblem };

/** The name that no condition can guess, so that conditions name bare columns and fit any alias and any partition. */
const ROW_ALIAS = 'lethe row';
const STATEMENT = 'lethe_expression';

/**
 * Checks the `where` and `when` conditions of a job against a table of the source: each must be one boolean expression
 * over the table's own columns whose result depends on the row, `:run_time` and settings that every session pins.
 *
 * Nothing is executed or planned: the server parses a PREPARE and prints its parse tree (`debug_print_parse`), which
 * names every function behind operators, casts and defaults. Works in a read-only transaction, on a standby, and
 * without rights on the table.
 */
export async function checkExpressions(
  session: Session,
  table: TableName,
  expressions: readonly string[],
): Promise<ExpressionCheck[]> {
  const names = expressions.length > 0 ? await columnNames(session, table) : new Map<number, string>();
  const checks: ExpressionCheck[] = [];
  for (const expression of expressions) {
    const result = await checkOne(session, table, expression, names);
    checks.push({ expression, columns: [], problems: [], ...result });
  }
  return checks;
}

/** The condition as SQL in parentheses, `:run_time` replaced by a constant. Only for conditions that were checked. */
export function renderExpression(expression: string, runTime: string): string {
  const moment = new Date(runTime);
  if (Number.isNaN(moment.getTime())) throw new LetheError('Internal', 'The run time is no ISO 8601 moment.');
  return substitute(expression, `${quoteLiteral(moment.toISOString())}::pg_catalog.timestamptz`);
}

type CheckResult = Partial<Pick<ExpressionCheck, 'columns' | 'problems'>>;

async function checkOne(
  session: Session,
  table: TableName,
  expression: string,
  names: ReadonlyMap<number, string>,
): Promise<CheckResult> {
  const lexed = lex(expression);
  if (lexed.problem) return { problems: [{ code: 'expression-syntax', ...lexed.problem }] };
  if (lexed.tokens.length === 0) return problem('expression-syntax', 'the condition is empty');
  const unknown = lexed.tokens.find((token) => token.kind === 'placeholder' && token.text !== ':run_time');
  if (unknown) {
    return problem(
      'expression-syntax',
      `${unknown.text} is unknown; the only placeholder is :run_time`,
      unknown.start,
    );
  }
  const head = `PREPARE ${STATEMENT} (pg_catalog.timestamptz) AS SELECT 1 FROM ONLY ${quoteTable(table)} AS ${quoteIdent(ROW_ALIAS)} WHERE `;
  const parsed = await parse(session, head, expression, [...names.values()]);
  if ('code' in parsed) return { problems: [parsed] };
  const words = lexed.tokens.filter((token) => token.kind === 'string').map((token) => token.text);
  const tree: ExpressionTree = { condition: parsed.condition, names, strings: words };
  return judge(session, tree);
}

/** Has the server parse the statement, and returns the tree of its condition, or the server's complaint. */
async function parse(
  session: Session,
  head: string,
  expression: string,
  columns: readonly string[],
): Promise<{ condition: ParseNode } | ExpressionProblem> {
  const trees: string[] = [];
  const listen = (notice: { detail?: string }) => {
    if (notice.detail?.includes(':commandType 1 ')) trees.push(notice.detail);
  };
  let refused: ExpressionProblem | undefined;
  session.client.on('notice', listen);
  try {
    await withTransaction(
      session,
      async () => {
        await query(
          session,
          'SET LOCAL debug_print_parse = on; SET LOCAL debug_pretty_print = off; SET LOCAL client_min_messages = log',
        );
        try {
          // The extended protocol takes one statement at most, whatever the text holds.
          const statement = { text: head + substitute(expression, '$1'), queryMode: 'extended' };
          await session.client.query(statement);
        } catch (error) {
          refused = complaint(error, expression, head, columns);
          throw error;
        }
        await query(session, `DEALLOCATE ${STATEMENT}`);
      },
      { readOnly: true },
    );
  } catch (error) {
    if (!refused) throw error;
    return refused;
  } finally {
    session.client.off('notice', listen);
  }
  const printed = trees.length === 1 ? parseNodeTree(trees[0]!) : undefined;
  const jointree = isNode(printed) ? printed.fields.jointree : undefined;
  const condition = isNode(jointree) ? jointree.fields.quals : undefined;
  if (isNode(condition)) return { condition };
  return {
    code: 'expression-unchecked',
    message: 'the server did not tell how it understands the condition',
  };
}

/**
 * What the server says about the text of a condition. Its message may be quoted here, other than everywhere else: no
 * row was read, so it can hold nothing but parts of the job file.
 */
function complaint(
  error: unknown,
  expression: string,
  head: string,
  columns: readonly string[],
): ExpressionProblem | undefined {
  const e = error as { code?: string; message?: string; position?: string };
  if (!e.code || !/^(42|22|0A|3F)/.test(e.code)) return undefined;
  const offset =
    e.position === undefined ? undefined : offsetIn(expression, Number(e.position) - 2 - head.length);
  const says = e.message ?? sanitize(error).message;
  if (e.code === '42703') {
    const name = /^\w+/.exec(expression.slice(offset ?? expression.length))?.[0] ?? '';
    return { code: 'expression-unknown-column', message: says + didYouMean(name, columns), offset };
  }
  if (e.code === '42P01') {
    return {
      code: 'expression-refused',
      message: `${says}; name columns without their table, and no other table`,
      offset,
    };
  }
  return { code: e.code === '42601' ? 'expression-syntax' : 'expression-refused', message: says, offset };
}

/** Where a character of the sent text stands in the expression, before `:run_time` was replaced. */
function offsetIn(expression: string, sent: number): number | undefined {
  let shift = 0;
  for (const token of lex(expression).tokens) {
    if (token.text === ':run_time' && token.start < sent + shift) shift += token.text.length - '$1'.length;
  }
  const offset = sent + shift;
  return offset >= 0 && offset < expression.length ? offset : undefined;
}

function substitute(expression: string, moment: string): string {
  let sql = '';
  let at = 0;
  for (const token of lex(expression).tokens) {
    if (token.kind !== 'placeholder') continue;
    sql += expression.slice(at, token.start) + moment;
    at = token.end;
  }
  return `(${sql}${expression.slice(at)})`;
}

async function columnNames(session: Session, table: TableName): Promise<Map<number, string>> {
  const rows = await query(
    session,
    `SELECT attnum, attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
     ORDER BY attnum`,
    [quoteTable(table)],
  );
  return new Map(rows.map((row) => [Number(row.attnum), row.attname!]));
}

function problem(code: ExpressionCode, message: string, offset?: number): CheckResult {
  return { problems: [{ code, message, offset }] };
}
