import type { Command } from 'commander';
import { define as apply } from '../retention/apply.js';
import { define as ddl } from '../retention/ddl.js';
import { define as exec } from '../retention/exec.js';
import { defineHold, defineRelease } from '../retention/holds.js';
import { define as install } from '../retention/install.js';
import { defineStatus, defineVerify } from '../retention/look.js';
import { defineDestroy, defineGenerate, defineShrink } from '../retention/operate.js';
import { define as redact } from '../retention/redact.js';
import { define as restore } from '../retention/restore.js';
import { define as seal } from '../retention/seal.js';
import { define as session } from '../retention/session.js';

export function define(command: Command): void {
  const group = (usage: string, summary: string) => command.command(usage).description(summary);
  apply(
    group('apply [FILE]', 'Create the key stores of the retention file, the first keys, and the schedules.'),
  );
  defineGenerate(group('generate', 'Make the day keys of today and the two days after.'));
  defineDestroy(group('destroy', 'Destroy the day keys that are due; or, confirmed, before their time.'));
  defineStatus(
    group('status', 'Show days, holds, copies, the next destruction, and what somebody has to look at.'),
  );
  defineVerify(group('verify', 'Prove that what was destroyed opens nowhere.'));
  defineHold(group('hold <POLICY> <FROM> [TO]', 'Keep the keys of some days from every destruction.'));
  defineRelease(group('release <HOLD>', 'End a hold.'));
  defineShrink(
    group('shrink <POLICY> <DAYS>', 'Make the window of a policy shorter, for days that are sealed as well.'),
  );
  restore(group('restore', 'Bring a lost key store back from its second copy.'));
  install(group('install', 'Set up a database: functions, masked views, triggers and checks.'));
  seal(group('seal [TABLE...]', 'Seal what is plain in tables that are in use, in place.'));
  redact(group('redact <TABLE>', 'Rewrite the tokens of one subject, confirmed and recorded.'));
  exec(group('exec <COMMAND...>', 'Start a program, such as psql, whose sessions reveal values.'));
  ddl(group('ddl', 'Print statements that let a warehouse reveal what is sealed in copies of the tables.'));
  session(group('session', 'Hand the keys of some days to the sessions of a warehouse.'));
}
