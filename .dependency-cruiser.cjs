/* Which folder may import which: each only what stands below it. Checked by `npm run lint`. */

const LAYERS = [
  'cli',
  'workers',
  'workflows',
  'activities',
  'report',
  'quality',
  'embedded',
  'mongo',
  'postgres',
  'ledger',
  'plan',
  'job',
  'anonymize',
  'retention',
  'json',
  'crypto',
  'errors',
];

const folders = (names) => `^(${names.join('|')})/`;

const downward = LAYERS.slice(1).map((layer, above) => ({
  name: `${layer}-imports-downward`,
  comment: `${layer}/ stands below ${LAYERS.slice(0, above + 1).join(', ')} and may not import them.`,
  severity: 'error',
  from: { path: folders([layer]) },
  to: { path: folders(LAYERS.slice(0, above + 1)) },
}));

module.exports = {
  forbidden: [
    ...downward,
    {
      name: 'product-imports-no-tests',
      comment: 'test/, bench/ and examples/ may import everything; nothing imports them.',
      severity: 'error',
      from: { path: folders(LAYERS) },
      to: { path: folders(['test', 'bench', 'examples']) },
    },
    {
      name: 'no-cycles',
      comment: 'Cycles make load order matter. (A type alone is not loaded.)',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'workflows-see-activities-as-types',
      comment: 'A workflow that loads activity code would load drivers into the sandbox: use `import type`.',
      severity: 'error',
      from: { path: folders(['workflows']) },
      to: { path: folders(['activities']), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'workflows-use-no-node',
      comment:
        'Workflow code must be deterministic. (What it loads from elsewhere is checked by the bundler.)',
      severity: 'error',
      from: { path: folders(['workflows']) },
      to: { dependencyTypes: ['core'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'workflows-load-little',
      comment:
        'What a workflow loads ends in its bundle: only Temporal, errors and pure parts without packages.',
      severity: 'error',
      from: { path: folders(['workflows']) },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-no-pkg', 'npm-unknown'],
        pathNot: 'node_modules/@temporalio/(workflow|common)/',
      },
    },
    {
      name: 'pure-folders-speak-to-no-database',
      comment:
        'anonymize, plan, ledger, json, crypto and retention/token are usable as libraries: no drivers, no Temporal.',
      severity: 'error',
      from: { path: '^(anonymize|plan|ledger|json|crypto|errors|retention/token)/' },
      to: { path: 'node_modules/(pg|pg-copy-streams|mongodb|@temporalio/[^/]+|piscina)/' },
    },
    {
      name: 'one-engine-behind-its-interfaces',
      comment: 'Only postgres/ and embedded/ speak PostgreSQL.',
      severity: 'error',
      from: { path: folders(LAYERS), pathNot: '^(postgres|embedded)/' },
      to: { path: 'node_modules/(pg|pg-copy-streams)/' },
    },
    {
      name: 'product-needs-no-dev-dependency',
      comment: 'An installed package has no devDependencies.',
      severity: 'error',
      from: { path: folders(LAYERS) },
      to: { dependencyTypes: ['npm-dev'] },
    },
    {
      name: 'not-resolvable',
      comment: 'An import that leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-orphans',
      comment: 'A file that nobody imports is dead, unless a process, pool or package starts there.',
      severity: 'error',
      from: { orphan: true, path: folders(LAYERS) },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|reports|scripts|docs|deploy)/' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
