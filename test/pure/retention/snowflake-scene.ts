import { createContext, runInContext } from 'node:vm';
import { type MaskedColumn, snowflakeDdl } from '../../../retention/dialects/snowflake.js';
import type { Policy } from '../../../retention/keys/policy.js';

export function policyOf(policy: Partial<Policy> = {}): Policy {
  return {
    id: 'ip',
    name: 'addresses',
    window: 30,
    store: 'main',
    context: '',
    expired: '[expired]',
    deterministic: false,
    requireGrade: 'bestEffort',
    ...policy,
  };
}

export function columnOf(column: Partial<MaskedColumn> = {}): MaskedColumn {
  return {
    table: 'public.events',
    column: 'ip',
    holds: 'value',
    context: '',
    policies: [policyOf()],
    readers: ['analyst'],
    others: 'marker',
    ...column,
  };
}

type Reveal = (value: string, context: string, ring: string, today: string) => string | null;

/** What a token holds, as the library inside the body sees it. */
export interface Opened {
  readonly outcome: string;
  readonly text?: string;
  readonly bytes?: Uint8Array;
}

/** The JavaScript functions of the DDL, in a context that has nothing but the language. */
export function javascriptFunctions(): {
  reveal: Reveal;
  revealJson: Reveal;
  revealBytes(value: string, context: string, ring: string, today: string): Uint8Array | null;
  xor(a: Uint8Array, b: Uint8Array): Uint8Array;
  open(value: string, context: string, ring: string, today: string): Opened;
} {
  const ddl = snowflakeDdl([]);
  const context = createContext(Object.create(null));
  const body = (name: string) => {
    const [, text] = new RegExp(`\\.${name}\\([^$]*\\$\\$\\n([\\s\\S]*?)\\$\\$;`).exec(ddl) ?? [];
    return text;
  };
  const compile = (name: string, args: string) =>
    runInContext(`(function (${args}) {\n${body(name)}})`, context);
  const reveal = compile('REVEAL', 'VALUE, CONTEXT, RING, TODAY') as Reveal;
  reveal('', '', '', '260310');
  return {
    reveal,
    revealJson: compile('REVEAL_JSON', 'VALUE, CONTEXT, RING, TODAY'),
    revealBytes: compile('REVEAL_BYTES', 'VALUE, CONTEXT, RING, TODAY'),
    xor: compile('XOR_BINARY', 'A, B'),
    open: (...args) => (context.lethe1 as { open: (...args: string[]) => Opened }).open(...args),
  };
}

/** The ring text that a masking policy joins from the variables of a session. */
export function ringText(
  variables: Readonly<Record<string, string>>,
  policies: readonly Policy[] = [policyOf()],
): string {
  return policies
    .map(({ id, expired }) => {
      const own = Object.entries(variables).filter(([name]) => name.startsWith(`LETHE_${id.toUpperCase()}_`));
      const marker = expired === null ? '-' : Buffer.from(expired).toString('hex');
      return `${id}=${marker}=${own.map(([, text]) => text).join('')}`;
    })
    .join('|');
}
