import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes or a large part of one, longest first: started late, one of them would run alone at the end. */
const LONG = [
  'pure/transformers.property',
  'pure/transformers/huge',
  'engine/leak-scan',
  'engine/keystore',
  'engine/load-keys',
  'engine/saga-kill',
  'engine/batch',
  'durable/disturbed',
  'durable/kills',
  'durable/keys-kills',
  'durable/chaos',
  'durable/replayLoads',
  'durable/mongo',
  'durable/replayRows',
  'durable/replay',
  'durable/refusals',
  'durable/replayKills',
  'whole/adversarial',
  'whole/cli',
  'whole/temporal-ui',
  'whole/examples',
  'whole/cli-cluster',
  'whole/temporal-ui-replay',
  'whole/evidence',
  'whole/cli-mongo',
];

/** The order of a tier's files: the long ones, then as vitest has it (by what an earlier run took, else by size). */
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
