// Where pods run, on a host of two nodes of its own: what a pod asks of other pods holds among those of its virtual cluster, and
// what it asks of nodes among those that are shown.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type KubeObject, NAMESPACES, NODES, PODS } from '../../src/kube/resource.ts';
import type { Node, Pod, PodSpec } from '../../src/syncer/objects.ts';
import { eventually } from '../support/eventually.ts';
import { ownHost } from '../support/own-host.ts';
import { DEPLOYMENTS } from '../support/resource-types.ts';
import { call, type SyncedCluster, sleeper, startSyncedCluster, within } from '../support/synced-cluster.ts';

const HOST = ownHost('placement', 2);
const [NODE_1 = '', NODE_2 = ''] = HOST.nodes.map(({ name }) => name);
const HOSTNAME = 'kubernetes.io/hostname';
const TEAM = 'team';

let cluster: SyncedCluster;
/** Of another virtual cluster on the same host. */
let neighbour: SyncedCluster;

beforeAll(async () => {
  await HOST.up();
  await HOST.load();
  const values = { 'sync.nodes.mode': 'all' };
  [cluster, neighbour] = await Promise.all([
    startSyncedCluster('placement', values, HOST.kubeconfig),
    startSyncedCluster('neighbour', values, HOST.kubeconfig),
  ]);
  await inside().create(NAMESPACES, { metadata: { name: TEAM, labels: { kind: 'team' } } }, call());
  await cluster.inside.kubectl(['--namespace', TEAM, 'wait', '--for=create', 'serviceaccount/default']);
});
afterAll(async () => {
  // What is in the host goes with it.
  const clusters = [cluster, neighbour].filter(Boolean);
  await Promise.all(clusters.flatMap((one) => [one.inside.client.close(), one.host.client.close()]));
  await HOST.down();
});

const inside = () => cluster.inside.client;
const web = (namespace: string, name: string, spec: Partial<PodSpec> = {}): Pod => {
  const pod = sleeper({ namespace, name }, spec);
  return { ...pod, metadata: { ...pod.metadata, labels: { app: 'web' } } };
};
const create = (pod: Pod, where = cluster) => where.inside.client.create<Pod>(PODS, pod, call());
const on = (name: string): Partial<PodSpec> => ({ nodeSelector: { [HOSTNAME]: name } });
const away = (namespaces?: object): Partial<PodSpec> => ({
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: HOSTNAME, labelSelector: { matchLabels: { app: 'web' } }, ...namespaces },
      ],
    },
  },
});

/** The node that a pod runs on, inside. */
function nodeOf({ metadata: { namespace = '', name = '' } }: Pod, where = cluster): Promise<string> {
  return eventually(
    async () => {
      const { spec, status } = await where.inside.client.get<Pod>(PODS, { namespace, name }, call());
      return status?.phase === 'Running' ? spec?.nodeName : undefined;
    },
    within(`${name} runs`),
  );
}

/** Why a pod has no node, in the words of the host's scheduler. */
function whyUnscheduled({ metadata: { namespace = '', name = '' } }: Pod): Promise<string> {
  return eventually(
    async () => {
      const { status } = await inside().get<Pod>(PODS, { namespace, name }, call());
      const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
      return scheduled?.status === 'False' ? scheduled.message : undefined;
    },
    within(`${name} is told that it has no node`),
  );
}

async function removeAll(...pods: Pod[]): Promise<void> {
  for (const { metadata } of pods) {
    const { namespace = '', name = '' } = metadata;
    await cluster.inside.kubectl([
      '--namespace',
      namespace,
      'delete',
      'pod',
      name,
      '--grace-period=1',
      '--wait',
    ]);
  }
}

