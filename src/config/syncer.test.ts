import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvalidInputError } from '../lib/errors.ts';
import { loadCertificatesConfig, loadSyncerConfig } from './syncer.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'certificates-'));
  const names = [
    'ca.crt',
    ...['syncer', 'kubelet', 'webhook'].flatMap((name) => [`${name}.crt`, `${name}.key`]),
  ];
  await Promise.all(names.map((name) => writeFile(join(folder, name), `of ${name}`)));
});
afterEach(() => rm(folder, { recursive: true }));

const environment = () => ({
  MAYFLY_CLUSTER: 'vc',
  MAYFLY_NAMESPACE: 'host-ns',
  MAYFLY_POD_IPS: '10.0.0.1,fd00::1',
  MAYFLY_CERTIFICATES_FOLDER: folder,
});

describe('the configuration of a syncer', () => {
  it('reads its certificates and has safe defaults', async () => {
    expect(await loadSyncerConfig(environment())).toMatchObject({
      cluster: 'vc',
      hostNamespace: 'host-ns',
      profile: 'baseline',
      network: { isolated: true, deniedCidrs: [] },
      sync: {
        ingresses: { annotations: [], hosts: [] },
        httpRoutes: { gateways: [], hosts: [] },
        ingressClasses: ['*'],
        runtimeClasses: [],
        priorityClasses: [],
        serviceAccounts: { enabled: false, annotations: [] },
      },
      maxDepth: 2,
      podIps: ['10.0.0.1', 'fd00::1'],
      webhookHosts: [],
      certificates: { ca: 'of ca.crt', kubelet: { cert: 'of kubelet.crt', key: 'of kubelet.key' } },
    });
  });

  it.each([
    ['MAYFLY_CLUSTER', 'Not-A-Label'],
    ['MAYFLY_POD_IPS', 'host.example.com'],
    ['MAYFLY_POD_IPS', ''],
    ['MAYFLY_ISOLATION_PROFILE', 'some'],
    ['MAYFLY_SYNC', 'all'],
    ['MAYFLY_SYNC', '{"everything":true}'],
    ['MAYFLY_DENIED_CIDRS', '10.0.0.0/8,192.168.0.0'],
    ['MAYFLY_CERTIFICATES_FOLDER', '/nowhere'],
  ])('refuses %s=%s by name', async (variable, value) => {
    const loaded = loadSyncerConfig({ ...environment(), [variable]: value });
    await expect(loaded).rejects.toThrow(InvalidInputError);
    await expect(loaded).rejects.toThrow(variable);
  });
});

describe('the configuration of the certificates step', () => {
  it('counts life in days and lists names', () => {
    const given = {
      MAYFLY_CERTIFICATES_LIFETIME_DAYS: '2',
      MAYFLY_CERTIFICATES_EXTRA_NAMES: 'a.example.com,192.0.2.1',
    };
    expect(loadCertificatesConfig({ ...environment(), ...given })).toMatchObject({
      lifetimeMs: 172_800_000,
      extraNames: ['a.example.com', '192.0.2.1'],
    });
  });
});
