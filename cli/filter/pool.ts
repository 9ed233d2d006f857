import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { LetheError } from '../../errors/errors.js';
import type { FilterSettings } from '../../retention/filter/settings.js';
import type { FilterTask, Transformed } from '../../retention/filter/transform.js';
import type { ThreadAnswer } from './thread.js';

/** Threads that transform lines. */
export interface FilterPool {
  readonly threads: number;
  transform(task: FilterTask): Promise<Transformed>;
  close(): Promise<void>;
}

/** Cores of the machine, but no more than one process can feed. */
const MOST_THREADS = 8;

/** @param threads Default as many as the machine has cores, at most 8. */
export function filterPool(
  settings: FilterSettings,
  threads = Math.min(availableParallelism(), MOST_THREADS),
): FilterPool {
  const piscina = new Piscina<FilterTask, ThreadAnswer>({
    filename: fileURLToPath(new URL('cli/filter/thread.js', builtFiles())),
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: 1,
    workerData: settings,
    resourceLimits: { maxOldGenerationSizeMb: 1_024, maxYoungGenerationSizeMb: 16 },
  });
  return {
    threads,
    async transform(task) {
      const answer = await piscina.run(task);
      if ('done' in answer) return answer.done;
      throw new LetheError(answer.failure.type, answer.failure.message);
    },
    close: () => piscina.destroy(),
  };
}

/** `dist/`: threads run built files, also when this one is a source file in a test. */
function builtFiles(): URL {
  return import.meta.url.includes('/dist/cli/')
    ? new URL('../../', import.meta.url)
    : new URL('../../dist/', import.meta.url);
}
