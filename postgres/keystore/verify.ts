import { LetheError } from '../../errors/errors.js';
import { opensCanary } from '../../retention/keys/canary.js';
import { reaches } from '../../retention/keys/grades.js';
import type { MasterProvider } from '../../retention/keys/masters.js';
import type { Grade } from '../../retention/keys/policy.js';
import {
  chainMistakes,
  type DestructionReceipt,
  type Receipt,
  type ReceiptBody,
  readReceipt,
} from '../../retention/keys/receipts.js';
import { scanFiles } from '../../retention/keys/scan.js';
import { tryUnwrap, unwrapKey } from '../../retention/keys/wrapping.js';
import { query, type Session } from '../session.js';
import { type StoreContext, withStore } from './context.js';
import { copiedMasters, openCopy, readCopy } from './copy.js';
import { readReceipts } from './receipts.js';
import { type DayKeyRow, readDayKeys, readPolicies, readStore } from './rows.js';

export interface VerifyOptions {
  /** The key store's own data directory: heap and WAL are scanned. */
  readonly dataDir?: string;
  /** Base backups, WAL archives and dumps that are scanned. */
  readonly backups?: readonly string[];
}

/** One thing that was looked at. */
export interface Verified {
  readonly check:
    | 'receipts'
    | 'keys'
    | 'masters'
    | 'grades'
    | 'canaries'
    | 'copy'
    | 'data directory'
    | 'backups';
  readonly state: 'ok' | 'failed' | 'not checked';
  readonly says: string;
}

/** Looks whether what receipts say is so. Changes nothing; never throws for what it finds. */
export function verifyStore(
  context: StoreContext,
  options: VerifyOptions = {},
): Promise<readonly Verified[]> {
  return withStore(context, async (session) => {
    const receipts = await readReceipts(session);
    const keys = await readDayKeys(session);
    return [
      await verifyReceipts(session, context, receipts),
      await verifyKeys(session, context, keys),
      await verifyMasters(session, context),
      await verifyGrades(session, context, receipts),
      await verifyCanaries(context, receipts, keys),
      await verifyCopy(session, context),
      await verifyFiles(session, context, 'data directory', options.dataDir ? [options.dataDir] : []),
      await verifyFiles(session, context, 'backups', options.backups ?? []),
    ];
  });
}

async function verifyReceipts(
  session: Session,
  context: StoreContext,
  receipts: readonly Receipt[],
): Promise<Verified> {
  const store = await readStore(session, context);
  const mistakes = chainMistakes(receipts, store.id, context.signer.publicKey);
  const proved = new Set(destructions(receipts).map(({ policy, day }) => `${policy} ${day}`));
  const tombs = await query(
    session,
    'SELECT policy, day FROM lethe_keys.tombstone WHERE destroyed_at IS NOT NULL',
  );
  const open = await query(session, 'SELECT 1 AS one FROM lethe_keys.destruction WHERE ended_at IS NULL');
  for (const { policy, day } of open.length > 0 ? [] : tombs)
    if (!proved.has(`${policy} ${day}`)) mistakes.push(`no receipt for policy ${policy} and ${day}`);
  const failed = bodies(receipts).filter(({ kind }) => kind === 'redactionFailed').length;
  const note = failed > 0 ? `; ${failed} say that a redaction failed` : '';
  return verdict('receipts', mistakes, `${receipts.length} receipts, chained and signed${note}`);
}

function destructions(receipts: readonly Receipt[]): DestructionReceipt[] {
  return bodies(receipts).flatMap((body) => (body.kind === 'destruction' ? [body] : []));
}

function bodies(receipts: readonly Receipt[]): ReceiptBody[] {
  return receipts.flatMap((receipt) => {
    try {
      return [readReceipt(receipt)];
    } catch {
      // The chain says that it was changed.
      return [];
    }
  });
}

/** No key that is due, and none of a day that has a tombstone. */
async function verifyKeys(
  session: Session,
  context: StoreContext,
  keys: readonly DayKeyRow[],
): Promise<Verified> {
  const { now } = await readStore(session, context);
  const due = keys.filter(({ destroyAt, held }) => destroyAt <= now && !held);
  const both = await query(
    session,
    'SELECT policy, day FROM lethe_keys.tombstone t WHERE EXISTS (SELECT FROM lethe_keys.day_key k WHERE k.policy = t.policy AND k.day = t.day)',
  );
  return verdict(
    'keys',
    [
      ...due.map(({ policy, day }) => `the key of policy ${policy} and ${day} is due and still there`),
      ...both.map(({ policy, day }) => `policy ${policy} and ${day} have a tombstone and a key`),
    ],
    `${keys.length} day keys live, none is due`,
  );
}

/** What was destroyed is not there, and nothing is there that the store does not know. */
async function verifyMasters(session: Session, context: StoreContext): Promise<Verified> {
  const states = new Map(
    (await query(session, 'SELECT id, state FROM lethe_keys.master')).map((row) => [row.id!, row.state!]),
  );
  const folder = context.settings.copy;
  const copied = folder === undefined ? undefined : copiedMasters(context, folder)?.masters;
  const mistakes: string[] = [];
  for (const [where, masters] of [
    ['', context.masters],
    [' in the second copy', copied],
  ] as const) {
    for (const id of (await masters?.list()) ?? []) {
      if (states.get(id) === 'destroyed') mistakes.push(`master ${id}${where} was destroyed and is there`);
      else if (!states.has(id)) mistakes.push(`master ${id}${where} is not known to the store`);
    }
  }
  return verdict(
    'masters',
    mistakes,
    `${[...states.values()].filter((state) => state === 'destroyed').length} master keys destroyed`,
  );
}

