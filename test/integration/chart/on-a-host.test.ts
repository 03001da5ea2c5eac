// charts/virtual-cluster and the certificates before a real API server: what it accepts, counts, warns of and collects.
import { X509Certificate } from 'node:crypto';
import { BlockList } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCertificates } from '../../../src/certificates/ensure.ts';
import { createSecret, type Secret, secretFiles } from '../../../src/certificates/secrets.ts';
import { isNotFound } from '../../../src/kube/errors.ts';
import {
  CONFIG_MAPS,
  type KubeObject,
  NAMESPACES,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICES,
} from '../../../src/kube/resource.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { hostKubeconfigPath } from '../../host/cluster.ts';
import { tryRun } from '../../host/command.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import { kubectlPath } from '../../support/tools.ts';
import { find, helmOnChart, render, renderText } from './rendered-chart.ts';

const RESOURCE_QUOTAS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'resourcequotas',
  kind: 'ResourceQuota',
  namespaced: true,
};
const DAY_MS = 24 * 60 * 60_000;

const call = () => ({ signal: AbortSignal.timeout(30_000) });

let host: TestNamespace;
beforeAll(async () => {
  host = await createTestNamespace('chart');
  await host.client.patch(
    NAMESPACES,
    { name: host.namespace },
    {
      type: 'merge',
      body: {
        metadata: {
          labels: {
            'pod-security.kubernetes.io/enforce': 'restricted',
            'pod-security.kubernetes.io/warn': 'restricted',
          },
        },
      },
    },
    call(),
  );
});
afterAll(() => host.remove());

describe('the rendered chart', () => {
  test.each([
    ['as it is', {}],
    ['for forks, in memory', { isolation: { profile: 'restricted' }, persistence: { type: 'memory' } }],
    ['on a claim, unlimited', { isolation: { profile: 'none' }, persistence: { type: 'claim' } }],
    [
      'with everything said',
      {
        certificates: { secretName: 'made-before' },
        priorityClassName: 'system-cluster-critical',
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        tolerations: [{ key: 'previews', operator: 'Exists' }],
        isolation: {
          networkPolicy: {
            clients: [{ podSelector: {} }],
            extraEgress: [{ to: [{ ipBlock: { cidr: '10.1.2.3/32' } }], ports: [{ port: 443 }] }],
          },
        },
      },
    ],
  ])('is accepted %s, also where only restricted pods are', async (_, values) => {
    const manifest = await renderText(values, { name: 'pr-17', namespace: host.namespace });
    const result = await tryRun(
      await kubectlPath(),
      ['--kubeconfig', hostKubeconfigPath(), 'apply', '--dry-run=server', '-f', '-'],
      { input: manifest },
    );
    // Warnings of Pod Security, of unknown fields and of duplicates arrive on standard error.
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
  });

  test('reads the range of Service addresses from the host', async () => {
    const install = ['install', 'pr-17', '--namespace', host.namespace, '--dry-run=server'];
    const result = await helmOnChart(install, {}, { KUBECONFIG: hostKubeconfigPath() });
    const [, address = ''] = result.stdout.match(/--service-cluster-ip-range=(\S+)/) ?? [];
    const service = await host.client.get<KubeObject & { spec: { clusterIP: string } }>(
      SERVICES,
      { namespace: 'default', name: 'kubernetes' },
      call(),
    );
    const [network = '', prefixLength] = address.split('/');
    const range = new BlockList();
    range.addSubnet(network, Number(prefixLength), 'ipv4');
    expect(range.check(service.spec.clusterIP)).toBe(true);
  });

  test('counts workloads in its quota and not the control plane', async () => {
    const objects = await render(
      { isolation: { quota: { pods: '0' } } },
      { name: 'pr-17', namespace: host.namespace },
    );
    const quota = find(objects, 'ResourceQuota', 'pr-17-workloads');
    await host.client.create(RESOURCE_QUOTAS, quota, call());
    await eventually(
      async () => {
        const { status } = await host.client.get<KubeObject & { status?: { hard?: object } }>(
          RESOURCE_QUOTAS,
          { namespace: host.namespace, name: 'pr-17-workloads' },
          call(),
        );
        return status?.hard;
      },
      { what: 'the quota is enforced', timeoutMs: 20_000 },
    );
    await host.client.create(PODS, pod('control-plane', {}), call());
    await expect(
      host.client.create(PODS, pod('workload', { activeDeadlineSeconds: 2 ** 31 - 1 }), call()),
    ).rejects.toThrow(/exceeded quota: pr-17-workloads/);
    await host.client.delete(PODS, { namespace: host.namespace, name: 'control-plane' }, call());
  });
});

