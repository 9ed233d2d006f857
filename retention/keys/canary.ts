import { randomBytes } from 'node:crypto';
import type { Day } from '../token/day.js';
import { Revealer } from '../token/revealer.js';
import { dayKeys, Keyring, type Ring } from '../token/ring.js';
import { Sealer } from '../token/sealer.js';

/** Label of canaries, so that none is taken for a value. */
const CONTEXT = 'lethe/canary';

/** A token of random text that nobody keeps: after the day key's end, proof that nothing left can open it. */
export function makeCanary(key: Uint8Array, policy: string, day: Day): string {
  const keyring = new Keyring([ringOf(key, policy, day)]);
  return new Sealer({ keyring, policy, context: CONTEXT }).seal(randomBytes(16).toString('hex'), day);
}

/** Whether a key opens the canary of a policy and day. */
export function opensCanary(key: Uint8Array, policy: string, day: Day, canary: string): boolean {
  return new Revealer(new Keyring([ringOf(key, policy, day)]), CONTEXT).open(canary).outcome === 'value';
}

function ringOf(key: Uint8Array, policy: string, day: Day): Ring {
  const keys = new Map([[day, dayKeys(key, policy, day)]]);
  return { policy, asOf: day, first: day, gone: [], keys, simulated: true };
}
