import { LetheError } from '../../errors/errors.js';
import { type FilterTotals, runFilter } from '../../retention/filter/pipeline.js';
import type { FilterSettings } from '../../retention/filter/settings.js';
import type { RingSource } from '../../retention/keys/source.js';
import { EXIT } from '../exit.js';
import { filterPool } from './pool.js';
import { FilterProgress } from './progress.js';
import { refusedFile } from './refused.js';
import type { FilterOptions } from './settings.js';
import { openInput, openOutput } from './streams.js';

/** Filters stdin to stdout, and says on stderr what was done. */
export async function filterStreams(
  settings: FilterSettings,
  source: RingSource,
  options: Pick<FilterOptions, 'errors' | 'gzip' | 'threads'> & { readonly actor?: string },
): Promise<void> {
  const refused = refusedFile(options.errors);
  const pool = filterPool(settings, options.threads);
  try {
    const input = await openInput(process.stdin);
    const output = openOutput(process.stdout, options.gzip ?? input.gzip);
    const progress = new FilterProgress();
    const totals = await runFilter({
      settings,
      source,
      input: input.bytes,
      write: output.write,
      refuse: refused.take,
      transform: pool.transform,
      // While one chunk waits to be written, each thread has one to work on and one to go on with.
      parallel: 2 * pool.threads + 1,
      progress: (now) => progress.show(now),
      ...(options.actor !== undefined && { actor: options.actor }),
    });
    await output.end();
    progress.end(totals);
    if (totals.refused > 0) process.exitCode = EXIT.failed;
    requireEffect(settings, totals);
  } finally {
    await refused.close();
    await pool.close();
  }
}

/** A field that is misspelt must not look like success: everything in clear went through. */
function requireEffect(
  { what, fields, patterns }: FilterSettings,
  { lines, changed, refused }: FilterTotals,
): void {
  if (what !== 'seal' || patterns.length > 0 || changed > 0 || lines === refused) return;
  throw new LetheError(
    'SealRefused',
    `No line was changed: there is no value at ${fields.join(', ')} in any, or all are sealed already. The output is as the input was.`,
  );
}
