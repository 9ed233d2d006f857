import type { Client } from '@temporalio/client';
import { LetheError } from '../errors/errors.js';
import { SEARCH_ATTRIBUTES } from '../workflows/attributes.js';

const KEYWORD = 2;

/**
 * Makes sure that the namespace knows the search attributes of runs: a workflow that sets an unknown one would hang.
 *
 * @throws LetheError `PermissionDenied` with the command for an operator, where they are missing and may not be added.
 */
export async function registerSearchAttributes(client: Client, namespace: string): Promise<void> {
  const operator = client.connection.operatorService;
  const missing = await missingAttributes(client, namespace);
  if (missing.length === 0) return;
  try {
    await operator.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch {
    // Another worker may have added them meanwhile.
    const still = await missingAttributes(client, namespace);
    if (still.length === 0) return;
    throw new LetheError(
      'PermissionDenied',
      `Namespace ${namespace} lacks search attributes that this role may not add. Ask an operator to run: temporal operator search-attribute create --namespace ${namespace} ${still.map((name) => `--name ${name} --type Keyword`).join(' ')}`,
    );
  }
}

/** Search attributes of runs that the namespace does not know. */
export async function missingAttributes(client: Client, namespace: string): Promise<string[]> {
  const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
  return SEARCH_ATTRIBUTES.map(({ name }) => name).filter((name) => !(name in (customAttributes ?? {})));
}
