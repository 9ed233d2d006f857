import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { LetheError } from '../errors/errors.js';
import { parseToml, type TomlTable } from './toml.js';

/** Where Temporal is, from its own environment names: what a client and a worker connect with. */
export interface TemporalSettings {
  readonly namespace: string;
  /** Fits `Connection.connect` of the client and `NativeConnection.connect` of the worker. */
  readonly connection: {
    readonly address: string;
    readonly tls: ConnectionOptions['tls'];
    readonly apiKey?: string;
    readonly metadata?: Record<string, string>;
  };
}

/** Milliseconds until a cluster counts as unreachable. */
const CONNECT_TIMEOUT = 10_000;

/**
 * The cluster that the environment names, or undefined: then Lethe runs a server of its own. Read are
 *
 * - `TEMPORAL_ADDRESS` (`host:port`), `TEMPORAL_NAMESPACE` (default `default`), `TEMPORAL_API_KEY` (turns TLS on),
 * - `TEMPORAL_TLS` (`true`/`false`), `TEMPORAL_TLS_CLIENT_CERT_PATH`/`_DATA`, `TEMPORAL_TLS_CLIENT_KEY_PATH`/`_DATA`,
 *   `TEMPORAL_TLS_SERVER_CA_CERT_PATH`/`_DATA`, `TEMPORAL_TLS_SERVER_NAME`,
 * - `TEMPORAL_GRPC_META_<NAME>`: headers sent with each call,
 * - `TEMPORAL_CONFIG_FILE` and `TEMPORAL_PROFILE`: a profile of a `temporal.toml`, when one of the two is set; what the
 *   environment says wins over the file.
 *
 * @throws LetheError `JobInvalid` when settings contradict each other or a file cannot be read.
 */
export async function temporalSettings(
  env: NodeJS.ProcessEnv = process.env,
): Promise<TemporalSettings | undefined> {
  const profile = await readProfile(env);
  const tls = table(profile.tls);
  const address = env.TEMPORAL_ADDRESS || text(profile.address);
  if (!address) return undefined;
  if (!/^[^\s/]+:\d+$/.test(address)) {
    throw invalid('TEMPORAL_ADDRESS must be host:port without a scheme, e.g. temporal.example.com:7233.');
  }
  const apiKey = env.TEMPORAL_API_KEY || text(profile.api_key);
  const metadata = grpcMetadata(env, table(profile.grpc_meta));
  return {
    namespace: env.TEMPORAL_NAMESPACE || text(profile.namespace) || 'default',
    connection: {
      address,
      tls: await tlsSettings(env, tls, apiKey !== undefined),
      ...(apiKey !== undefined && { apiKey }),
      ...(metadata && { metadata }),
    },
  };
}

/**
 * Connects a client.
 * @throws LetheError `Unreachable` or `AuthenticationFailed`, naming the address.
 */
export async function connectClient(settings: TemporalSettings): Promise<Client> {
  try {
    const connection = await Connection.connect({ ...settings.connection, connectTimeout: CONNECT_TIMEOUT });
    return new Client({ connection, namespace: settings.namespace });
  } catch (error) {
    throw connectionFailure(error, settings);
  }
}

/** What a failed connection means to the person who set it up. */
export function connectionFailure(error: unknown, settings: TemporalSettings): LetheError {
  const { address } = settings.connection;
  const code =
    (error as { code?: number; cause?: { code?: number } }).code ??
    (error as { cause?: { code?: number } }).cause?.code;
  // gRPC's PERMISSION_DENIED and UNAUTHENTICATED.
  if (code === 7 || code === 16) {
    return new LetheError(
      'AuthenticationFailed',
      `Temporal at ${address} refused us: check TEMPORAL_API_KEY or the client certificate, and TEMPORAL_NAMESPACE (${settings.namespace}).`,
    );
  }
  return new LetheError(
    'Unreachable',
    `Temporal at ${address} cannot be reached within ${CONNECT_TIMEOUT / 1000} s: check TEMPORAL_ADDRESS and TEMPORAL_TLS, or unset TEMPORAL_ADDRESS to run on a server of our own.`,
  );
}

