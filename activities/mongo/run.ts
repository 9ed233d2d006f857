import { Context } from '@temporalio/activity';
import { type JobKeys, jobKeys, parseJobKey } from '../../anonymize/keys.js';
import type { Pins, RunRef, RunRow } from '../../ledger/types.js';
import { type Connection, withConnection } from '../../mongo/connection.js';
import { withPinnedSource } from '../../mongo/identity.js';
import { readPins, readRun, touchRun } from '../../mongo/ledger/runs.js';
import { type Ledger, ledgerOf } from '../../mongo/ledger/store.js';
import type { Dependencies } from '../dependencies.js';
import { toFailure } from '../failure.js';
import { checkDocumentPins } from '../pins.js';
import { activityFailure, RootWatch, refuseOver, sessionName } from '../run.js';

/** A run over MongoDB as an activity works on it: its ledger open, its pins checked. */
export interface OpenDocumentRun {
  readonly ref: RunRef;
  readonly row: RunRow;
  readonly pins: Pins;
  readonly keys: JobKeys;
  /** To the destination, where the ledger is. */
  readonly destination: Connection;
  readonly destinationUrl: string;
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
}

/**
 * Opens the ledger of a run for the length of `body`, as `withRun` does over PostgreSQL: checks that this worker has
 * what the run pinned, that the run is not over and that its root workflow is open.
 */
export async function withDocumentRun<T>(
  deps: Dependencies,
  ref: RunRef,
  body: (run: OpenDocumentRun) => Promise<T>,
  options: { ended?: boolean } = {},
): Promise<T> {
  const watch = new RootWatch(deps);
  try {
    const [destinationUrl, keyText] = await Promise.all([
      deps.resolve(ref.destination),
      deps.resolve(ref.key),
    ]);
    const signal = AbortSignal.any([Context.current().cancellationSignal, watch.signal]);
    const connecting = {
      url: destinationUrl,
      role: 'destination',
      applicationName: sessionName(ref.run, 'c'),
      signal,
    } as const;
    return await withConnection(connecting, async (destination) => {
      const ledger = ledgerOf(destination);
      const row = await readRun(ledger, ref.run);
      const pins = await readPins(ledger, ref.run, ref.replay);
      const keys = jobKeys(parseJobKey(keyText), pins.plan.consistency === 'run' ? ref.run : undefined);
      await checkDocumentPins(destination, pins, keys);
      if (!options.ended) {
        refuseOver(row);
        await watch.start(row);
        await touchRun(ledger, ref.run);
      }
      return await body({ ref, row, pins, keys, destination, destinationUrl, ledger, signal });
    });
  } catch (error) {
    throw watch.failure ? toFailure(watch.failure) : activityFailure(error);
  } finally {
    watch.stop();
  }
}

/** Opens the source of a run for the length of `body`, and checks that it is the one that the run pinned. */
export async function withDocumentSource<T>(
  deps: Dependencies,
  { pins, ref, signal }: OpenDocumentRun,
  body: (source: Connection) => Promise<T>,
): Promise<T> {
  const url = await deps.resolve(pins.source.url);
  const connecting = { url, applicationName: sessionName(ref.run, 's'), signal };
  const misfit =
    'This worker does not fit the run: its source reference leads to another database. Give all workers the same configuration.';
  return withPinnedSource(connecting, pins.plan.source, misfit, body);
}
