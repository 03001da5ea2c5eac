// Usage of pods: from the host's metrics API to `kubectl top`, the kubelet's pages and autoscalers inside. The test host measures
// nothing, so samples are written by hand, as objects of a custom resource that the host serves under the same name.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CUSTOM_RESOURCE_DEFINITIONS, type KubeObject, PODS } from '../../../src/kube/resource.ts';
import type { Pod } from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { AUTOSCALERS, POD_METRICS } from '../../support/resource-types.ts';
import {
  BUSYBOX,
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

interface Autoscaler extends KubeObject {
  spec: object;
  status?: { desiredReplicas?: number };
}

const DEFINITION = {
  metadata: {
    name: 'pods.metrics.k8s.io',
    annotations: { 'api-approved.kubernetes.io': 'unapproved, a stand-in for tests' },
  },
  spec: {
    group: 'metrics.k8s.io',
    scope: 'Namespaced',
    names: { plural: 'pods', kind: 'PodMetrics', listKind: 'PodMetricsList' },
    versions: [
      {
        name: 'v1beta1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

let host: ClusterAccess;
let work: VirtualWorkloads;

beforeAll(async () => {
  host = await clusterAccess();
  await host.client.create(CUSTOM_RESOURCE_DEFINITIONS, DEFINITION, call());
  await eventually(async () => host.client.list(POD_METRICS, { namespace: 'default', ...call() }), {
    what: 'the host serves metrics',
    timeoutMs: 30_000,
  });
  work = await createVirtualWorkloads('usage');
  await work.create(podRunning('busy', 'true', { container: { resources: { requests: { cpu: '100m' } } } }));
  await work.running('busy');
  await sample('busy', { cpu: '300m', memory: '32Mi' });
  const neighbour = {
    metadata: { namespace: work.hostNamespace, name: 'neighbour' },
    ...measured({ cpu: '9' }),
  };
  await host.client.create(POD_METRICS, neighbour, call());
});
afterAll(async () => {
  await work?.remove();
  await host?.client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name: DEFINITION.metadata.name }, call());
  await host?.client.close();
});

const measured = (usage: Record<string, string>, container = 'app') => ({
  timestamp: new Date().toISOString(),
  window: '15s',
  containers: [{ name: container, usage }],
});

/** As the host would measure it: under the labels of the host pod. */
async function sample(name: string, usage: Record<string, string>): Promise<void> {
  const { metadata, spec } = (await work.onHost<Pod>(PODS, name)) ?? { metadata: {} };
  const { name: hostName, namespace, labels } = metadata;
  await host.client.create<KubeObject>(
    POD_METRICS,
    { metadata: { name: hostName, namespace, labels }, ...measured(usage, spec?.containers[0]?.name) },
    call(),
  );
}

describe('usage', () => {
  it('is what kubectl top shows of pods and nodes, of this cluster only', async () => {
    const top = await eventually(async () => work.cluster.inside.kubectl(['top', 'pod', '--no-headers']), {
      what: 'the metrics API is served inside',
      timeoutMs: 60_000,
    });
    expect(top.trim()).toMatch(/^busy\s+300m\s+32Mi$/);
    const containers = await work.cluster.inside.kubectl(['top', 'pod', '--containers', '-l', 'app=busy']);
    expect(containers).toMatch(/busy\s+app\s+300m\s+32Mi/);
    const { spec } = await work.running('busy');
    expect(await work.cluster.inside.kubectl(['top', 'node'])).toMatch(
      new RegExp(`${spec?.nodeName}\\s+300m\\s+\\d+%\\s+32Mi`),
    );
  });

  it('is on the pages of the node’s kubelet', async () => {
    const { spec, metadata } = await work.running('busy');
    const page = (path: string) =>
      work.cluster.inside.kubectl(['get', '--raw', `/api/v1/nodes/${spec?.nodeName}/proxy${path}`]);
    expect(JSON.parse(await page('/stats/summary'))).toMatchObject({
      node: { nodeName: spec?.nodeName },
      pods: [
        {
          podRef: { name: 'busy', namespace: 'default', uid: metadata.uid },
          cpu: { usageNanoCores: 300_000_000 },
        },
      ],
    });
    expect(await page('/metrics/resource')).toContain(
      'container_memory_working_set_bytes{container="app",namespace="default",pod="busy"} 33554432',
    );
    await expect(page('/metrics/cadvisor')).rejects.toThrow(/only .* are served/);
  });

  it('is what an autoscaler goes by', async () => {
    const { kubectl, client } = work.cluster.inside;
    await kubectl(['create', 'deployment', 'scaled', `--image=${BUSYBOX}`, '--', 'sleep', '3600']);
    await kubectl(['rollout', 'status', 'deployment', 'scaled', '--timeout=60s']);
    const { items } = await client.list<Pod>(PODS, {
      namespace: 'default',
      labelSelector: 'app=scaled',
      ...call(),
    });
    for (const { metadata } of items) await sample(metadata.name ?? '', { cpu: '1m', memory: '2Mi' });
    const resource = { name: 'memory', target: { type: 'AverageValue', averageValue: '1Mi' } };
    const autoscaler: Autoscaler = {
      metadata: named('scaled'),
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'scaled' },
        maxReplicas: 2,
        metrics: [{ type: 'Resource', resource }],
      },
    };
    await client.create(AUTOSCALERS, autoscaler, call());
    await eventually(
      async () => {
        const { status } = await client.get<Autoscaler>(AUTOSCALERS, named('scaled'), call());
        if (status?.desiredReplicas === 2) return true;
        throw new Error(JSON.stringify(status));
      },
      { what: 'the autoscaler wants two', timeoutMs: 60_000 },
    );
  });
});
