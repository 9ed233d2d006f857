import { query, type Session } from '../session.js';
import { isNode, type ParseNode, walk } from './parse-tree.js';
import type { ExpressionCheck, ExpressionProblem } from './problems.js';

/** A condition as the server understood it. */
export interface ExpressionTree {
  readonly condition: ParseNode;
  /** Columns of the table by attribute number. */
  readonly names: ReadonlyMap<number, string>;
  /** Texts of its string constants, with their quotes. */
  readonly strings: readonly string[];
}

/** Nodes that only combine what stands below them, or whose function is looked up. PostgreSQL 16 renamed some. */
const KNOWN = new Set(
  `VAR CONST PARAM FUNCEXPR OPEXPR DISTINCTEXPR NULLIFEXPR SCALARARRAYOPEXPR BOOLEXPR BOOLEANTEST NULLTEST
   CASE CASEEXPR WHEN CASEWHEN CASETESTEXPR COALESCE COALESCEEXPR MINMAX MINMAXEXPR RELABELTYPE COERCEVIAIO ARRAY
   ARRAYEXPR ARRAYCOERCEEXPR ROW ROWEXPR ROWCOMPARE ROWCOMPAREEXPR SUBSCRIPTINGREF FIELDSELECT COLLATE COLLATEEXPR`.split(
    /\s+/,
  ),
);

const REFUSED_NODES: Readonly<Record<string, string>> = {
  SUBLINK: 'subqueries are not allowed: a condition reads its own row only',
  QUERY: 'subqueries are not allowed: a condition reads its own row only',
  AGGREF: 'aggregates are not allowed: a condition reads its own row only',
  WINDOWFUNC: 'window functions are not allowed: a condition reads its own row only',
  COERCETODOMAIN: 'casts to a domain are not allowed; cast to its base type',
};

/** Where each node keeps the type of its result. */
const RESULT_TYPE: Readonly<Record<string, string>> = {
  VAR: 'vartype',
  CONST: 'consttype',
  PARAM: 'paramtype',
  FUNCEXPR: 'funcresulttype',
  OPEXPR: 'opresulttype',
  NULLIFEXPR: 'opresulttype',
  RELABELTYPE: 'resulttype',
  COERCEVIAIO: 'resulttype',
  ARRAYCOERCEEXPR: 'resulttype',
  FIELDSELECT: 'resulttype',
  CASE: 'casetype',
  CASEEXPR: 'casetype',
  CASETESTEXPR: 'typeId',
  COALESCE: 'coalescetype',
  COALESCEEXPR: 'coalescetype',
  MINMAX: 'minmaxtype',
  MINMAXEXPR: 'minmaxtype',
  ARRAY: 'array_typeid',
  ARRAYEXPR: 'array_typeid',
  SUBSCRIPTINGREF: 'refrestype',
};
const BOOLEAN_OID = '16';

/**
 * Stable functions of pg_catalog that depend on nothing but settings that every session pins (TimeZone, DateStyle,
 * IntervalStyle, lc_*): timestamptz ± interval, comparisons and casts between date and time types, date_trunc,
 * parts, to_char and its inverse, and joining values to text.
 */
const STABLE_BUT_PINNED = new RegExp(
  `^(${[
    'timestamptz_(pl|mi)_interval|interval_pl_timestamptz|date_add|date_subtract',
    '(date|timestamp)_(lt|le|eq|ne|gt|ge|cmp)_timestamptz|timestamptz_(lt|le|eq|ne|gt|ge|cmp)_(date|timestamp)',
    'date|time|timetz|timestamp|timestamptz|timezone|make_timestamptz',
    'date_trunc|date_part|extract|to_char|to_date|to_timestamp',
    'concat|concat_ws|array_to_string',
    // Output of values, for casts to text.
    '(date|timestamp|timestamptz|interval|enum|array|cash|range|multirange)_out',
    // Of a text that is a label; labels belong to the schema.
    'enum_in',
  ].join('|')})$`,
);

const DATE_TYPES = new Set(['1082', '1083', '1114', '1184', '1266', '1115', '1182', '1183', '1185', '1270']);
const MOVING_TEXT = /\b(now|today|tomorrow|yesterday)\b/i;
const RUN_TIME = 'use :run_time, which is one moment for the whole run';

/** Finds what may make two readings of one row differ; else the columns that the condition reads. */
export async function judge(
  session: Session,
  tree: ExpressionTree,
): Promise<Pick<ExpressionCheck, 'columns' | 'problems'>> {
  const nodes = [...walk(tree.condition)];
  const problems = [...judgeNodes(nodes, tree), ...(await judgeFunctions(session, nodes))];
  if (problems.length > 0) return { columns: [], problems: dedupe(problems) };
  const read = new Set(
    nodes.filter((node) => node.tag === 'VAR').map((node) => Number(node.fields.varattno)),
  );
  return {
    columns: [...tree.names].filter(([attnum]) => read.has(attnum)).map(([, name]) => name),
    problems: [],
  };
}

