import { z } from 'zod';
import { dayKeys } from '../retention/token/ring.js';
import { compileColumn } from './compile.js';
import { jobKeys } from './keys.js';
import { getTransformer, parseSpec, transformers } from './registry.js';
import { sealingWith } from './sealing.js';
import { nestedSpec } from './spec.js';
import type { ColumnType, Proof, Sealing, Transformer, TransformerSpec } from './transformer.js';

/** The key of all examples: the bytes 0 to 31. */
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);

/** By what they are for, in the order of the docs; a transformer that stands nowhere is listed at the end. */
const GROUPS: readonly (readonly [title: string, names: readonly string[]])[] = [
  ['Deciding', ['keep', 'null', 'constant']],
  [
    'People and places',
    [
      'email',
      'firstName',
      'lastName',
      'fullName',
      'username',
      'phone',
      'street',
      'city',
      'postalCode',
      'company',
    ],
  ],
  ['Keys and codes', ['permute', 'uuid', 'hash', 'creditCard', 'iban', 'ip', 'url']],
  ['Numbers and dates', ['noise', 'range', 'dateShift', 'dateTruncate']],
  ['Text', ['mask', 'scramble', 'regexReplace', 'pick']],
  ['Values that fade', ['retain']],
  ['Documents and code', ['json', 'js']],
];

/**
 * The reference part of `docs/transformers.md`, in Markdown: a table of all transformers, then one section each with
 * options, proof and an example. Await `loadSandbox` first.
 */
export function transformerReference(): string {
  const named = new Set(GROUPS.flatMap(([, names]) => names));
  const others = transformers.map(({ name }) => name).filter((name) => !named.has(name));
  const groups = others.length > 0 ? [...GROUPS, ['Others', others] as const] : GROUPS;
  const sections = groups.map(
    ([title, names]) => `## ${title}\n\n${names.map((name) => section(getTransformer(name))).join('\n')}`,
  );
  return `## All at a glance\n\n${overview(groups.flatMap(([, names]) => names))}\n${sections.join('\n')}`;
}

function overview(names: readonly string[]): string {
  const rows = names
    .map(getTransformer)
    .map(({ name, summary }) => [`[${name}](#${name.toLowerCase()})`, summary]);
  return table(['name', 'what it does'], rows);
}

function section(transformer: Transformer): string {
  const { name, summary, version, shorthand } = transformer;
  const given = exampleOf(transformer);
  const rows = optionRows(transformer);
  const options =
    rows.length > 0 ? table(['option', 'values', 'default', 'meaning'], rows) : 'It has no options.\n';
  const short = shorthand ? `\n\`${name}: x\` is short for \`${name}: { ${shorthand}: x }\`.\n` : '';
  return [
    `### ${name}\n`,
    `${summary}\n`,
    `Takes ${kinds(transformer, given.spec.options)}. Version ${version}.\n`,
    options + short,
    proves(transformer, given),
    '',
    exampleText(transformer, given),
  ].join('\n');
}

interface Example {
  readonly raw: unknown;
  readonly spec: TransformerSpec;
  readonly type: ColumnType;
}

function exampleOf({ name, example }: Transformer): Example {
  const raw = example.options ? { [name]: example.options } : name;
  const parsed = parseSpec(raw);
  if ('errors' in parsed) throw new Error(parsed.errors.join('\n'));
  const kind = example.type?.kind ?? 'text';
  return {
    raw,
    spec: parsed.spec,
    type: { kind, name: kind, nullable: true, equality: 'exact', ...example.type },
  };
}

/** The transformer as the job file has it, an input, and the output that the documentation key gives. */
function exampleText({ name, example }: Transformer, { raw, spec, type }: Example): string {
  const prf = jobKeys(KEY).domain('docs');
  const transform = compileColumn(spec, type, prf, prf, exampleSealing());
  const [output] = transform([example.input], {
    size: 1,
    fail: (_, reason) => {
      throw new Error(`the example of ${name} fails: ${reason}`);
    },
    source: () => ['1'],
  });
  return `\`\`\`text\n${typeof raw === 'string' ? raw : inline(raw)}\n${example.input}\n→ ${output ?? 'NULL'}\n\`\`\`\n`;
}

/** The same tokens every time: a deterministic policy, and the documentation key as day key. */
export function exampleSealing(): Sealing {
  const day = '2026-03-10';
  const ring = { policy: 'ip', asOf: day, first: day, gone: [], simulated: true } as const;
  const keys = new Map([[day, dayKeys(KEY, 'ip', day)]]);
  const policy = { id: 'ip', name: 'ip', window: 30, store: 'main', context: '', expired: '[expired]' };
  return sealingWith({
    day,
    policies: { ip: { ...policy, deterministic: true, requireGrade: 'bestEffort' } },
    rings: [{ ...ring, keys }],
    contexts: [],
  });
}

