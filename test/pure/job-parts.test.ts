import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cronMistake } from '../../job/cron.js';
import { writeDomains } from '../../job/domains.js';
import { durationSeconds } from '../../job/duration.js';
import { findJob, listJobs } from '../../job/folder.js';
import { compileGlob, globMistake, tableFilter } from '../../job/globs.js';
import { nearest } from '../../job/nearest.js';
import { resolveReference } from '../../job/references.js';
import { splitReference } from '../../job/virtualReference.js';

describe('references', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lethe-references-'));

  it('give the value of a variable, a file or a program, less one line end', async () => {
    process.env.LETHE_TEST_REFERENCE = 'from the environment';
    writeFileSync(join(folder, 'secret'), 'from a file\n');
    expect(await resolveReference('env:LETHE_TEST_REFERENCE')).toBe('from the environment');
    expect(await resolveReference(`file:${folder}/secret`)).toBe('from a file');
    expect(await resolveReference('exec:printf "%s|%s\n\n" "two words" \'$HOME\'')).toBe('two words|$HOME\n');
  });

  it('say what is wrong without saying the value or the arguments', async () => {
    const script = join(folder, 'fails.sh');
    writeFileSync(script, '#!/bin/sh\necho hunter2; exit 3\n');
    chmodSync(script, 0o755);
    const cases: [string, RegExp][] = [
      ['env:LETHE_TEST_UNSET', /^env:LETHE_TEST_UNSET: the environment variable is not set/],
      ['file:/nowhere/at/all', /there is no such file/],
      [`exec:${script} --token hunter2`, /fails\.sh …: the program failed \(exit code 3\)/],
      ['exec:lethe-no-such-program', /there is no such program on PATH/],
      ['exec:true', /it is empty/],
      ['postgres://u:hunter2@h/db', /a connection URL does not belong in a job file/],
    ];
    for (const [reference, message] of cases) {
      const error = await resolveReference(reference).then(
        () => undefined,
        (e: Error) => e,
      );
      expect(error).toMatchObject({ type: 'ReferenceUnresolved', message: expect.stringMatching(message) });
      expect(JSON.stringify(error) + error?.message).not.toContain('hunter2');
    }
  });
});

describe('globs', () => {
  it('span dots and slashes, take names letter by letter, and mind case unless told', () => {
    expect(compileGlob('public.*')('public.a.b/c')).toBe(true);
    expect(compileGlob('*email*')('.contact_email')).toBe(true);
    expect(compileGlob('*email*')('contactEmail')).toBe(false);
    expect(compileGlob('*email*', { nocase: true })('contactEmail')).toBe(true);
    expect(compileGlob('public.{a,b}')('public.b')).toBe(true);
    expect(compileGlob('public.odd(name)?')('public.odd(name)?')).toBe(true);
    expect(globMistake('public.[a')).toMatch(/not closed/);
    expect(globMistake('!public.*')).toMatch(/exclude/);
    const wanted = tableFilter(['public.*'], ['*.tmp_*']);
    expect(['public.a', 'public.tmp_a', 'other.a'].map(wanted)).toEqual([true, false, false]);
  });
});

describe('small readers', () => {
  it.each([
    ['0 3 * * *', undefined],
    ['*/15 8-18 1,15 jan-mar mon-fri', undefined],
    ['@every 1h30m', undefined],
    ['0 3 * *', /5 fields/],
    ['60 3 * * *', /"minute": "60"/],
    ['0 3 * * mon-foo', /day of week/],
    ['0 9-3 * * *', /backwards/],
    ['@dayly', /no schedule/],
  ])('cron %s', (text, expected) => {
    if (expected) expect(cronMistake(text)).toMatch(expected);
    else expect(cronMistake(text)).toBeUndefined();
  });

  it('durations, references between columns, near names', () => {
    expect(['6h', '1h30m', '2d', '0s', '6', 'h'].map(durationSeconds)).toEqual([
      21_600,
      5400,
      172_800,
      undefined,
      undefined,
      undefined,
    ]);
    expect(splitReference('a.b.(x, y) -> c.d.(p,q)')).toEqual({
      from: ['a.b.x', 'a.b.y'],
      to: ['c.d.p', 'c.d.q'],
    });
    expect(splitReference('a.b.x -> c.d')).toBeUndefined();
    expect(nearest('first_nam', ['firstName', 'lastName'])).toBe('firstName');
    expect(nearest('qqqq', ['firstName', 'lastName'])).toBeUndefined();
  });
});

describe('a job folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lethe-jobs-'));
  const text = (name: string) =>
    `job: ${name}\nsource: { postgres: env:A }\ndestination: { postgres: env:B }\nkey: env:K\n`;

  it('finds a job by its name, and says which there are', async () => {
    expect(await listJobs(join(folder, 'none'))).toEqual([]);
    writeFileSync(join(folder, 'a.yaml'), text('crm-staging'));
    writeFileSync(join(folder, 'b.yml'), 'not: [a job');
    writeFileSync(join(folder, 'notes.txt'), 'x');
    expect((await listJobs(folder)).map(({ name }) => name)).toEqual(['crm-staging', undefined]);
    expect((await findJob(folder, 'crm-staging')).job.source.url).toBe('env:A');
    await expect(findJob(folder, 'crm-stagin')).rejects.toMatchObject({
      type: 'UnknownJob',
      message: expect.stringContaining('did you mean "crm-staging"?'),
    });
    writeFileSync(join(folder, 'c.yaml'), text('crm-staging'));
    await expect(findJob(folder, 'crm-staging')).rejects.toThrow(/Two files .*a\.yaml and .*c\.yaml/);
  });
});

describe('writing domains into a job file', () => {
  const domains = [
    { name: 'public.a.id', members: ['public.a.id', 'public.b.a_id'], range: 'int4, up to 9' },
  ];

  it('adds them at the end, and leaves every other byte alone', () => {
    const text = 'job: x   # named\nrules: []\n';
    expect(writeDomains(text, domains)).toBe(
      `${text}domains:\n  public.a.id: [ public.a.id, public.b.a_id ] # int4, up to 9\n`,
    );
  });

  it('writes the block anew where there is one, and keeps domains it does not know', () => {
    const text =
      'job: x   # named\ndomains:\n  mine: [ s.t.c ]\n  public.a.id: [ public.a.id ]\nrules: []  # last\n';
    const written = writeDomains(text, domains);
    expect(written).toBe(
      'job: x   # named\ndomains:\n  mine: [ s.t.c ]\n  public.a.id: [ public.a.id, public.b.a_id ] # int4, up to 9\nrules: []  # last\n',
    );
    expect(writeDomains(written, domains)).toBe(written);
  });
});
