#!/usr/bin/env node
import { CommanderError } from 'commander';
import { EXIT, reportError } from './exit.js';
import { createProgram } from './program.js';

const argv = process.argv;

// A reader that went away (`lethe runs | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});

try {
  const program = await createProgram(argv.slice(2));
  await program.parseAsync(argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.badInput;
  else process.exitCode = reportError(error, argv.includes('--json'));
}
// What a server that went away left behind must not keep us; what was printed has to arrive first.
process.stdout.write('', () => process.stderr.write('', () => process.exit()));