async function verifyGrades(
  session: Session,
  context: StoreContext,
  receipts: readonly Receipt[],
): Promise<Verified> {
  const required = new Map(
    [...(await readPolicies(session)).values()].map(({ id, requiredGrade }) => [id, requiredGrade]),
  );
  for (const { id, requireGrade } of context.policies.values()) required.set(id, requireGrade);
  const short = destructions(receipts).filter(
    ({ policy, destroyed }) => !reaches(destroyed.grade, required.get(policy) ?? ('bestEffort' as Grade)),
  );
  return verdict(
    'grades',
    [
      ...new Set(
        short.map(
          ({ policy, destroyed }) =>
            `policy ${policy} has days that were destroyed with grade ${destroyed.grade}`,
        ),
      ),
    ],
    'every destruction has the grade that its policy asks for',
  );
}

/** Nothing that is left opens what was sealed on a destroyed day. */
async function verifyCanaries(
  context: StoreContext,
  receipts: readonly Receipt[],
  keys: readonly DayKeyRow[],
): Promise<Verified> {
  const mistakes: string[] = [];
  const opened = await Promise.all(
    keys.map(async (row) => ({
      ...row,
      key: await unwrapKey(context.masters, row.wrapped, row).catch(() => undefined),
    })),
  );
  for (const { policy, day, key } of opened)
    if (!key)
      mistakes.push(`the key of policy ${policy} and ${day} does not open: it is lost, or its master is`);
  const canaries = destructions(receipts);
  for (const { policy, day, canary } of canaries) {
    const opens = opened.some(
      ({ key, policy: other }) => key && other === policy && opensCanary(key, policy, day, canary),
    );
    if (opens) mistakes.push(`the canary of policy ${policy} and ${day} opens`);
  }
  return verdict(
    'canaries',
    mistakes,
    `${canaries.length} canaries of destroyed days open under nothing that is left`,
  );
}

async function verifyCopy(session: Session, context: StoreContext): Promise<Verified> {
  const folder = context.settings.copy;
  if (folder === undefined)
    return { check: 'copy', state: 'not checked', says: 'this key store has no second copy' };
  try {
    const content = await readCopy(context, folder);
    const keys = await openCopy(context, folder, content);
    const { revision } = await readStore(session, context);
    const behind = BigInt(content.revision) < revision;
    return verdict(
      'copy',
      behind ? [`the second copy is behind the store`] : [],
      `${keys} day keys open in the second copy`,
    );
  } catch (error) {
    if (error instanceof LetheError) return { check: 'copy', state: 'failed', says: error.message };
    throw error;
  }
}

/** Wrapped keys of destroyed days may be found anywhere; none may open. */
async function verifyFiles(
  session: Session,
  context: StoreContext,
  check: 'data directory' | 'backups',
  paths: readonly string[],
): Promise<Verified> {
  if (paths.length === 0)
    return {
      check,
      state: 'not checked',
      says: `give ${check === 'backups' ? '--backup' : '--data-dir'} to look for wrapped keys there`,
    };
  const tombs = new Set(
    (await query(session, 'SELECT policy, day FROM lethe_keys.tombstone')).map(
      ({ policy, day }) => `${policy} ${day}`,
    ),
  );
  const providers = await everyMaster(context);
  const seen = new Map<string, boolean>();
  const counts = { files: 0, bytes: 0, unread: 0 };
  for (const path of paths) {
    const scan = await scanFiles(path, async (wrapped) => {
      if (!tombs.has(`${wrapped.policy} ${wrapped.day}`)) return;
      const name = wrapped.bytes.toString('base64');
      if (!seen.has(name)) seen.set(name, await opensAnywhere(providers, wrapped));
    });
    counts.files += scan.files;
    counts.bytes += scan.bytes;
    counts.unread += scan.unread.length;
  }
  const opened = [...seen.values()].filter(Boolean).length;
  const where = `${counts.files} files (${Math.round(counts.bytes / 1e6)} MB)`;
  return verdict(
    check,
    [
      ...(opened > 0 ? [`${opened} wrapped keys of destroyed days open`] : []),
      ...(counts.unread > 0 ? [`${counts.unread} files could not be read`] : []),
    ],
    `${seen.size} wrapped keys of destroyed days found in ${where}, none opens under any master key that exists`,
  );
}

interface Masters {
  readonly masters: MasterProvider;
  readonly ids: readonly string[];
}

async function everyMaster(context: StoreContext): Promise<Masters[]> {
  const folder = context.settings.copy;
  const copied = folder === undefined ? undefined : copiedMasters(context, folder)?.masters;
  const all = copied ? [context.masters, copied] : [context.masters];
  return Promise.all(all.map(async (masters) => ({ masters, ids: await masters.list() })));
}

async function opensAnywhere(
  providers: readonly Masters[],
  wrapped: Parameters<typeof tryUnwrap>[1],
): Promise<boolean> {
  for (const { masters, ids } of providers) if (await tryUnwrap(masters, wrapped, ids)) return true;
  return false;
}

function verdict(check: Verified['check'], mistakes: readonly string[], well: string): Verified {
  if (mistakes.length === 0) return { check, state: 'ok', says: well };
  const shown = mistakes.slice(0, 5).join('; ');
  const more = mistakes.length > 5 ? `; and ${mistakes.length - 5} more` : '';
  return { check, state: 'failed', says: shown + more };
}
