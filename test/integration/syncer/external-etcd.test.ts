// A virtual cluster that keeps its store in an etcd of the operator's.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIG_MAPS, type KubeObject, PODS, SECRETS } from '../../../src/kube/resource.ts';
import { ANNOTATION_NAME } from '../../../src/syncer/names.ts';
import type { ConfigMap, Pod } from '../../../src/syncer/objects.ts';
import { containerProcesses, killContainer } from '../../host/containers.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { base64, startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { eventually } from '../../support/eventually.ts';
import { figure, syncerFigures } from '../../support/figures.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import { MACHINE_ADDRESS } from '../../support/machine-address.ts';
import { NO_NODE } from '../../support/many-pods.ts';
import { call, containerStatus, sleeper, within } from '../../support/synced-cluster.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../../support/virtual-cluster.ts';

const CLUSTER = 'kept-outside';
const MEBIBYTE = 2 ** 20;
/** A store with nothing in it takes a quarter of this. */
const QUOTA_BYTES = 8 * MEBIBYTE;

let place: TestNamespace;
let host: ClusterAccess;
let etcd: TestEtcd;
let cluster: InstalledVirtualCluster;

beforeAll(async () => {
  place = await createTestNamespace('etcd');
  host = await clusterAccess();
  etcd = await startEtcd({ address: MACHINE_ADDRESS, quotaBytes: QUOTA_BYTES });
  const secret = { metadata: { namespace: place.namespace, name: 'etcd' }, stringData: etcd.clientFiles };
  await host.client.create<KubeObject & { stringData: object }>(SECRETS, secret, call());
  cluster = await installVirtualCluster({
    host,
    namespace: place.namespace,
    name: CLUSTER,
    values: {
      'store.type': 'etcd',
      'store.etcd.endpoints': `{${etcd.endpoint}}`,
      'store.etcd.secretName': 'etcd',
    },
  });
});
afterAll(async () => {
  await cluster?.uninstall();
  await etcd?.stop();
  await host?.client.close();
  await place?.remove();
});

const inside = () => cluster.inside.client;
const named = (name: string) => ({ namespace: 'default', name });

const controlPlane = () =>
  host.client.get<Pod>(PODS, { namespace: place.namespace, name: `${CLUSTER}-0` }, call());

async function restarts(): Promise<number[]> {
  const { status } = await controlPlane();
  return (status?.containerStatuses ?? []).map(({ restartCount }) => restartCount);
}

/** How many keys there are from one on, up to another. */
async function count(from: string, to: string): Promise<number> {
  const range = { key: base64(from), range_end: base64(to), count_only: true };
  return Number((await etcd.call<{ count?: string }>('/v3/kv/range', range)).count ?? 0);
}

async function runs(name: string): Promise<void> {
  await inside().create<Pod>(PODS, sleeper(named(name)), call());
  await cluster.inside.kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s']);
}

test('runs pods, with no database of its own', async () => {
  await runs('first');
  const { spec } = await controlPlane();
  expect(spec?.containers.map(({ name }) => name)).toEqual([
    'kube-apiserver',
    'kube-controller-manager',
    'syncer',
  ]);
});

test('keeps to its own part of the etcd, which others may share', async () => {
  const prefix = `/mayfly/${place.namespace}/${CLUSTER}/`;
  expect(await count(prefix, `${prefix}\x7f`)).toBeGreaterThan(50);
  // The API server looks up one key to see whether etcd is alive, and writes none.
  expect(await count('\0', '\0')).toBe(await count(prefix, `${prefix}\x7f`));
});

test('outlives its pod', async () => {
  const data = { kept: 'yes' };
  await inside().create<ConfigMap>(CONFIG_MAPS, { metadata: named('kept'), data }, call());
  await host.kubectl(['delete', 'pod', `${CLUSTER}-0`, '--namespace', place.namespace, '--wait']);
  await host.kubectl(['rollout', 'status', `statefulset/${CLUSTER}`, '--namespace', place.namespace]);
  const found = await eventually(
    () => inside().get<ConfigMap>(CONFIG_MAPS, named('kept'), call()),
    within('the API server answers again'),
  );
  expect(found.data).toEqual(data);
  await runs('second');
});