/** One line of YAML. */
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => `${scalar(key)}: ${inline(inner)}`);
    return `{ ${entries.join(', ')} }`;
  }
  return typeof value === 'string' ? scalar(value) : String(value);
}

function scalar(text: string): string {
  return /^[A-Za-z][\w-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text)
    ? text
    : JSON.stringify(text);
}

const KINDS: Readonly<Record<string, readonly ColumnType['kind'][]>> = {
  text: ['text'],
  integers: ['int2', 'int4', 'int8'],
  numeric: ['numeric'],
  'floating point': ['float'],
  booleans: ['bool'],
  UUIDs: ['uuid'],
  dates: ['date'],
  timestamps: ['timestamp', 'timestamptz'],
  times: ['time'],
  intervals: ['interval'],
  'JSON and JSONB': ['json'],
  'inet and cidr': ['inet'],
  enums: ['enum'],
  bytea: ['bytea'],
  arrays: ['array'],
  'other types': ['other'],
};

/** The types that the transformer takes with the options of its example. */
function kinds(transformer: Transformer, options: unknown): string {
  if (transformer.name === 'constant') return 'any type that its value fits';
  const accepts = (kind: ColumnType['kind']) =>
    transformer.accepts({ kind, name: kind, nullable: true, equality: 'exact' }, options) === true;
  const names = Object.entries(KINDS).filter(([, list]) => list.some(accepts));
  return names.length === Object.keys(KINDS).length ? 'any type' : names.map(([name]) => name).join(', ');
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly transformer?: boolean;
}

function optionRows(transformer: Transformer): string[][] {
  const schema = z.toJSONSchema(transformer.options, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if ((zodSchema as unknown) === nestedSpec) Object.assign(jsonSchema, { transformer: true });
    },
  }) as Schema;
  const rows = rowsOf(schema, '');
  const open = typeof schema.additionalProperties === 'object' && schema.additionalProperties.transformer;
  if (open) rows.unshift(['`"$.…"`', 'a transformer', '', PATHS]);
  return rows;
}

const PATHS =
  'A path and what happens to the values there. `$.name`, `$.list[*]`, `$.list[0]`, `$["a name"]`, `$.*` and `$..name` (at any depth). Of two paths for one value the first in the file counts; a path to an object or list is for all in it.';

function rowsOf(schema: Schema, prefix: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, option]) => {
    const needed = schema.required?.includes(name) ? '(required)' : '';
    const fallback = option.default === undefined ? needed : `\`${inline(option.default)}\``;
    const own = [`\`${prefix}${name}\``, values(option), fallback, option.description ?? ''];
    return [own, ...rowsOf(option.items ?? {}, `${prefix}${name}[].`)];
  });
}

/** What may stand there, in words. */
function values(schema: Schema): string {
  if (schema.transformer) return 'a transformer';
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.anyOf) return schema.anyOf.map(values).join(' or ');
  if (schema.type === 'array') return schema.items?.properties ? 'a list of maps' : 'a list';
  if (schema.type === 'object') return 'a map';
  const name = [schema.type ?? 'anything'].flat().join(' or ');
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = schema;
  if (minimum === undefined) return name;
  if (minimum === maximum) return `\`${minimum}\``;
  return maximum === Number.MAX_SAFE_INTEGER
    ? `${name} from ${minimum}`
    : `${name}, ${minimum} to ${maximum}`;
}

/** By default, and with the options of the example where that differs. */
function proves(transformer: Transformer, { spec, type }: Example): string {
  const own = promises(transformer.proof(type, spec.options));
  const plain = parseSpec(transformer.name);
  const usual = 'spec' in plain ? promises(transformer.proof(type, plain.spec.options)) : own;
  const differs = usual === own ? '' : `\n\nWith the options of the example: ${own}.`;
  return `Proves: ${usual}.${differs}`;
}

function promises(proof: Proof): string {
  const unique = {
    injective: 'different values stay different',
    wide: 'different values stay different (at least 96 keyed bits)',
    no: 'different values may become equal',
  }[proof.unique];
  return [
    unique,
    proof.total ? 'equal values become equal' : 'equal values may become different',
    proof.mayEqualInput ? 'a value may stay what it was' : 'no value stays what it was',
    proof.keepsNull ? 'NULL stays NULL and nothing else becomes NULL' : 'values may become NULL',
  ].join('; ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
