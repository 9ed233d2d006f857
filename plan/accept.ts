import { didYouMean } from '../job/nearest.js';
import type { Findings } from './findings.js';
import type { TablePair } from './model.js';

/** How `accept` of a job file calls the partition key, which has no name of its own. */
export const PARTITION_KEY = 'partition key';

/** Constraints that the job leaves to the destination (`accept`): what the plan cannot prove is then no refusal. */
export class Acceptance {
  readonly #asked = new Map<string, Set<string>>();

  constructor(private readonly findings: Findings) {}

  /**
   * Refuses what is not proved, unless one of `names` is accepted: then rows that violate it go to quarantine.
   * `message` says what is so and why; the way out is added.
   */
  refuse(
    code: string,
    table: TablePair,
    names: readonly string[],
    message: string,
    place: { readonly column?: string; readonly wayOut: string },
  ): void {
    const asked = this.#asked.get(table.name) ?? new Set();
    this.#asked.set(table.name, asked);
    for (const name of names) asked.add(name);
    const at = { table: table.name, ...(place.column !== undefined && { column: place.column }) };
    if (names.some((name) => table.rules?.accept?.includes(name))) {
      this.findings.warn(
        `accepted-${code}`,
        `${message}; the job accepts it: rows that violate it go to quarantine`,
        at,
      );
      return;
    }
    const accept =
      names[0] === undefined
        ? ''
        : `, or accept it: \`accept: ["${names[0]}"]\` under \`tables\` → ${table.name} sends rows that violate it to quarantine`;
    this.findings.refuse(code, `${message}: ${place.wayOut}${accept}`, at);
  }

  /** Accepted names that nothing was asked about: most likely a mistake of writing. */
  reportUnused(tables: readonly TablePair[]): void {
    for (const table of tables) {
      const asked = this.#asked.get(table.name) ?? new Set<string>();
      for (const name of table.rules?.accept ?? []) {
        if (asked.has(name)) continue;
        this.findings.warn(
          'unused-accept',
          `${table.name} accepts ${name}, but nothing of that name needs it${didYouMean(name, [...asked])}`,
          { table: table.name, position: table.rules?.position },
        );
      }
    }
  }
}