describe('ensureCertificates', () => {
  const cluster = 'pr-18';

  beforeAll(async () => {
    const objects = await render({}, { name: cluster, namespace: host.namespace });
    await host.client.create(CONFIG_MAPS, find(objects, 'ConfigMap', `${cluster}-anchor`), call());
    await host.client.create(SERVICES, find(objects, 'Service', cluster), call());
  });

  const ensure = (lifetimeMs = 30 * DAY_MS) =>
    ensureCertificates({
      client: host.client,
      clock: systemClock,
      cluster,
      namespace: host.namespace,
      extraNames: [],
      lifetimeMs,
      signal: AbortSignal.timeout(30_000),
    });
  const secret = (name: string) =>
    host.client.get<Secret>(SECRETS, { namespace: host.namespace, name: `${cluster}-${name}` }, call());

  test('makes the certificates and a kubeconfig, once, whoever else is at it', async () => {
    const [first, second] = await Promise.all([ensure(), ensure()]);
    expect(second).toEqual(first);
    expect(secretFiles(await secret('certificates'))).toEqual(first);
    const service = await host.client.get<KubeObject & { spec: { clusterIP: string } }>(
      SERVICES,
      { namespace: host.namespace, name: cluster },
      call(),
    );
    const certificate = new X509Certificate(first['apiserver.crt'] ?? '');
    expect(certificate.checkIP(service.spec.clusterIP)).toBe(service.spec.clusterIP);
    expect(secretFiles(await secret('kubeconfig')).config).toContain(
      `https://${cluster}.${host.namespace}.svc:443`,
    );
  });

  test('writes nothing while everything is fit for use', async () => {
    const before = await Promise.all([secret('certificates'), secret('kubeconfig')]);
    await ensure();
    const after = await Promise.all([secret('certificates'), secret('kubeconfig')]);
    expect(after.map(({ metadata }) => metadata.resourceVersion)).toEqual(
      before.map(({ metadata }) => metadata.resourceVersion),
    );
  });

  test('puts a renewed certificate of the administrator into the kubeconfig', async () => {
    const { 'admin.crt': removed, ...others } = secretFiles(await secret('certificates'));
    const damaged = createSecret(
      { cluster, namespace: host.namespace, name: `${cluster}-certificates` },
      others,
    );
    const { metadata } = await secret('certificates');
    await host.client.update(SECRETS, { ...damaged, metadata }, call());
    const files = await ensure();
    expect(files['admin.crt']).not.toBe(removed);
    expect(files['ca.crt']).toBe(others['ca.crt']);
    const embedded = Buffer.from(files['admin.crt'] ?? '').toString('base64');
    expect(secretFiles(await secret('kubeconfig')).config?.replaceAll(/\s/g, '')).toContain(embedded);
  });

  test('touches no secret of that name that belongs to somebody else', async () => {
    const foreign = createSecret(
      { cluster, namespace: host.namespace, name: `${cluster}-kubeconfig` },
      { config: 'mine' },
    );
    await host.client.delete(SECRETS, { namespace: host.namespace, name: `${cluster}-kubeconfig` }, call());
    await host.client.create(SECRETS, foreign, call());
    await expect(ensure()).rejects.toMatchObject({ code: 'ForeignSecret' });
    expect(secretFiles(await secret('kubeconfig'))).toEqual({ config: 'mine' });
  });

  test('has its secrets collected with the anchor', async () => {
    await host.client.delete(CONFIG_MAPS, { namespace: host.namespace, name: `${cluster}-anchor` }, call());
    await eventually(
      async () => {
        try {
          await secret('certificates');
          return undefined;
        } catch (error) {
          return isNotFound(error) || undefined;
        }
      },
      { what: 'the garbage collector took the certificates', timeoutMs: 60_000 },
    );
  });
});

/** Allowed by every standard of Pod Security, and scheduled nowhere. */
function pod(name: string, spec: object): KubeObject & { spec: object } {
  return {
    metadata: { name, namespace: host.namespace },
    spec: {
      ...spec,
      nodeSelector: { 'mayfly.dev/nowhere': '' },
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'pause',
          image: 'registry.k8s.io/pause:3.10',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          resources: { requests: { cpu: '1m', memory: '1Mi' }, limits: { memory: '1Mi' } },
        },
      ],
    },
  };
}
