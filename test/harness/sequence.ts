import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes or a large part of one, longest first: started late, one of them would run alone at the end. */
const LONG = [
  'engine/keystore-proofs',
  'engine/keystore',
  'engine/load-modes',
  'engine/leak-scan',
  'engine/load-keys',
  'engine/load-pool',
  'engine/saga-kill',
  'engine/mongo',
  'engine/embedded-postgres',
  'engine/settle',
  'engine/batch',
  'pure/transformers.property',
  'pure/transformers/huge',
  'durable/disturbed',
  'durable/keys-kills',
  'whole/adversarial',
  'durable/kills',
  'whole/cli',
  'whole/examples',
  'durable/replayLoads',
  'whole/temporal-ui',
  'durable/replayRows',
  'durable/chaos',
  'whole/evidence',
  'whole/cli-mongo',
  'whole/temporal-ui-replay',
  'whole/cli-cluster',
  'durable/replay',
  'durable/refusals',
  'durable/mongo',
  'whole/examples-modes',
  'whole/retain-cli',
  'durable/retain',
  'durable/replayKills',
  'durable/mongoReplay',
  'whole/cli-replay',
];

/** The order of a project's files: the long ones, then as vitest has it (by what an earlier run took, else by size). */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => groupOf(a) - groupOf(b) || rankOf(a) - rankOf(b));
  }
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder;
}

function rankOf({ moduleId }: TestSpecification): number {
  const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return at < 0 ? LONG.length : at;
}