function* judgeNodes(nodes: readonly ParseNode[], tree: ExpressionTree): Generator<ExpressionProblem> {
  for (const node of nodes) {
    if (node.tag === 'SQLVALUEFUNCTION') {
      yield unstable(
        `current_date, current_timestamp, current_user and the like are not allowed; ${RUN_TIME}`,
      );
    } else if (!KNOWN.has(node.tag)) {
      const message = REFUSED_NODES[node.tag] ?? `it uses ${node.tag.toLowerCase()}, which cannot be judged`;
      yield { code: 'expression-unchecked', message };
    }
    if (node.tag === 'VAR' && !(Number(node.fields.varattno) > 0)) {
      yield unstable('system columns (ctid, xmin, tableoid …) and whole rows are not allowed; name columns');
    }
    if (
      node.tag === 'CONST' &&
      DATE_TYPES.has(atom(node, 'consttype')) &&
      tree.strings.some((s) => MOVING_TEXT.test(s))
    ) {
      yield unstable(`'now', 'today' and the like mean another moment at every reading; ${RUN_TIME}`);
    }
  }
}

async function judgeFunctions(session: Session, nodes: readonly ParseNode[]): Promise<ExpressionProblem[]> {
  const functions = new Set<string>();
  const operators = new Set<string>();
  const casts: { from: string; to: string }[] = [];
  for (const node of nodes) {
    if (node.tag === 'FUNCEXPR') functions.add(atom(node, 'funcid'));
    if (node.tag.endsWith('OPEXPR') || node.tag === 'DISTINCTEXPR' || node.tag === 'NULLIFEXPR')
      operators.add(atom(node, 'opno'));
    if (node.tag.startsWith('ROWCOMPARE')) for (const opno of atoms(node, 'opnos')) operators.add(opno);
    if (node.tag === 'COERCEVIAIO')
      casts.push({ from: resultType(node.fields.arg), to: atom(node, 'resulttype') });
  }
  const rows = await query(
    session,
    // Which function stands behind each: called, of an operator, or writing and reading the text of a cast.
    `WITH used (oid) AS (
       SELECT unnest($1::oid[])
       UNION SELECT oprcode::oid FROM pg_operator WHERE oid = ANY ($2::oid[])
       UNION SELECT typoutput::oid FROM pg_type WHERE oid = ANY ($3::oid[])
       UNION SELECT typinput::oid FROM pg_type WHERE oid = ANY ($4::oid[]))
     SELECT p.proname AS name, p.provolatile AS volatility, n.nspname AS schema
     FROM used u JOIN pg_proc p ON p.oid = u.oid JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE p.provolatile <> 'i' ORDER BY p.proname`,
    [[...functions], [...operators], casts.map((cast) => cast.from), casts.map((cast) => cast.to)],
  );
  const problems = rows.flatMap((row) => judgeFunction(row.schema!, row.name!, row.volatility!));
  if (casts.some((cast) => cast.from === '0')) {
    problems.push({ code: 'expression-unchecked', message: 'it holds a cast that cannot be judged' });
  }
  return problems;
}

function judgeFunction(schema: string, name: string, volatility: string): ExpressionProblem[] {
  if (schema === 'pg_catalog' && volatility === 's' && STABLE_BUT_PINNED.test(name)) return [];
  if (/^(now|\w+_timestamp|timeofday|age)$/.test(name))
    return [unstable(`${name}() is not allowed; ${RUN_TIME}`)];
  if (/^(date|time|timetz|timestamp|timestamptz|interval)_in$/.test(name)) {
    return [
      unstable('a cast of text to a date or time understands words like "now"; use to_date or to_timestamp'),
    ];
  }
  const kind = volatility === 'v' ? 'volatile' : 'stable';
  return [
    unstable(
      `${schema}.${name} is a ${kind} function: its result may differ between two readings of one row`,
    ),
  ];
}

function resultType(value: ParseNode['fields'][string] | undefined): string {
  if (!isNode(value)) return '0';
  const field = RESULT_TYPE[value.tag];
  if (field) return atom(value, field);
  return /^(BOOL|NULLTEST|SCALARARRAY|DISTINCT|ROWCOMPARE)/.test(value.tag) ? BOOLEAN_OID : '0';
}

function atom(node: ParseNode, field: string): string {
  const value = node.fields[field];
  return typeof value === 'string' && /^\d+$/.test(value) ? value : '0';
}

function atoms(node: ParseNode, field: string): string[] {
  const value = node.fields[field];
  return Array.isArray(value) ? value.filter((item): item is string => /^\d+$/.test(String(item))) : [];
}

function unstable(message: string): ExpressionProblem {
  return { code: 'expression-unstable', message };
}

function dedupe(problems: readonly ExpressionProblem[]): ExpressionProblem[] {
  return [...new Map(problems.map((problem) => [problem.message, problem])).values()];
}
