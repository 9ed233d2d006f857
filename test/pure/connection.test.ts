import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporalSettings } from '../../workers/connection.js';
import { parseToml } from '../../workers/toml.js';

describe("Temporal's settings", () => {
  const folder = mkdtempSync(join(tmpdir(), 'lethe-temporal-settings-'));
  const file = join(folder, 'temporal.toml');
  const pem = join(folder, 'client.pem');
  writeFileSync(pem, 'PEM');
  writeFileSync(
    file,
    `# profiles
[profile.default]
address = "localhost:7233"
namespace = 'default'

[profile.prod]
address = "prod.example:7233" # the cluster
namespace = "crm.acct"
api_key = "from-file"
[profile.prod.tls]
server_name = "override.example"
client_cert_data = """
-----BEGIN-----
line"""
client_key_path = "${pem}"
[profile.prod.grpc_meta]
"x-team" = "data"
`,
  );

  it('are none without an address: Lethe then runs a server of its own', async () => {
    expect(await temporalSettings({})).toBeUndefined();
    expect(await temporalSettings({ TEMPORAL_NAMESPACE: 'x', TEMPORAL_API_KEY: 'y' })).toBeUndefined();
  });

  it('come from the environment; an API key turns TLS on, TEMPORAL_TLS=false off again', async () => {
    expect(await temporalSettings({ TEMPORAL_ADDRESS: 'h:7233' })).toEqual({
      namespace: 'default',
      connection: { address: 'h:7233', tls: false },
    });
    const cloud = { TEMPORAL_ADDRESS: 'h:7233', TEMPORAL_API_KEY: 'k', TEMPORAL_GRPC_META_X_TEAM: 'data' };
    expect(await temporalSettings(cloud)).toMatchObject({
      connection: { tls: true, apiKey: 'k', metadata: { 'x-team': 'data' } },
    });
    expect((await temporalSettings({ ...cloud, TEMPORAL_TLS: 'false' }))?.connection.tls).toBe(false);
    const mutual = {
      TEMPORAL_ADDRESS: 'h:7233',
      TEMPORAL_TLS_CLIENT_CERT_PATH: pem,
      TEMPORAL_TLS_CLIENT_KEY_DATA: 'KEY',
    };
    expect(await temporalSettings(mutual)).toMatchObject({
      connection: { tls: { clientCertPair: { crt: Buffer.from('PEM'), key: Buffer.from('KEY') } } },
    });
  });

  it('come from a profile of a file, under what the environment says', async () => {
    expect(
      await temporalSettings({
        TEMPORAL_CONFIG_FILE: file,
        TEMPORAL_PROFILE: 'prod',
        TEMPORAL_NAMESPACE: 'other',
      }),
    ).toEqual({
      namespace: 'other',
      connection: {
        address: 'prod.example:7233',
        apiKey: 'from-file',
        metadata: { 'x-team': 'data' },
        tls: {
          serverNameOverride: 'override.example',
          clientCertPair: { crt: Buffer.from('-----BEGIN-----\nline'), key: Buffer.from('PEM') },
        },
      },
    });
    expect(await temporalSettings({ TEMPORAL_CONFIG_FILE: file })).toMatchObject({
      connection: { address: 'localhost:7233' },
    });
  });

  it.each([
    [{ TEMPORAL_ADDRESS: 'https://h:7233' }, /host:port without a scheme/],
    [{ TEMPORAL_ADDRESS: 'h:1', TEMPORAL_TLS: 'maybe' }, /true or false/],
    [{ TEMPORAL_ADDRESS: 'h:1', TEMPORAL_TLS_CLIENT_CERT_DATA: 'x' }, /needs its key/],
    [
      { TEMPORAL_ADDRESS: 'h:1', TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/none' },
      /\/none \(TEMPORAL_TLS_SERVER_CA_CERT_PATH\) cannot be read/,
    ],
    [
      { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'dev' },
      /has no profile "dev" \(it has: default, prod\)/,
    ],
  ])('are refused with the fix: %o', async (env, message) => {
    await expect(temporalSettings(env)).rejects.toThrow(message);
  });

  it('refuses TOML that it does not know, by line', () => {
    expect(() => parseToml('a = "b"\nc = [1, 2]\n', 'x.toml')).toThrow(/^x\.toml:2 cannot be read/);
  });
});
