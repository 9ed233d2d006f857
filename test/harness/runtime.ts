import { inspect } from 'node:util';
import { IllegalStateError } from '@temporalio/common';
import { DefaultLogger, Runtime } from '@temporalio/worker';

/** What Temporal's SDK logged in this process, at every level, since the log was last forgotten; shown by nobody. */
export const sdkLog: string[] = [];
const logger = new DefaultLogger('DEBUG', ({ level, message, meta }) => {
  const error = meta?.error instanceof Error ? meta.error : undefined;
  sdkLog.push(`${level} ${message} ${inspect({ ...meta, cause: error?.cause }, { depth: 6 })}`);
});

/**
 * Before anything of Temporal's runs in this process, which has one runtime for all test files that run in it. The SDK
 * ends it with its last connection; then there is none again.
 */
export function captureSdkLog(): void {
  try {
    Runtime.install({ logger });
  } catch (error) {
    if (!(error instanceof IllegalStateError)) throw error;
    // There is one, and it was installed here.
  }
}

/** Where nothing runs that logged so far: what earlier test files did is no longer looked at. */
export function forgetSdkLog(): void {
  sdkLog.length = 0;
}
