import { type Command, InvalidArgumentError } from 'commander';

/** A whole number from 1 on, for an option. */
export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1 on.');
  return Number(text);
}

/** `--job`, `--dest` and `--env`: which destinations' ledgers a command looks into. */
export function addLedgerOptions(command: Command): Command {
  return command
    .option('-j, --job <job>', "look into this job's destination")
    .option('-d, --dest <dest>', 'look into this destination')
    .option('-e, --env <name>', 'lay an environment of the job file over it');
}
