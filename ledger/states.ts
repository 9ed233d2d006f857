import type { RunState } from './types.js';

/*
 *  planned ──► loading ──► settling ──► validating ──► complete
 *     │           │            │             │
 *     └───────────┴────────────┴─────────────┴──► failed ──► loading (a replay)
 *     │           │            │             │
 *     └───────────┴────────────┴─────────────┴──► cancelled
 *  any state but complete ──► superseded, when a later run takes a table over
 */
const NEXT: Readonly<Record<RunState, readonly RunState[]>> = {
  planned: ['loading', 'failed', 'cancelled', 'superseded'],
  loading: ['settling', 'failed', 'cancelled', 'superseded'],
  settling: ['validating', 'failed', 'cancelled', 'superseded'],
  validating: ['complete', 'failed', 'cancelled', 'superseded'],
  failed: ['loading', 'superseded'],
  cancelled: ['superseded'],
  complete: [],
  superseded: [],
};

/** States from which `to` may be entered; entering the state one is in is allowed (activities are retried). */
export function statesBefore(to: RunState): RunState[] {
  const states = Object.keys(NEXT) as RunState[];
  return states.filter((state) => state === to || NEXT[state].includes(to));
}

/** A run that somebody may still be working on. */
export function isOpen(state: RunState): boolean {
  return state === 'planned' || state === 'loading' || state === 'settling' || state === 'validating';
}

/** Passes over quarantined rows that a run, or a replay of it, has room for: those of replay n are numbered from n times it. */
export const REPLAY_PASSES = 1_000;
