/** Task queue of workflows and of short activities: what a person starts `syncJob` on. */
export const CONTROL_QUEUE = 'lethe';

/** Task queue of the activities that move rows, beside a control queue. Its slots are the threads of a worker's pool. */
export function dataQueue(controlQueue: string): string {
  return `${controlQueue}-data`;
}
