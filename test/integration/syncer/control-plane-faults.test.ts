// What breaks in a virtual control plane: its API server, its store, its images and memory. Each test is named after its fault.
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIG_MAPS, type KubeObject, PODS } from '../../../src/kube/resource.ts';
import type { ConfigMap } from '../../../src/syncer/objects.ts';
import { containerProcesses, killContainer } from '../../host/containers.ts';
import { eventually } from '../../support/eventually.ts';
import { manyPods } from '../../support/many-pods.ts';
import { MACHINE_IS_CLIENT } from '../../support/network-access.ts';
import {
  call,
  containerStatus,
  type SyncedCluster,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

const POD_COUNT = 200;

describe('the virtual API server', () => {
  const CLUSTER = 'killed';
  let cluster: SyncedCluster;
  beforeAll(async () => {
    cluster = await startSyncedCluster(CLUSTER, { 'isolation.profile': 'none' });
  });
  afterAll(() => cluster?.remove());

  test('is killed while 200 pods are synced: none is lost, doubled or deleted (F2)', async () => {
    const { containerID = '' } = containerStatus(await cluster.controlPlane(), 'kube-apiserver');
    const pods = manyPods(cluster, CLUSTER);
    const creating = pods.create(POD_COUNT);
    const early = await pods.onHost(POD_COUNT / 10);
    await killContainer(containerID);
    // Whoever asks meanwhile gets all pods or an error.
    const listed = await eventually(
      () => cluster.inside.client.list<KubeObject>(PODS, { namespace: 'default', ...call() }),
      { ...within('the API server answers again'), intervalMs: 100 },
    );
    expect(listed.items.length).toBeGreaterThanOrEqual(early.size);
    const uids = await creating;
    const final = await pods.onHost(POD_COUNT);
    expect([...final.keys()].sort()).toEqual(uids.sort());
    for (const [owner, copy] of early) expect(final.get(owner)).toBe(copy);
    expect(containerStatus(await cluster.controlPlane(), 'syncer').restartCount).toBe(0);
  });
});

describe('a store whose disk is nearly full', () => {
  const CLUSTER = 'filled';
  const LEFT_BYTES = 16 * 2 ** 20;
  const kept = { namespace: 'default', name: 'kept' };
  let cluster: SyncedCluster;
  beforeAll(async () => {
    cluster = await startSyncedCluster(CLUSTER, {
      'persistence.type': 'memory',
      'persistence.size': '128Mi',
    });
    await cluster.inside.client.create<ConfigMap>(CONFIG_MAPS, { metadata: kept }, call());
  });
  afterAll(() => cluster?.remove());

  const create = (name: string) =>
    cluster.inside.client.create<ConfigMap>(
      CONFIG_MAPS,
      { metadata: { namespace: 'default', name } },
      call(),
    );

  /** `True`, or what else the host says of the pod's readiness. */
  async function ready(): Promise<string | undefined> {
    const { status } = await cluster.controlPlane();
    return status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  }

  test('refuses what is new and says why, serves what is there, and goes on when there is room (F5)', async () => {
    const { containerID = '' } = containerStatus(await cluster.controlPlane(), 'kine');
    const [pid] = await containerProcesses(containerID);
    const folder = `/proc/${pid}/root/var/lib/kine`;
    const { bsize, bavail } = await statfs(folder);
    const ballast = join(folder, 'ballast');
    await writeFile(ballast, Buffer.alloc(bsize * bavail - LEFT_BYTES));

    let attempts = 0;
    const said = await eventually(async () => {
      attempts += 1;
      try {
        await create(`early-${attempts}`);
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    }, within('new objects are refused'));
    expect(said).toContain('the store of this virtual cluster is nearly full');
    await eventually(async () => (await ready()) === 'False' || undefined, within('the pod is not ready'));
    const patch = { type: 'merge', body: { data: { changed: 'yes' } } } as const;
    await cluster.inside.client.patch<ConfigMap>(CONFIG_MAPS, kept, patch, call());
    const { items } = await cluster.inside.client.list<ConfigMap>(CONFIG_MAPS, {
      namespace: 'default',
      ...call(),
    });
    // Nothing that was acknowledged is lost.
    const names = items.map(({ metadata }) => metadata.name);
    for (let index = 1; index < attempts; index += 1) expect(names).toContain(`early-${index}`);
    expect(items.find(({ metadata }) => metadata.name === 'kept')?.data).toEqual({ changed: 'yes' });
    await cluster.inside.client.delete(CONFIG_MAPS, kept, call());

    await rm(ballast);
    await eventually(() => create('late'), within('new objects are let in'));
    await eventually(async () => (await ready()) === 'True' || undefined, within('the pod is ready'));
    const { status } = await cluster.controlPlane();
    expect(status?.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0, 0, 0, 0]);
  });
});

describe('a control plane that cannot start', () => {
  let cluster: SyncedCluster;
  const CLUSTER = 'broken';
  beforeAll(async () => {
    cluster = await startSyncedCluster(CLUSTER);
  });
  afterAll(() => cluster?.remove());

  const machineIsClient = Object.entries(MACHINE_IS_CLIENT).map(([value, range]) => `${value}=${range}`);
  const upgrade = (...values: string[]) =>
    cluster.host.helm([
      ...['upgrade', CLUSTER, 'charts/virtual-cluster', '--namespace', cluster.hostNamespace],
      ...['image.tag=dev', ...machineIsClient, ...values].flatMap((value) => ['--set', value]),
    ]);

  async function runsAgain(): Promise<void> {
    await upgrade();
    const rollout = ['rollout', 'status', `statefulset/${CLUSTER}`, '--timeout=120s'];
    await cluster.host.kubectl([...rollout, '--namespace', cluster.hostNamespace]);
    await eventually(
      () => cluster.inside.client.list(PODS, { namespace: 'default', ...call() }),
      within('the API server answers'),
    );
  }

  test('for want of an image says so, and starts once it is there (F24)', async () => {
    await upgrade('kubernetes.version=v1.34.99');
    await eventually(async () => {
      const { state } = containerStatus(await cluster.controlPlane(), 'kube-apiserver');
      return /^(ErrImagePull|ImagePullBackOff)$/.test(state?.waiting?.reason ?? '') || undefined;
    }, within('the status names the image'));
    await runsAgain();
  });

  test('for want of memory says so, and starts once it has more (F24)', async () => {
    const memory = 'resources.kubeApiserver';
    await upgrade(`${memory}.requests.memory=64Mi`, `${memory}.limits.memory=64Mi`);
    await eventually(async () => {
      const { state, lastState } = containerStatus(await cluster.controlPlane(), 'kube-apiserver');
      const reasons = [state?.terminated?.reason, lastState?.terminated?.reason];
      return reasons.includes('OOMKilled') || undefined;
    }, within('the status names the memory'));
    await runsAgain();
  });
});
