import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../lib/errors.ts';
import { loadCertificatesConfig, loadSyncerConfig } from './syncer.ts';

const environment = { MAYFLY_CLUSTER: 'vc', MAYFLY_NAMESPACE: 'host-ns', MAYFLY_POD_IPS: '10.0.0.1,fd00::1' };

describe('the configuration of a syncer', () => {
  it('has safe defaults', () => {
    expect(loadSyncerConfig(environment)).toMatchObject({
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
        configMaps: 'referenced',
        secrets: 'referenced',
        fromHost: { configMaps: [], secrets: [] },
        customResources: [],
      },
      dns: { hosts: {}, stubDomains: {}, hostServices: [] },
      maxDepth: 2,
      maxStreams: 64,
      podIps: ['10.0.0.1', 'fd00::1'],
      webhookHosts: [],
      defaultLimits: {},
      certificatesFolder: '/etc/mayfly/certificates',
    });
  });

  it('reads which nodes are to be shown', () => {
    const nodes = { mode: 'selector', selector: { 'a.example/team': 'x', zone: '' } };
    const given = { MAYFLY_SYNC: JSON.stringify({ nodes }) };
    expect(loadSyncerConfig(environment).sync.nodes).toEqual({ mode: 'used', selector: {} });
    expect(loadSyncerConfig({ ...environment, ...given }).sync.nodes).toEqual(nodes);
  });

  it.each([
    ['MAYFLY_CLUSTER', 'Not-A-Label'],
    ['MAYFLY_POD_IPS', 'host.example.com'],
    ['MAYFLY_POD_IPS', ''],
    ['MAYFLY_ISOLATION_PROFILE', 'some'],
    ['MAYFLY_SYNC', 'all'],
    ['MAYFLY_SYNC', '{"everything":true}'],
    ['MAYFLY_DNS', '{"hosts":{"db":["here"]}}'],
    ['MAYFLY_DENIED_CIDRS', '10.0.0.0/8,192.168.0.0'],
    ['MAYFLY_SYNC', '{"nodes":{"mode":"none"}}'],
    ['MAYFLY_MAX_DEPTH', '0'],
    ['MAYFLY_MAX_STREAMS', '0'],
    ['MAYFLY_CERTIFICATES_LIFETIME', 'a year'],
  ])('refuses %s=%s by name', (variable, value) => {
    const load = () => loadSyncerConfig({ ...environment, [variable]: value });
    expect(load).toThrow(InvalidInputError);
    expect(load).toThrow(variable);
  });
});

describe('the configuration of the certificates step', () => {
  it('reads a life with its unit, and lists names', () => {
    const given = {
      MAYFLY_CERTIFICATES_LIFETIME: '2d',
      MAYFLY_CERTIFICATES_EXTRA_NAMES: 'a.example.com,192.0.2.1',
    };
    expect(loadCertificatesConfig({ ...environment, ...given })).toMatchObject({
      lifetimeMs: 172_800_000,
      extraNames: ['a.example.com', '192.0.2.1'],
    });
  });
});
