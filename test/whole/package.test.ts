import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/* The package as npm would install it: unpacked beside its dependencies, and nothing else of this checkout. */

const user = mkdtempSync(join(tmpdir(), 'lethe-test-package-'));
const modules = join(user, 'node_modules');
let files: string[] = [];

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { cwd: user, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

beforeAll(() => {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', user];
  const packed = execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [about] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
  files = about.files.map(({ path }) => path);
  mkdirSync(join(modules, 'lethe'), { recursive: true });
  run('tar', '-xzf', about.filename, '-C', join(modules, 'lethe'), '--strip-components=1');
  for (const name of readdirSync('node_modules').filter((entry) => !entry.startsWith('.'))) {
    symlinkSync(resolve('node_modules', name), join(modules, name));
  }
});
afterAll(() => rmSync(user, { recursive: true }));

test('holds what is needed at run time and no more', () => {
  expect(files).toContain('dist/workflow-bundle.js');
  expect(files).toContain('dist/postgres/ledger/migrations/001-initial.sql');
  expect(files).toContain('dist/job/job.schema.json');
  expect(files).toContain('LICENSE');
  const foreign = files.filter((path) =>
    /^dist\/(test|bench|examples|activities|workflows|cli\/commands)\/|\.test\.|\.map$|^dist\/\./.test(path),
  );
  expect(foreign).toEqual([]);
});

test('has a command that runs', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(run(join(modules, 'lethe/dist/cli/main.js'), '--version').trim()).toBe(version);
});

test('exports the job file, the transformers and the tokens, with types', () => {
  const program = `
    import { defineJob } from 'lethe';
    import { transformers } from 'lethe/anonymize';
    import { Keyring, Revealer } from 'lethe/retention';
    import tokens from 'lethe/retention/vectors.json' with { type: 'json' };
    import schema from 'lethe/job.schema.json' with { type: 'json' };
    console.log(typeof defineJob, transformers.length > 20, typeof schema);
    console.log(new Revealer(new Keyring([])).open('').outcome, tokens.vectors.length > 200);`;
  expect(run('node', '--no-warnings', '--input-type=module', '--eval', program).trim()).toBe(
    'function true object\nnotToken true',
  );
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, { types?: string }>;
  };
  for (const { types } of Object.values(exports)) if (types) expect(files).toContain(types.slice(2));
});