describe('a pod that keeps away from others', () => {
  test('looks at those of its own namespace and cluster', async () => {
    const elsewhere = web(TEAM, 'elsewhere', on(NODE_2));
    const first = web('default', 'first', on(NODE_1));
    const stranger = web('default', 'stranger', on(NODE_2));
    await Promise.all([create(elsewhere), create(first), create(stranger, neighbour)]);
    await Promise.all([nodeOf(elsewhere), nodeOf(first), nodeOf(stranger, neighbour)]);
    const second = web('default', 'second', away());
    await create(second);
    expect(await nodeOf(second)).toBe(NODE_2);
    const third = web('default', 'third', away());
    await create(third);
    expect(await whyUnscheduled(third)).toMatch(/anti-affinity/);
    await removeAll(elsewhere, first, second, third);
  });

  test('looks into the namespaces that it names, by name or by label', async () => {
    const there = web(TEAM, 'there', on(NODE_1));
    await create(there);
    await nodeOf(there);
    const byName = web('default', 'by-name', away({ namespaces: [TEAM] }));
    const byLabel = web(
      'default',
      'by-label',
      away({ namespaceSelector: { matchLabels: { kind: 'team' } } }),
    );
    await Promise.all([create(byName), create(byLabel)]);
    expect(await Promise.all([nodeOf(byName), nodeOf(byLabel)])).toEqual([NODE_2, NODE_2]);
    await removeAll(there, byName, byLabel);
  });
});

test('a pod that wants to be near others is put beside them', async () => {
  const first = web('default', 'first', on(NODE_2));
  await create(first);
  await nodeOf(first);
  const term = { topologyKey: HOSTNAME, labelSelector: { matchLabels: { app: 'web' } } };
  const second = web('default', 'second', {
    affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
  });
  await create(second);
  expect(await nodeOf(second)).toBe(NODE_2);
  await removeAll(first, second);
});

test('replicas spread evenly over the nodes, whatever of others runs there', async () => {
  const strangers = ['a', 'b', 'c'].map((name) => web('default', name, on(NODE_1)));
  await Promise.all(strangers.map((pod) => create(pod, neighbour)));
  await Promise.all(strangers.map((pod) => nodeOf(pod, neighbour)));
  const labels = { app: 'spread' };
  const template = sleeper({ namespace: 'default', name: 'spread' }).spec;
  await inside().create<KubeObject & { spec: object }>(
    DEPLOYMENTS,
    {
      metadata: { namespace: 'default', name: 'spread' },
      spec: {
        replicas: 4,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            ...template,
            topologySpreadConstraints: [
              {
                maxSkew: 1,
                topologyKey: HOSTNAME,
                whenUnsatisfiable: 'DoNotSchedule',
                labelSelector: { matchLabels: labels },
                matchLabelKeys: ['pod-template-hash'],
              },
            ],
          },
        },
      },
    },
    call(),
  );
  await cluster.inside.kubectl(['rollout', 'status', 'deployment/spread', '--timeout=60s']);
  const { items } = await inside().list<Pod>(PODS, {
    namespace: 'default',
    labelSelector: 'app=spread',
    ...call(),
  });
  const nodes = items.map(({ spec }) => spec?.nodeName).sort();
  expect(nodes).toEqual([NODE_1, NODE_1, NODE_2, NODE_2]);
  await cluster.inside.kubectl(['delete', 'deployment/spread', '--wait', '--cascade=foreground']);
});

describe('a tenant’s marks on nodes', () => {
  test('a taint inside keeps pods of this cluster away, and no other’s', async () => {
    await cluster.inside.kubectl(['taint', 'node', NODE_1, 'team=a:NoSchedule']);
    const { spec } = await cluster.host.client.get<Node>(NODES, { name: NODE_1 }, call());
    expect(spec?.taints ?? []).toEqual([]);
    const pod = web('default', 'kept-away', {});
    const other = web('default', 'others', on(NODE_1));
    await Promise.all([create(pod), create(other, neighbour)]);
    expect(await nodeOf(pod)).toBe(NODE_2);
    expect(await nodeOf(other, neighbour)).toBe(NODE_1);
    const tolerant = web('default', 'tolerant', {
      ...on(NODE_1),
      tolerations: [{ key: 'team', operator: 'Equal', value: 'a', effect: 'NoSchedule' }],
    });
    await create(tolerant);
    expect(await nodeOf(tolerant)).toBe(NODE_1);
    await cluster.inside.kubectl(['taint', 'node', NODE_1, 'team-']);
    await removeAll(pod, tolerant);
  });

  test('a label inside draws pods of this cluster', async () => {
    await cluster.inside.kubectl(['label', 'node', NODE_2, 'disk=fast']);
    const pod = web('default', 'drawn', { nodeSelector: { disk: 'fast' } });
    await create(pod);
    expect(await nodeOf(pod)).toBe(NODE_2);
    await removeAll(pod);
  });
});
