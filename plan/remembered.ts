import { versions } from '../anonymize/registry.js';
import { tableText } from './catalog.js';
import { canonicalJson } from './json.js';
import type { Finding, Plan } from './plan.js';
import { shortType } from './types.js';

/** What the destination remembers of a domain, so that no schema change or upgrade changes its output unseen. */
export interface RememberedDomain {
  readonly members: readonly string[];
  /** The transformer with its options, canonical JSON. */
  readonly transformer: string;
  /** Versions of the transformer and of all it nests, hashes of its value lists. */
  readonly versions: Readonly<Record<string, string>>;
  /** Type and largest integer: what the output is made to fit. */
  readonly range: string;
}

/** By the domain's name. */
export type RememberedDomains = Readonly<Record<string, RememberedDomain>>;

type Planned = Pick<Plan, 'domains' | 'tables' | 'consistency' | 'mode'>;

/** What to remember after this run: its domains, and those of earlier runs that it does not touch. */
export function rememberDomains(
  plan: Pick<Plan, 'domains'>,
  before: RememberedDomains = {},
): RememberedDomains {
  const members = new Set(plan.domains.flatMap((domain) => domain.members));
  const untouched = Object.entries(before).filter(
    ([, domain]) => !domain.members.some((member) => members.has(member)),
  );
  const changed = plan.domains.filter(
    ({ transformer }) => transformer.name !== 'keep' && transformer.name !== 'null',
  );
  return Object.fromEntries([
    ...untouched,
    ...changed.map((domain) => [domain.name, remember(domain)] as const),
  ]);
}

/**
 * Compares the plan's domains with those of earlier runs of the job: under `consistency: job` the output of a domain
 * may change only when somebody accepts it or edits its transformer, and never under `upsert`, whose destination holds
 * the old output.
 *
 * @param accepted Somebody accepted the changes; they are warnings then. Default false.
 */
export function compareDomains(remembered: RememberedDomains, plan: Planned, accepted = false): Finding[] {
  if (plan.consistency === 'run') return [];
  const domains = new Map(plan.domains.map((domain) => [domain.name, domain]));
  const current = new Map<string, string>(
    plan.tables.flatMap((table) =>
      table.columns.map((column) => [`${tableText(table.source)}.${column.name}`, column.domain] as const),
    ),
  );
  return Object.entries(remembered).flatMap(([name, before]) => {
    const seen = new Set<string>();
    return before.members.flatMap((member): Finding[] => {
      const now = current.get(member);
      if (now === undefined || seen.has(now)) return [];
      seen.add(now);
      const changes = differences(name, before, now, domains.get(now));
      if (changes.length === 0) return [];
      const deliberate = changes.length === 1 && changes[0] === EDITED;
      return [
        {
          level: plan.mode !== 'upsert' && (accepted || deliberate) ? 'warning' : 'refusal',
          code: 'domain-changed',
          table: member.slice(0, member.lastIndexOf('.')),
          column: member.slice(member.lastIndexOf('.') + 1),
          message: `domain ${now} (${member}) would give other values than in earlier runs: ${changes.join(', ')}. ${wayOut(name, now, member, plan.mode)}`,
        },
      ];
    });
  });
}

const EDITED = 'its transformer or its options changed';

function differences(
  oldName: string,
  before: RememberedDomain,
  newName: string,
  domain: Plan['domains'][number] | undefined,
): string[] {
  const renamed = oldName === newName ? [] : [`its name was ${oldName}`];
  const now = domain && remember(domain);
  if (now?.transformer !== before.transformer) return [...renamed, EDITED];
  const parts = [...new Set([...Object.keys(before.versions), ...Object.keys(now.versions)])];
  return [
    ...renamed,
    ...(before.range === now.range ? [] : [`its range was ${before.range} and is ${now.range}`]),
    ...parts
      .filter((part) => before.versions[part] !== now.versions[part])
      .map((part) => `the version of ${part} changed`),
  ];
}

function remember(domain: Plan['domains'][number]): RememberedDomain {
  const { maxInteger } = domain.proof;
  return {
    members: domain.members,
    transformer: canonicalJson(domain.transformer),
    versions: versions([domain.transformer]),
    range: `${shortType(domain.type)}${maxInteger === undefined ? '' : ` up to ${maxInteger}`}`,
  };
}

function wayOut(name: string, current: string, member: string, mode: Plan['mode']): string {
  const keep =
    name === current
      ? 'Undo the change in the job file or the schema'
      : `Keep the name: \`domains: { ${JSON.stringify(name)}: [${member}] }\``;
  return mode === 'upsert'
    ? `${keep}, or load the tables anew by \`mode: replace\``
    : `${keep}, or accept the change by --accept-domains`;
}