describe('F4: a syncer that is paused', () => {
  const OF_PODS = { reflector: 'virtual/pods' };
  const lists = (figures: string) => figure(figures, 'mayfly_reflector_lists_total', OF_PODS);
  const expiries = (figures: string) =>
    figure(figures, 'mayfly_reflector_failures_total', { ...OF_PODS, code: 'Expired' });
  const figures = () => syncerFigures(host, { namespace: place.namespace, name: CLUSTER });
  const create = (name: string) => inside().create<Pod>(PODS, sleeper(named(name), NO_NODE), call());

  /** Waits until these pods that no node takes, and no others, are on the host. @returns their uids there. */
  const onHost = (...names: string[]) =>
    eventually(
      async () => {
        const labelSelector = `mayfly.dev/cluster=${CLUSTER},mayfly.dev/virtual-namespace`;
        const { items } = await host.client.list<Pod>(PODS, {
          namespace: place.namespace,
          labelSelector,
          ...call(),
        });
        const uids = new Map(
          items
            .filter(({ spec }) => !spec?.nodeName)
            .map(({ metadata }) => [metadata.annotations?.[ANNOTATION_NAME], metadata.uid]),
        );
        return uids.size === names.length && names.every((name) => uids.has(name)) ? uids : undefined;
      },
      within(`the host has ${names.join(', ')}`),
    );

  test('while its store is compacted lists everything again, deletions that it missed included', async () => {
    await create('stays');
    await create('goes');
    const before = await onHost('stays', 'goes');
    const figuresBefore = await figures();
    const pod = await controlPlane();
    const restartsBefore = containerStatus(pod, 'syncer').restartCount;
    const apiServer = containerStatus(pod, 'kube-apiserver').containerID ?? '';
    const signal = async (container: string, name: NodeJS.Signals) => {
      for (const pid of await containerProcesses(container)) process.kill(pid, name);
    };
    const syncer = containerStatus(pod, 'syncer').containerID ?? '';
    await signal(syncer, 'SIGSTOP');
    try {
      // Else it would have sent what happens to the syncer's connections, which take it whether the syncer reads or not.
      await signal(apiServer, 'SIGSTOP');
      await etcd.remove(`/mayfly/${place.namespace}/${CLUSTER}/pods/default/goes`);
      await etcd.compact();
      await killContainer(apiServer);
      await eventually(() => create('comes'), within('the API server answers again'));
    } finally {
      await signal(syncer, 'SIGCONT');
    }
    const after = await onHost('stays', 'comes');
    expect(after.get('stays')).toBe(before.get('stays'));
    const figuresAfter = await figures();
    expect(expiries(figuresAfter)).toBe(expiries(figuresBefore) + 1);
    expect(lists(figuresAfter)).toBe(lists(figuresBefore) + 1);
    expect(containerStatus(await controlPlane(), 'syncer').restartCount).toBe(restartsBefore);
    for (const name of ['stays', 'comes']) await inside().delete(PODS, named(name), call());
    await onHost();
  });
});

test('waits out an etcd that is full, says why, and goes on when there is space (F5)', async () => {
  const before = await restarts();
  const filler = 'x'.repeat(MEBIBYTE / 2);
  let written = 0;
  const said = await eventually(
    async () => {
      const object = { metadata: named(`filler-${written}`), data: { filler } };
      try {
        await inside().create<ConfigMap>(CONFIG_MAPS, object, call());
      } catch (error) {
        return (error as Error).message;
      }
      written += 1;
      return undefined;
    },
    { ...within('the etcd is full'), intervalMs: 1 },
  );
  expect(said).toContain('database space exceeded');
  expect(await inside().list(PODS, { namespace: 'default', ...call() })).toMatchObject({
    items: [{}, {}],
  });
  expect(await restarts()).toEqual(before);

  // As etcd's own documentation says: delete, compact, defragment, disarm.
  for (let index = 0; index < written; index += 1) {
    await etcd.remove(`/mayfly/${place.namespace}/${CLUSTER}/configmaps/default/filler-${index}`);
  }
  await etcd.compact();
  await etcd.call('/v3/maintenance/defragment', {});
  const { alarms } = await etcd.call<{ alarms: object[] }>('/v3/maintenance/alarm', { action: 'GET' });
  for (const alarm of alarms) await etcd.call('/v3/maintenance/alarm', { action: 'DEACTIVATE', ...alarm });
  await eventually(() => runs('third').then(() => true), within('pods run again'));
  expect(await restarts()).toEqual(before);
});
