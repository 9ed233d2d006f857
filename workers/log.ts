import { DefaultLogger, type LogEntry, type Logger } from '@temporalio/worker';

export type LogLevel = 'ERROR' | 'WARN' | 'INFO' | 'DEBUG';
export type LogFormat = 'text' | 'json';

/** What the SDK and we log, on stderr: for people, or a JSON object a line. */
export function createLogger(level: LogLevel, format: LogFormat): Logger {
  if (format === 'text') return new DefaultLogger(level);
  return new DefaultLogger(level, (entry) => process.stderr.write(jsonLine(entry)));
}

/**
 * An entry as one line of JSON: time, level, message and what is known of the task. Of errors, their type and message, which
 * are ours and hold no value; of everything else, texts and numbers only.
 */
export function jsonLine({ level, timestampNanos, message, meta = {} }: LogEntry): string {
  const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
  const facts = Object.entries(meta).flatMap(([name, value]): [string, unknown][] => {
    if (value instanceof Error) return [[name, errorFacts(value)]];
    return ['string', 'number', 'boolean'].includes(typeof value) ? [[name, value]] : [];
  });
  return `${JSON.stringify({ time, level, message, ...Object.fromEntries(facts) })}\n`;
}

function errorFacts(error: Error): { type: string; message: string } {
  const { type } = error as { type?: unknown };
  return { type: typeof type === 'string' ? type : error.name, message: error.message };
}
