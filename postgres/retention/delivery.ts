import type pg from 'pg';
import { LetheError } from '../../errors/errors.js';
import { sanitize } from '../errors.js';
import { startupOptions } from '../session.js';

/** Bytes of options that a startup packet has room for: it ends at 10,000, with user, database and the rest in it. */
export const STARTUP_BYTES = 9_000;

/**
 * Settings of rings cut in two: those that fit into a startup packet, the newest days first, and the rest.
 *
 * @param taken Bytes of options that are in the packet anyway.
 */
export function splitSettings(
  settings: Readonly<Record<string, string>>,
  taken = 0,
): { readonly startup: Record<string, string>; readonly rest: Record<string, string> } {
  const age = (name: string) => (name.startsWith('lethe.k_') ? name.slice(-6) : '999999');
  const newest = Object.entries(settings).sort(([a], [b]) =>
    age(a) < age(b) ? 1 : age(a) > age(b) ? -1 : 0,
  );
  const startup: Record<string, string> = {};
  const rest: Record<string, string> = {};
  let bytes = taken;
  for (const [name, value] of newest) {
    const size = Buffer.byteLength(startupOptions({ [name]: value })) + 1;
    const fits = bytes + size <= STARTUP_BYTES && Object.keys(rest).length === 0;
    if (fits) bytes += size;
    (fits ? startup : rest)[name] = value;
  }
  return { startup, rest };
}

/** Settings that would write bound values into the server's log, and what each must say. Null: not known there. */
const QUIET = [
  ['log_parameter_max_length', '0'],
  ['log_parameter_max_length_on_error', '0'],
  ['auto_explain.log_parameter_max_length', '0'],
  ['pgaudit.log_parameter', 'off'],
] as const;

/**
 * Hands settings to a session that is open, as bound values, after the server was told not to log those and said that it
 * will not. For days that a startup packet has no room for, and behind poolers that drop startup options.
 *
 * @param scope `transaction`: they end with the open transaction, as a pooler in transaction mode needs it.
 * @throws LetheError `PermissionDenied` where the server would log bound values; nothing was sent then.
 */
export async function setKeys(
  client: pg.ClientBase,
  settings: Readonly<Record<string, string>>,
  scope: 'session' | 'transaction' = 'session',
): Promise<void> {
  const names = Object.keys(settings);
  if (names.length === 0) return;
  const local = scope === 'transaction';
  try {
    const loud = await loudSettings(client);
    for (const [name, value] of loud)
      await client.query(`SET ${local ? 'LOCAL' : 'SESSION'} ${name} = ${value}`);
    if ((await loudSettings(client)).length > 0) throw refused();
    await client.query('SELECT set_config(n, v, $3) FROM unnest($1::text[], $2::text[]) AS s (n, v)', [
      names,
      Object.values(settings),
      local,
    ]);
  } catch (error) {
    if ((error as { code?: unknown }).code === '42501') throw refused();
    throw sanitize(error, 'handing keys to a session');
  }
}

async function loudSettings(client: pg.ClientBase): Promise<readonly (readonly [string, string])[]> {
  const list = QUIET.map(([name], i) => `current_setting('${name}', true)::text AS s${i}`);
  const { rows } = await client.query<Record<string, string | null>>(`SELECT ${list.join(', ')}`);
  return QUIET.filter(([, quiet], i) => (rows[0]?.[`s${i}`] ?? quiet) !== quiet);
}

function refused(): LetheError {
  return new LetheError(
    'PermissionDenied',
    'Keys are not handed to this session: the server would write them into its log as bound values, and the role may not ' +
      'tell it otherwise. A superuser allows it: GRANT SET ON PARAMETER log_parameter_max_length TO the role; or ask for ' +
      'fewer days, which then fit into the start of the session.',
  );
}
