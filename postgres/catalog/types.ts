import type { ColumnType, TypeKind } from '../../anonymize/transformer.js';
import { query, type Session } from '../session.js';
import { json } from './relations.js';

interface PgType {
  readonly schema: string;
  readonly name: string;
  readonly sort: 'base' | 'domain' | 'enum' | 'array' | 'other';
  /** Of a domain: what it stands for. */
  readonly base: number;
  readonly baseTypmod: number;
  readonly baseName: string;
  readonly notNull: boolean;
  readonly checks: readonly string[];
  /** Of an array. */
  readonly element: number;
  readonly enumValues: readonly string[];
}

/** The types of some tables' columns, down to domain bases and array elements. */
export type TypeMap = ReadonlyMap<number, PgType>;

export interface ResolvedType {
  readonly type: ColumnType;
  readonly domainChecks: readonly string[];
  /** After domains: what the wire protocol calls the column's type. */
  readonly baseOid: number;
  readonly baseTypmod: number;
}

const KINDS: Readonly<Record<string, TypeKind>> = {
  text: 'text',
  varchar: 'text',
  bpchar: 'text',
  name: 'text',
  int2: 'int2',
  int4: 'int4',
  int8: 'int8',
  numeric: 'numeric',
  float4: 'float',
  float8: 'float',
  bool: 'bool',
  uuid: 'uuid',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  time: 'time',
  interval: 'interval',
  json: 'json',
  jsonb: 'json',
  inet: 'inet',
  cidr: 'inet',
  bytea: 'bytea',
};

/** Longest `name`, in bytes; as characters it is the safe bound for ASCII output. */
const NAME_LENGTH = 63;

export async function readTypes(session: Session, relations: readonly number[]): Promise<TypeMap> {
  const rows = await query(
    session,
    `WITH RECURSIVE used (oid) AS (
       SELECT atttypid FROM pg_attribute WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
       UNION
       SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
       FROM used u JOIN pg_type t ON t.oid = u.oid
       WHERE t.typtype = 'd' OR t.typinput = 'array_in'::regproc)
     SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typbasetype AS base, t.typtypmod AS typmod,
       format_type(t.typbasetype, t.typtypmod) AS base_name, t.typnotnull AS not_null, t.typelem AS element,
       CASE WHEN t.typtype = 'd' THEN 'domain' WHEN t.typtype = 'e' THEN 'enum' WHEN t.typinput = 'array_in'::regproc
            THEN 'array' WHEN t.typtype = 'b' THEN 'base' ELSE 'other' END AS sort,
       (SELECT json_agg(k.conname ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') AS checks,
       (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels
     FROM used u JOIN pg_type t ON t.oid = u.oid JOIN pg_namespace n ON n.oid = t.typnamespace`,
    [relations],
  );
  return new Map(
    rows.map((row) => [
      Number(row.oid),
      {
        schema: row.schema!,
        name: row.name!,
        sort: row.sort as PgType['sort'],
        base: Number(row.base),
        baseTypmod: Number(row.typmod),
        baseName: row.base_name ?? '',
        notNull: row.not_null === 't',
        checks: json<string[]>(row.checks) ?? [],
        element: Number(row.element),
        enumValues: json<string[]>(row.labels) ?? [],
      },
    ]),
  );
}

/**
 * A column's type, seen through its domains: the kind is the base's, NOT NULL and CHECKs of every domain on the way
 * count, and the name stays what the column says.
 */
export function resolveType(
  types: TypeMap,
  column: { oid: number; typmod: number; name: string; notNull: boolean; deterministic: boolean },
): ResolvedType {
  let { oid, typmod, name, notNull } = column;
  const checks: string[] = [];
  let type = types.get(oid);
  while (type?.sort === 'domain') {
    checks.push(...type.checks);
    notNull ||= type.notNull;
    // A domain's own modifier wins: `varchar(40)` stands in its definition, not at the column.
    ({ base: oid, baseTypmod: typmod, baseName: name } = type);
    type = types.get(oid);
  }
  const resolved = {
    ...describe(types, type, typmod, name, column.deterministic),
    name: column.name,
    nullable: !notNull,
  };
  return { type: resolved, domainChecks: checks, baseOid: oid, baseTypmod: typmod };
}

function describe(
  types: TypeMap,
  type: PgType | undefined,
  typmod: number,
  name: string,
  deterministic: boolean,
): Omit<ColumnType, 'name' | 'nullable'> {
  if (type?.sort === 'enum') return { kind: 'enum', enumValues: type.enumValues, equality: 'exact' };
  if (type?.sort === 'array') {
    const element = resolveType(types, {
      oid: type.element,
      typmod,
      name: name.replace(/\[\]$/, ''),
      notNull: false,
      deterministic,
    });
    return { kind: 'array', element: element.type, equality: 'exact' };
  }
  if (type?.sort !== 'base') return { kind: 'other', equality: 'exact' };
  if (type.schema !== 'pg_catalog') {
    return type.name === 'citext'
      ? { kind: 'text', equality: 'caseless' }
      : { kind: 'other', equality: 'exact' };
  }
  const kind = KINDS[type.name] ?? 'other';
  if (kind === 'numeric') return { kind, ...numericLimits(typmod), equality: 'number' };
  if (kind !== 'text') return { kind, equality: 'exact' };
  if (type.name === 'bpchar') return { kind, ...lengthOf(typmod), equality: 'padded' };
  if (type.name === 'name') return { kind, maxLength: NAME_LENGTH, equality: 'exact' };
  return { kind, ...lengthOf(typmod), equality: deterministic ? 'exact' : 'caseless' };
}

function lengthOf(typmod: number): { maxLength?: number } {
  return typmod >= 4 ? { maxLength: typmod - 4 } : {};
}

/** `numeric(p,s)` packs p into the high half and s, signed since PostgreSQL 15, into eleven bits. */
function numericLimits(typmod: number): { precision?: number; scale?: number } {
  if (typmod < 4) return {};
  const packed = typmod - 4;
  return { precision: (packed >> 16) & 0xffff, scale: ((packed & 0x7ff) ^ 1024) - 1024 };
}
