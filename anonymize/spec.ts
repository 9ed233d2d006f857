import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import type { Transformer, TransformerSpec } from './transformer.js';

/** What a job file holds where a transformer is expected, read and with defaults filled in, or all its mistakes. */
export type ParsedSpec = { readonly spec: TransformerSpec } | { readonly errors: string[] };

/** Transformers by name. The registry fills it; it stands apart so that transformers can nest others without a cycle. */
const known = new Map<string, Transformer>();

/** Makes transformers known to `parseSpec`; the registry calls it once. */
export function register(transformers: readonly Transformer[]): void {
  for (const transformer of transformers) known.set(transformer.name, transformer);
}

/** The transformer of that name, or undefined. */
export function lookup(name: string): Transformer | undefined {
  return known.get(name);
}

/**
 * Reads `email`, `{ email: { keepDomain: true } }`, `{ mask: 4 }` (the option that the transformer's `shorthand` names)
 * or YAML's null (the transformer `null`). A spec that was read before comes back the same.
 */
export function parseSpec(raw: unknown): ParsedSpec {
  const named = split(raw);
  if ('errors' in named) return named;
  const { name, value } = named;
  const transformer = known.get(name);
  if (!transformer) return { errors: [`unknown transformer "${name}"${suggest(name, [...known.keys()])}`] };
  const options = toOptions(transformer, value);
  if ('errors' in options) return options;
  const schema = strict(transformer.options);
  const result = schema.safeParse(options.value);
  if (result.success) return { spec: { name, options: result.data as Record<string, unknown> } };
  return { errors: result.error.issues.flatMap((issue) => describe(transformer, schema, issue)) };
}

function split(raw: unknown): { name: string; value: unknown } | { errors: string[] } {
  if (raw === null) return { name: 'null', value: undefined };
  if (typeof raw === 'string') return { name: raw, value: undefined };
  if (typeof raw === 'object' && !Array.isArray(raw)) {
    const { name, options } = raw as Partial<TransformerSpec>;
    const keys = Object.keys(raw);
    if (keys.length === 2 && typeof name === 'string' && isMap(options)) return { name, value: options };
    if (keys.length === 1) return { name: keys[0]!, value: (raw as Record<string, unknown>)[keys[0]!] };
    const list = keys.length === 0 ? 'is empty' : `has ${keys.length} keys: ${keys.join(', ')}`;
    return { errors: [`a transformer is a name or a map with the name as its only key; this one ${list}`] };
  }
  return {
    errors: ['a transformer is a name or a map with one name: `email` or `email: { keepDomain: true }`'],
  };
}

function toOptions(transformer: Transformer, value: unknown): { value: unknown } | { errors: string[] } {
  if (value === undefined || value === null) return { value: {} };
  if (isMap(value)) return { value };
  if (transformer.shorthand) return { value: { [transformer.shorthand]: value } };
  return { errors: [`${transformer.name} takes its options as a map: \`${transformer.name}: { … }\``] };
}

function describe(transformer: Transformer, schema: z.ZodType, issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys' && issue.path.length === 0) {
    const names = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
    const none = names.length === 0 ? '; it has no options' : '';
    return issue.keys.map((key) => `${transformer.name} has no option "${key}"${none}${suggest(key, names)}`);
  }
  const where = issue.path.length > 0 ? ` ${issue.path.join('.')}` : '';
  return [`${transformer.name}${where}: ${issue.message}`];
}

/** Options are refused when unknown, unless the schema says otherwise itself. */
function strict(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodObject && schema.def.catchall === undefined ? schema.strict() : schema;
}

/** `; did you mean "email"?` when a name is near enough, else the list of all. */
export function suggest(name: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const near = closest(name.toLowerCase(), names as string[]);
  const candidate = names.find((other) => other.toLowerCase() === name.toLowerCase()) ?? near;
  if (distance(name.toLowerCase(), candidate.toLowerCase()) <= Math.max(2, name.length / 3)) {
    return `; did you mean "${candidate}"?`;
  }
  return `; known: ${[...names].sort().join(', ')}`;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** For options that hold another transformer: read like a column's, kept as a spec. */
export const nestedSpec: z.ZodType<TransformerSpec> = z.unknown().transform((raw, context) => {
  const parsed = parseSpec(raw);
  if ('spec' in parsed) return parsed.spec;
  for (const message of parsed.errors) context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** JSON Schema (draft 2020-12) of one transformer in a job file; nested ones refer to `reference`. */
export function specSchema(reference = '#/$defs/transformer'): Record<string, unknown> {
  const transformers = [...known.values()];
  const simple = transformers.filter(({ options }) => strict(options).safeParse({}).success);
  return {
    description:
      'What happens to the values: the name of a transformer, or a map of its name to its options.',
    anyOf: [
      { enum: simple.map(({ name }) => name) },
      { type: 'null', description: 'The transformer `null`.' },
      ...transformers.map((transformer) => mapSchema(transformer, reference)),
    ],
  };
}

function mapSchema(transformer: Transformer, reference: string): Record<string, unknown> {
  const { $schema: _, ...options } = z.toJSONSchema(strict(transformer.options), {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if ((zodSchema as unknown) === nestedSpec) Object.assign(jsonSchema, { $ref: reference });
    },
  });
  const { shorthand } = transformer;
  const short = shorthand
    ? (options.properties as Record<string, unknown> | undefined)?.[shorthand]
    : undefined;
  const forms = short ? [options, short] : [options];
  return {
    type: 'object',
    description: transformer.summary,
    properties: { [transformer.name]: forms.length === 1 ? forms[0] : { anyOf: forms } },
    required: [transformer.name],
    additionalProperties: false,
  };
}
