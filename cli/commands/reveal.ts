import type { Command } from 'commander';
import { loadRetention, retentionPath } from '../../job/retention/load.js';
import { filterStreams } from '../filter/run.js';
import { addFilterOptions, collect, type RevealOptions, revealSettings } from '../filter/settings.js';
import { withRings } from '../filter/source.js';

export function define(command: Command): void {
  command
    .option(
      '-p, --policy <id>',
      'read tokens of this policy only; may be repeated (default: all of the file)',
      collect,
      [],
    )
    .option('--actor <name>', 'whose legal holds count');
  addFilterOptions(command)
    .addHelpText(
      'after',
      `
Reads stdin and writes stdout, packed or not, in order. Without --field every token in any field becomes its value, also
inside longer texts; what cannot be read becomes its marker, such as [expired].

Examples:
  $ lethe reveal < sealed.jsonl | jq .client.ip
  $ lethe reveal --format text < sealed.log.gz > readable.log.gz
  $ lethe reveal --format csv --field ip < sealed.csv`,
    )
    .action(run);
}

async function run(options: RevealOptions): Promise<void> {
  const file = await loadRetention(retentionPath(options.retention));
  const settings = revealSettings(file, options);
  await withRings(file, (source) => filterStreams(settings, source, options));
}
