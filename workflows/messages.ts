import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ReplayRequest } from '../activities/types.js';

/** What `lethe show`, the CLI's progress and the Temporal UI read of a run while it goes on. */
export interface Progress {
  readonly run: string;
  readonly job: string;
  readonly phase: 'planning' | 'loading' | 'settling' | 'validating' | 'waiting' | 'ended';
  /** Until when a run that is `waiting` does so for a replay; ISO 8601, UTC. */
  readonly waitsUntil?: string;
  readonly paused: boolean;
  readonly concurrency: number;
  readonly tables: readonly TableState[];
  readonly warnings: readonly string[];
}

export interface TableState {
  readonly id: number;
  readonly name: string;
  /** As estimated by the plan. */
  readonly expected: number;
  readonly rows: number;
  readonly quarantined: number;
  readonly state: 'waiting' | 'loading' | 'settling' | 'done' | 'failed';
}

/** What a table's workflow tells the run's root, by workflow id. */
export interface TableReport {
  readonly id: number;
  readonly rows: number;
  readonly quarantined: number;
  readonly state: TableState['state'];
}

export interface GroupReport {
  /** Workflow id of the group. */
  readonly group: string;
  readonly tables: readonly TableReport[];
  readonly ended?:
    | { readonly ok: true }
    | { readonly ok: false; readonly type: string; readonly message: string };
}

export const progressQuery = defineQuery<Progress>('progress');
export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');
export const reportSignal = defineSignal<[GroupReport]>('report');
/** How many partitions of a table's workflow may be in flight; 0 pauses it. */
export interface Window {
  readonly partitions: number;
  /** The newest order counts: signals that follow each other closely may arrive the other way round. */
  readonly order: number;
}

/** To a table's workflow. */
export const windowSignal = defineSignal<[Window]>('window');
/** What a replay did for a run that waited for it. */
export interface ReplayAnswer {
  readonly run: string;
  /** Rows that left the quarantine: copied, or gone at the source. */
  readonly copied: number;
  readonly gone: number;
}

export const replayUpdate = defineUpdate<ReplayAnswer, [ReplayRequest?]>('replay');
export const concurrencyUpdate = defineUpdate<number, [{ partitions: number }]>('setConcurrency');
