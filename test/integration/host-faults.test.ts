// Faults of the host that a virtual cluster has to outlive, or to end with: its API server, its nodes, its namespace. On a host of
// its own, since programs are stopped that all its users share. Each test is named after its row of the list of faults.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isNotFound } from '../../src/kube/errors.ts';
import { NAMESPACES, NODES, PODS, SERVICES } from '../../src/kube/resource.ts';
import type { Node, Pod, Service } from '../../src/syncer/objects.ts';
import { signalUnit, startUnit, stopUnit } from '../host/faults.ts';
import { eventually } from '../support/eventually.ts';
import { figure } from '../support/figures.ts';
import { manyPods, NO_NODE } from '../support/many-pods.ts';
import { ownHost } from '../support/own-host.ts';
import {
  call,
  containerStatus,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../support/synced-cluster.ts';

const HOST = ownHost('faults-test', 2);
const [FIRST, SECOND] = HOST.nodes;
if (!FIRST || !SECOND) throw new Error('the host has two nodes');
const CLUSTER = 'outliving';
/** Two of a kubelet's signs of life. */
const NODE_GRACE_SECONDS = 20;
const HOSTNAME = 'kubernetes.io/hostname';

let cluster: SyncedCluster;
beforeAll(async () => {
  await HOST.up('--node-grace', String(NODE_GRACE_SECONDS));
  await HOST.load();
  const values = {
    'isolation.profile': 'none',
    [`nodeSelector.${HOSTNAME.replaceAll('.', '\\.')}`]: FIRST.name,
  };
  cluster = await startSyncedCluster(CLUSTER, values, HOST.kubeconfig);
});
afterAll(async () => {
  // What is in the host goes with it.
  await Promise.all([cluster?.inside.client.close(), cluster?.host.client.close()]);
  await HOST.down();
});

const named = (name: string) => ({ namespace: 'default', name });
const conditionOf = ({ status }: Pod | Node, type: string) =>
  status?.conditions?.find((condition) => condition.type === type);
const inside = () => cluster.inside.client;
const syncerRestarts = async () => containerStatus(await cluster.controlPlane(), 'syncer').restartCount;

describe('F1: the API server of the host', () => {
  const POD_COUNT = 200;

  test('is killed while 200 pods are synced: none is lost, doubled or deleted', async () => {
    const pods = manyPods(cluster, CLUSTER);
    const creating = pods.create(POD_COUNT);
    const early = await pods.onHost(POD_COUNT / 10);
    await signalUnit(FIRST, 'kube-apiserver', 'KILL');
    const uids = await creating;
    await eventually(() => cluster.host.client.text('/readyz', call()), within('the host answers again'));
    const final = await pods.onHost(POD_COUNT);
    expect([...final.keys()].sort()).toEqual(uids.sort());
    for (const [owner, copy] of early) expect(final.get(owner)).toBe(copy);
    const { items } = await inside().list<Pod>(PODS, { namespace: 'default', ...call() });
    expect(items.map(({ metadata }) => metadata.uid).sort()).toEqual(uids);
    expect(await syncerRestarts()).toBe(0);
  });
});

describe('F25: the kubelet of a node', () => {
  const podWhere = (what: string, holds: (pod: Pod) => boolean) =>
    eventually(
      async () => {
        const pod = await inside().get<Pod>(PODS, named('placed'), call());
        return holds(pod) ? pod : undefined;
      },
      within(`the pod ${what}`),
    );
  const nodeWhere = (what: string, holds: (node: Node) => boolean) =>
    eventually(
      async () => {
        const node = await inside().get<Node>(NODES, { name: SECOND.name }, call());
        return holds(node) ? node : undefined;
      },
      { what: `the node ${what}`, timeoutMs: 90_000 },
    );
  const isReady = (object: Pod | Node) => conditionOf(object, 'Ready')?.status === 'True';

  test('stays away: its node and pods inside say so and stay, and are well when it is back', async () => {
    await inside().create<Pod>(
      PODS,
      sleeper(named('placed'), { nodeSelector: { [HOSTNAME]: SECOND.name } }),
      call(),
    );
    const before = await podWhere('is ready', isReady);
    const copy = await cluster.copyOf<Pod>(PODS, 'placed');
    await stopUnit(SECOND, 'kubelet');
    try {
      const lost = await nodeWhere('is lost', (node) => conditionOf(node, 'Ready')?.status === 'Unknown');
      expect(conditionOf(lost, 'Ready')?.reason).toBe('NodeStatusUnknown');
      await nodeWhere('is tainted', ({ spec }) =>
        (spec?.taints ?? []).some(({ key }) => key === 'node.kubernetes.io/unreachable'),
      );
      const unready = await podWhere('is not ready', (pod) => !isReady(pod));
      expect(unready.status?.phase).toBe('Running');
      expect(unready.metadata.deletionTimestamp).toBeUndefined();
    } finally {
      await startUnit(SECOND, 'kubelet');
    }
    await nodeWhere('is ready, and without a taint', (node) => isReady(node) && !node.spec?.taints?.length);
    const after = await podWhere('is ready again', isReady);
    expect(after.metadata.uid).toBe(before.metadata.uid);
    expect(containerStatus(after, 'app').restartCount).toBe(0);
    expect((await cluster.copyOf<Pod>(PODS, 'placed'))?.metadata.uid).toBe(copy?.metadata.uid);
  });
});

describe('F15: the namespace on the host', () => {
  const POD_COUNT = 30;
  /** How many creations the host has refused of what the syncer makes: a pod's tokens come before the pod. */
  async function refused(): Promise<number> {
    const metrics = await cluster.host.client.text('/metrics', call());
    const counts = ['pods', 'secrets', 'services'].map((resource) =>
      figure(metrics, 'apiserver_request_total', { verb: 'POST', code: '403', resource }),
    );
    return counts.reduce((sum, count) => sum + count);
  }

  test('is being deleted: each object is tried once, told about, and everything ends', async () => {
    const namespace = cluster.hostNamespace;
    // With nobody to empty the namespace, it stays as it is for a while.
    await stopUnit(FIRST, 'kube-controller-manager');
    try {
      await cluster.host.client.delete(NAMESPACES, { name: namespace }, call());
      const before = await refused();
      const names = Array.from({ length: POD_COUNT }, (_, index) => `late-${index}`);
      for (const name of names) await inside().create<Pod>(PODS, sleeper(named(name), NO_NODE), call());
      for (const name of names) {
        const { message } = await cluster.warned(name, 'SyncFailed');
        expect(message).toContain('this virtual cluster is being deleted');
        expect(message).not.toContain(namespace);
      }
      const service = { metadata: named('late'), spec: { ports: [{ port: 80 }] } };
      const refusal = await inside()
        .create<Service>(SERVICES, service, call())
        .then(
          () => 'created',
          (error: Error) => error.message,
        );
      expect(refusal).toContain('this virtual cluster is being deleted');
      expect(refusal).not.toContain(namespace);
      expect((await refused()) - before).toBe(POD_COUNT + 1);
    } finally {
      await startUnit(FIRST, 'kube-controller-manager');
    }
    await eventually(async () => {
      try {
        await cluster.host.client.get(NAMESPACES, { name: namespace }, call());
        return undefined;
      } catch (error) {
        if (isNotFound(error)) return true;
        throw error;
      }
    }, within('the namespace is gone'));
  });
});
