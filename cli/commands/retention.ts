import type { Command } from 'commander';
import { define as ddl } from '../retention/ddl.js';

export function define(command: Command): void {
  ddl(
    command
      .command('ddl')
      .description('Print statements that let a warehouse reveal what is sealed in copies of the tables.'),
  );
}