async function readProfile(env: NodeJS.ProcessEnv): Promise<TomlTable> {
  if (!env.TEMPORAL_CONFIG_FILE && !env.TEMPORAL_PROFILE) return {};
  const file = env.TEMPORAL_CONFIG_FILE || defaultConfigFile(env);
  const name = env.TEMPORAL_PROFILE || 'default';
  const content = await readNamed(file, 'TEMPORAL_CONFIG_FILE');
  const profiles = table(parseToml(content.toString('utf8'), file).profile);
  const profile = profiles[name];
  if (typeof profile === 'object') return profile;
  if (!env.TEMPORAL_PROFILE) return {};
  throw invalid(
    `${file} has no profile "${name}" (it has: ${Object.keys(profiles).join(', ') || 'none'}): set TEMPORAL_PROFILE to one of them.`,
  );
}

function defaultConfigFile(env: NodeJS.ProcessEnv): string {
  const base =
    process.platform === 'darwin'
      ? join(homedir(), 'Library', 'Application Support')
      : process.platform === 'win32'
        ? (env.AppData ?? homedir())
        : env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return join(base, 'temporalio', 'temporal.toml');
}

async function tlsSettings(
  env: NodeJS.ProcessEnv,
  profile: TomlTable,
  byApiKey: boolean,
): Promise<ConnectionOptions['tls']> {
  const switched = env.TEMPORAL_TLS?.toLowerCase();
  if (switched !== undefined && !['true', 'false', '1', '0', ''].includes(switched)) {
    throw invalid('TEMPORAL_TLS must be true or false.');
  }
  if (switched === 'false' || switched === '0' || (!switched && profile.disabled === true)) return false;
  const crt = await pem(env, profile, 'CLIENT_CERT');
  const key = await pem(env, profile, 'CLIENT_KEY');
  if (!crt !== !key)
    throw invalid(
      'A client certificate needs its key and the other way round: set both TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH.',
    );
  const ca = await pem(env, profile, 'SERVER_CA_CERT');
  const serverName = env.TEMPORAL_TLS_SERVER_NAME || text(profile.server_name);
  const wanted = Boolean(switched) || byApiKey || profile.disabled === false;
  if (!crt && !ca && !serverName) return wanted;
  return {
    ...(serverName && { serverNameOverride: serverName }),
    ...(ca && { serverRootCACertificate: ca }),
    ...(crt && key && { clientCertPair: { crt, key } }),
  };
}

/** A certificate or key: `…_DATA` or `…_PATH` of the environment, else of the profile. */
async function pem(env: NodeJS.ProcessEnv, profile: TomlTable, name: string): Promise<Buffer | undefined> {
  const variable = `TEMPORAL_TLS_${name}`;
  const data = env[`${variable}_DATA`];
  const path = env[`${variable}_PATH`];
  if (data && path) throw invalid(`${variable}_DATA and ${variable}_PATH are both set: unset one.`);
  if (data) return Buffer.from(data);
  if (path) return readNamed(path, `${variable}_PATH`);
  const field = name.toLowerCase();
  const inline = text(profile[`${field}_data`]);
  const file = text(profile[`${field}_path`]);
  if (inline) return Buffer.from(inline);
  return file ? readNamed(file, `${field}_path`) : undefined;
}

function grpcMetadata(env: NodeJS.ProcessEnv, profile: TomlTable): Record<string, string> | undefined {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(profile)) metadata[header(name)] = String(value);
  for (const [name, value] of Object.entries(env)) {
    const match = /^TEMPORAL_GRPC_META_(.+)$/.exec(name);
    if (match && value !== undefined) metadata[header(match[1] ?? '')] = value;
  }
  return Object.keys(metadata).length > 0 ? metadata : undefined;
}

function header(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

async function readNamed(path: string, setting: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw invalid(`${path} (${setting}) cannot be read: ${code}.`);
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function table(value: unknown): TomlTable {
  return typeof value === 'object' && value !== null ? (value as TomlTable) : {};
}

function invalid(message: string): LetheError {
  return new LetheError('JobInvalid', message);
}
