import { randomBytes } from 'node:crypto';
import type { Policy } from '../retention/keys/policy.js';
import { addDays, type Day } from '../retention/token/day.js';
import { patternOf, sealMatchesAll } from '../retention/token/matches.js';
import { Revealer } from '../retention/token/revealer.js';
import { dayKeys, Keyring, type Ring } from '../retention/token/ring.js';
import { segments } from '../retention/token/scan.js';
import { type SealAllOptions, Sealer } from '../retention/token/sealer.js';
import { sealWholes, tokensAmong } from '../retention/token/wholes.js';
import type { JobKeys } from './keys.js';
import type { Column, Sealing, SealingRule } from './transformer.js';

/** What sealing needs, as plain data: it can be posted to a thread. Holds keys: never into a log, a history, an error. */
export interface SealingKeys {
  /** The UTC day of the run. */
  readonly day: Day;
  /** By id. */
  readonly policies: Readonly<Record<string, Policy>>;
  readonly rings: readonly Ring[];
  /** Labels that values are sealed under, besides those of the policies. */
  readonly contexts: readonly string[];
}

/** The keys of a job with those for sealing; without any, sealed columns come out empty (see `BLIND`). */
export function withSealing(keys: JobKeys, sealing: SealingKeys | undefined): JobKeys {
  return { ...keys, sealing: sealing ? sealingWith(sealing) : BLIND };
}

/** Gives nothing for every value: where rows are transformed again and nobody looks at what is sealed. */
export const BLIND: Sealing = { day: '', seal: (_, values) => values.map(() => null) };

/** Sealing with given keys. */
export function sealingWith({ day, policies, rings, contexts }: SealingKeys): Sealing {
  const keyring = new Keyring(rings);
  const sealers = new Map<string, Sealer>();
  const sealerOf = ({ policy: id, context, typed }: SealingRule, policy: Policy): Sealer => {
    const label = `${context ?? policy.context}${typed ? TYPED : ''}`;
    const known = sealers.get(`${id}${label}`);
    if (known) return known;
    const { pad, deterministic } = policy;
    const sealer = new Sealer({ keyring, policy: id, context: label, deterministic, ...(pad && { pad }) });
    sealers.set(`${id}${label}`, sealer);
    return sealer;
  };
  return {
    day,
    seal(rule, values, days, fail) {
      const policy = policies[rule.policy];
      if (!policy) {
        for (const [i, value] of values.entries())
          if (value !== null) fail(i, `the retention file has no policy ${rule.policy}`);
        return values.map(() => null);
      }
      const sealer = sealerOf(rule, policy);
      const options: SealAllOptions = {
        day: days,
        expired: policy.expired,
        // Their own message names the day, which is the row's.
        fail: (place, { type, message }) =>
          fail(
            place,
            type === 'DayKeyMissing' ? `policy ${rule.policy} has no key for the day of the row` : message,
          ),
      };
      if (rule.pattern !== undefined)
        return [...sealMatchesAll(sealer, values, patternOf(rule.pattern), options).texts];
      // A string of a document may be the token of a number.
      const { own } = tokensAmong(sealerOf({ ...rule, typed: true }, policy), values);
      const rest = values.map((value, i) => (own.has(i) ? null : value));
      return sealWholes(sealer, rest, options).map((text, i) => (own.has(i) ? values[i]! : text));
    },
    opened(values) {
      const labels = [...Object.values(policies).map((one) => one.context), ...contexts];
      return openedIn(keyring, values, new Set(labels.flatMap((label) => [label, `${label}${TYPED}`])));
    },
  };
}

/** What the label of numbers and booleans ends with: `typedContext` of the token format. */
const TYPED = '#json';
/** U+0000 is in no text that a token holds or a database stores. */
const MARK = '\0';

function openedIn(
  keyring: Keyring,
  values: Column,
  contexts: ReadonlySet<string>,
): (string | null | undefined)[] {
  let out: (string | null | undefined)[] = [...values];
  for (const context of contexts) {
    const over = new Set<number>();
    const texts = out.map((value) => value ?? null);
    const parts = segments(
      new Revealer(keyring, context),
      texts,
      undefined,
      ({ outcome }) => outcome === 'value' || outcome === 'expired',
    );
    out = out.map((value, i) => {
      if (value === undefined || value === null) return value;
      let text = '';
      let at = 0;
      for (const { start, end, header, revealed } of parts[i]!) {
        if (revealed.outcome === 'expired') over.add(i);
        const held = revealed.text ?? revealed.bytes?.toString('hex') ?? '';
        text += `${value.slice(at, start)}${MARK}${header.policy}${header.day}${MARK}${held}${MARK}`;
        at = end;
      }
      return over.has(i) ? undefined : text + value.slice(at);
    });
  }
  return out;
}

/**
 * Sealing with keys that nobody keeps, for showing what a job does: what it seals is never read again. Days are as old as
 * a policy's window lets them be.
 */
export function throwawaySealing(policies: readonly Policy[], day: Day): Sealing {
  const rings = policies.map(({ id, window }): Ring => {
    const days = Array.from({ length: window + 2 }, (_, back) => addDays(day, 1 - back));
    const keys = new Map(days.map((one) => [one, dayKeys(randomBytes(32), id, one)]));
    return { policy: id, asOf: day, first: addDays(day, 1 - window), gone: [], keys, simulated: true };
  });
  const byId = Object.fromEntries(policies.map((policy) => [policy.id, policy]));
  return sealingWith({ day, policies: byId, rings, contexts: [] });
}
