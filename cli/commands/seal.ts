import type { Command } from 'commander';
import { loadRetention, retentionPath } from '../../job/retention/load.js';
import { filterStreams } from '../filter/run.js';
import { addFilterOptions, collect, type SealOptions, sealSettings } from '../filter/settings.js';
import { withRings } from '../filter/source.js';

export function define(command: Command): void {
  command
    .option('-p, --policy <id>', 'the policy to seal with; with --policy-by that of all other values')
    .option('--policy-by <field>', 'the value of this field decides on the policy')
    .option('--policy-map <value=policy>', 'which value has which policy; may be repeated', collect, [])
    .option(
      '--pattern <pattern>',
      'seal matches inside only: ipv4, ipv6, email, mac, uuid or /…/; may be repeated',
      collect,
      [],
    )
    .option(
      '--date-field <field>',
      "the field that has a line's time: ISO 8601, or seconds or milliseconds since 1970",
    )
    .option('--day <yyyy-mm-dd>', 'the UTC day of all lines (default: today)');
  addFilterOptions(command)
    .addHelpText(
      'after',
      `
Reads stdin and writes stdout, packed or not, in order, with memory that does not grow. A line that is refused is never
written to the output: without --errors the filter ends there, with it the line goes to that file and the exit code is 1.

Examples:
  $ lethe seal --policy ip --field client.ip --date-field time < in.jsonl > out.jsonl
  $ lethe seal --policy ip --pattern ipv4 --pattern ipv6 --format text --errors refused.jsonl < access.log.gz > sealed.log.gz
  $ lethe seal --policy-by tenant --policy-map acme=ac --policy ip --field ip --format csv < in.csv > out.csv`,
    )
    .action(run);
}

async function run(options: SealOptions): Promise<void> {
  const file = await loadRetention(retentionPath(options.retention));
  const settings = sealSettings(file, options);
  await withRings(file, (source) => filterStreams(settings, source, options));
}
