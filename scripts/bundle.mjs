/*
 * Bundles what processes and threads start with: a program in a few files loads faster than one in four hundred. What it
 * depends on stays in node_modules, but for zod's hundred files; what is imported lazily comes in files of its own.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Where processes and threads begin. */
const ENTRIES = ['cli/main', 'cli/filter/thread', 'workers/thread'];
/** Stands for dist/ until it is known in which file a module has come. */
const HERE = '@@dist@@/';
const ZOD = '/node_modules/zod/';

/** A module still finds what lies beside it: `import.meta.url` stays what it is without the bundle. */
const places = {
  name: 'places',
  transform: {
    filter: { id: /\.ts$/, code: 'import.meta.url' },
    handler(code, id) {
      const place = relative(root, id).replace(/\.ts$/, '.js');
      return {
        code: code.replaceAll('import.meta.url', `new URL('${HERE}${place}', import.meta.url).href`),
        map: null,
      };
    },
  },
  renderChunk(code, { fileName }) {
    return { code: code.replaceAll(HERE, '../'.repeat(fileName.split('/').length - 1)), map: null };
  },
};

/** Replaces these entries in dist/, where tsc has put them one by one; returns the files that it wrote. */
export async function bundleProcesses(dist) {
  const input = Object.fromEntries(ENTRIES.map((entry) => [entry, join(root, `${entry}.ts`)]));
  const bundle = await rolldown({
    input,
    platform: 'node',
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && id !== 'zod',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    plugins: [places],
  });
  const { output } = await bundle.write({
    dir: dist,
    format: 'esm',
    sourcemap: true,
    banner: ({ moduleIds }) =>
      moduleIds.some((id) => id.includes(ZOD))
        ? `/*! With parts of zod.\n\n${readFileSync(join(root, ZOD, 'LICENSE'), 'utf8')}*/`
        : '',
    entryFileNames: '[name].js',
    // Without a hash: a process that runs while they are built again still finds what it loads later.
    chunkFileNames: 'chunks/[name].js',
  });
  await bundle.close();
  return output.map(({ fileName }) => fileName);
}
