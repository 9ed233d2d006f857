import { readFileSync } from 'node:fs';
import { nodeKernel } from '../../../retention/token/kernel.node.js';
import { wasmKernel } from '../../../retention/token/kernel.wasm.js';
import { dayKeys, Keyring, type Ring } from '../../../retention/token/ring.js';

/** One of retention/vectors.json. */
export interface Vector {
  readonly dayKey: string | null;
  readonly ring: { readonly asOf: string; readonly first: string; readonly gone: readonly string[] } | null;
  readonly context: string;
  readonly kind: 'lt1' | 'lp1' | 'lb1' | 'lq1';
  readonly pad: number | null;
  readonly deterministic: boolean;
  readonly salt: string;
  readonly plaintext: string;
  readonly token: string;
  readonly outcome: 'value' | 'expired' | 'noKey' | 'tampered' | 'notToken';
}

export const VECTORS_FILE = new URL('../../../retention/vectors.json', import.meta.url);

export function readVectors(): readonly Vector[] {
  return (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as { vectors: Vector[] }).vectors;
}

/** Both ways to hash: four lanes, and Node's own. */
export const KERNELS = { lanes: wasmKernel()!, node: nodeKernel() };

export const DAY = '2026-03-10';

/** A ring of policy `ip` with keys for some days, as of the last of them. */
export function ringOf(days: readonly string[] = [DAY], ring: Partial<Ring> = {}): Ring {
  const keys = days.map(
    (day, i) => [day, dayKeys(Buffer.alloc(32, i + 1), ring.policy ?? 'ip', day)] as const,
  );
  const [first, asOf] = [days[0]!, days.at(-1)!];
  return { policy: 'ip', asOf, first, gone: [], keys: new Map(keys), simulated: true, ...ring };
}

export function keyringOf(days?: readonly string[], ring?: Partial<Ring>): Keyring {
  return new Keyring([ringOf(days, ring)]);
}
