// Faults between a virtual cluster and its host, each named after its row of the list of faults: what must hold on a real host.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_MAPS, type KubeObject, NAMESPACES, PODS } from '../../../src/kube/resource.ts';
import { ANNOTATION_UID } from '../../../src/syncer/names.ts';
import type { ConfigMap, Namespace, Pod } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { LIMIT_RANGES } from '../../support/resource-types.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const CLUSTER = 'faults';
let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads(CLUSTER);
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside.client;
const within = (what: string, timeoutMs = 60_000) => ({ what, timeoutMs });
const hostPods = async () =>
  (
    await work.host.client.list<Pod>(PODS, {
      namespace: work.hostNamespace,
      labelSelector: `mayfly.dev/cluster=${CLUSTER},mayfly.dev/virtual-namespace`,
      ...call(),
    })
  ).items;
const usingSettings = (name: string, settings: string): Pod =>
  podRunning(name, 'true', {
    container: { volumeMounts: [{ name: 'settings', mountPath: '/settings' }] },
    volumes: [{ name: 'settings', configMap: { name: settings } }],
  });

describe('F12: the syncer ends between a creation on the host and the status inside', () => {
  it('finds its pods again and makes none twice', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `many-${index}`);
    const controlPlane = ['--namespace', work.hostNamespace, `${CLUSTER}-0`, '--container', 'syncer'];
    const end = () => work.host.kubectl(['exec', ...controlPlane, '--', 'sh', '-c', 'kill -TERM 1']);
    const restarts = async () => {
      const pod = await work.host.client.get<Pod>(
        PODS,
        { namespace: work.hostNamespace, name: `${CLUSTER}-0` },
        call(),
      );
      return pod.status?.containerStatuses?.find(({ name }) => name === 'syncer')?.restartCount ?? 0;
    };
    const before = await restarts();
    const [ended] = await Promise.all([end(), ...names.map((name) => work.create(podRunning(name)))]);
    expect(ended).toBe('');
    const uids = await Promise.all(names.map(async (name) => (await work.running(name)).metadata.uid));
    expect(await restarts()).toBe(before + 1);
    const owners = (await hostPods()).map(({ metadata }) => metadata.annotations?.[ANNOTATION_UID]);
    expect(owners.toSorted()).toEqual(uids.toSorted());
    for (const name of names) await inside().delete(PODS, named(name), { ...call(), gracePeriodSeconds: 1 });
    for (const name of names) await work.gone(PODS, name);
  });
});

describe('F13: somebody edits or deletes what is ours on the host', () => {
  const onHostAs = (data: Record<string, string>) =>
    eventually(async () => {
      const copy = await work.onHost<ConfigMap>(CONFIG_MAPS, 'settings');
      return JSON.stringify(copy?.data) === JSON.stringify(data) ? copy : undefined;
    }, within('the copy is as the original'));

  it('config maps are restored', async () => {
    const data = { a: '1' };
    await inside().create<ConfigMap>(CONFIG_MAPS, { metadata: named('settings'), data }, call());
    await work.create(usingSettings('reader', 'settings'));
    await work.running('reader');
    const copy = await onHostAs(data);
    const name = { namespace: work.hostNamespace, name: copy.metadata.name ?? '' };
    await work.host.client.patch(
      CONFIG_MAPS,
      name,
      { type: 'merge', body: { data: { a: '2', b: '3' } } },
      call(),
    );
    await onHostAs(data);
    await work.host.client.delete(CONFIG_MAPS, name, call());
    expect((await onHostAs(data)).metadata.uid).not.toBe(copy.metadata.uid);
  });

  it('labels and annotations of ours are restored, those of others are kept', async () => {
    const { metadata } = (await work.onHost<Pod>(PODS, 'reader')) ?? { metadata: {} };
    const name = { namespace: work.hostNamespace, name: metadata.name ?? '' };
    await work.host.client.patch(
      PODS,
      name,
      {
        type: 'merge',
        body: {
          metadata: { annotations: { 'ops.example.com/note': 'seen' }, labels: { 'l.mayfly.dev/x': 'y' } },
        },
      },
      call(),
    );
    await eventually(async () => {
      const pod = await work.host.client.get<Pod>(PODS, name, call());
      return pod.metadata.labels?.['l.mayfly.dev/x'] === undefined &&
        pod.metadata.annotations?.['ops.example.com/note'] === 'seen'
        ? true
        : undefined;
    }, within('the label is gone and the note is kept'));
  });

  it('a pod that is deleted there by force goes inside', async () => {
    const { metadata } = (await work.onHost<Pod>(PODS, 'reader')) ?? { metadata: {} };
    await work.host.client.delete(
      PODS,
      { namespace: work.hostNamespace, name: metadata.name ?? '' },
      { ...call(), gracePeriodSeconds: 0 },
    );
    await work.gone(PODS, 'reader');
    await eventually(
      async () => ((await work.onHost(CONFIG_MAPS, 'settings')) ? undefined : true),
      within('what only it referred to goes too'),
    );
  });
});

describe('F14: a finalizer that nobody removes', () => {
  const FINALIZER = 'example.com/nobody';
  const finalizers = (value: string[] | null) => ({
    type: 'merge' as const,
    body: { metadata: { finalizers: value } },
  });
  /** What a pod does that has nothing to do with it. */
  async function othersGoOn(name: string): Promise<void> {
    await work.create(podRunning(name));
    await work.running(name);
    await inside().delete(PODS, named(name), call());
    await work.gone(PODS, name);
  }

  it('inside holds its object and the namespace, which says so, and nothing else', async () => {
    const namespace = 'doomed';
    const map = { namespace, name: 'held-map' };
    const held = [FINALIZER];
    await inside().create(NAMESPACES, { metadata: { name: namespace } }, call());
    await inside().create<ConfigMap>(CONFIG_MAPS, { metadata: { ...map, finalizers: held } }, call());
    const pod = podRunning('held-inside');
    await work.create({ ...pod, metadata: { ...pod.metadata, finalizers: held } });
    await work.running('held-inside');
    await inside().delete(PODS, named('held-inside'), call());
    await inside().delete(NAMESPACES, { name: namespace }, call());
    await eventually(async () => {
      const { status } = await inside().get<Namespace>(NAMESPACES, { name: namespace }, call());
      const remaining = status?.conditions?.find(({ type }) => type === 'NamespaceFinalizersRemaining');
      if (remaining?.status === 'True' && remaining.message?.includes(FINALIZER)) return true;
      throw new Error(`it is ${JSON.stringify(status)}`);
    }, within('the namespace says what it waits for'));
    await eventually(
      async () => ((await work.onHost(PODS, 'held-inside')) ? undefined : true),
      within('the host pod has ended'),
    );
    await othersGoOn('beside-inside');
    expect(await work.find(PODS, 'held-inside')).toBeDefined();
    await inside().patch(CONFIG_MAPS, map, finalizers(null), call());
    await inside().patch(PODS, named('held-inside'), finalizers(null), call());
    await work.gone(PODS, 'held-inside');
    await eventually(async () => {
      const { items } = await inside().list(NAMESPACES, call());
      return items.every(({ metadata }) => metadata.name !== namespace) || undefined;
    }, within('the namespace is gone'));
  });

  it('on a host pod holds the pod inside, which is told so, and nothing else', async () => {
    await work.create(podRunning('held'));
    await work.running('held');
    const { metadata } = (await work.onHost<Pod>(PODS, 'held')) ?? { metadata: {} };
    const copy = { namespace: work.hostNamespace, name: metadata.name ?? '' };
    await work.host.client.patch(PODS, copy, finalizers([FINALIZER]), call());
    await inside().delete(PODS, named('held'), call());
    await work.podWhere('held', 'has ended', ({ status }) =>
      Boolean(status?.containerStatuses?.[0]?.state?.terminated),
    );
    await othersGoOn('beside');
    const [told] = await eventually(async () => {
      const found = (await work.warnings('held')).filter(({ reason }) => reason === 'DeletionHeld');
      return found.length > 0 ? found : undefined;
    }, within('the pod is told'));
    expect(told?.message).toContain(FINALIZER);
    await work.host.client.patch(PODS, copy, finalizers(null), call());
    await work.gone(PODS, 'held');
  });
});

describe('F16: the host rejects a pod', () => {
  it('by a LimitRange: it is told once, and goes on when there is room', async () => {
    const range = {
      metadata: { namespace: work.hostNamespace, name: 'small' },
      spec: { limits: [{ type: 'Container', max: { memory: '64Mi' } }] },
    };
    await work.host.client.create<KubeObject>(LIMIT_RANGES, range, call());
    // The API server's own copy of the ranges may be behind for a moment.
    await eventually(async () => {
      const probe = podRunning('probe', 'true', { container: { resources: { limits: { memory: '1Gi' } } } });
      const pod = { ...probe, metadata: { namespace: work.hostNamespace, name: 'probe' } };
      return work.host.client
        .create<Pod>(PODS, pod, call())
        .then(({ metadata }) =>
          work.host.client
            .delete(
              PODS,
              { namespace: work.hostNamespace, name: metadata.name ?? '' },
              { ...call(), gracePeriodSeconds: 0 },
            )
            .then(() => undefined),
        )
        .catch((error: Error) => (/maximum memory/.test(error.message) ? true : undefined));
    }, within('the range is enforced'));
    await work.create(
      podRunning('large', 'true', { container: { resources: { limits: { memory: '128Mi' } } } }),
    );
    const [told] = await work.warnings('large');
    expect(told).toMatchObject({ reason: 'SyncFailed' });
    expect(told?.message).toMatch(/^pods "large" is forbidden: maximum memory usage per Container is 64Mi/);
    await work.host.client.delete(LIMIT_RANGES, range.metadata, call());
    await work.running('large');
    expect(await work.warnings('large')).toHaveLength(1);
  });

  it('by Pod Security: it is told once, without the host’s names, and goes on when it may', async () => {
    const label = (level: string | null) =>
      work.host.client.patch(
        NAMESPACES,
        { name: work.hostNamespace },
        { type: 'merge', body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': level } } } },
        call(),
      );
    await label('restricted');
    await work.create(podRunning('loose'));
    const [told] = await work.warnings('loose');
    expect(told).toMatchObject({ reason: 'SyncFailed' });
    expect(told?.message).toMatch(/^pods "loose" is forbidden: violates PodSecurity/);
    expect(told?.message).not.toContain(work.hostNamespace);
    await label(null);
    await work.running('loose');
    expect(await work.warnings('loose')).toHaveLength(1);
  });
});

describe('F17: names and labels at their limits', () => {
  it('are apart on the host, whatever they look like, and whole inside', async () => {
    const pairs = [
      { namespace: 'c', name: 'a-x-b' },
      { namespace: 'b-x-c', name: 'a' },
    ];
    const longest = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`;
    const twin = `${longest.slice(0, -1)}e`;
    expect(longest).toHaveLength(253);
    for (const { namespace } of pairs) {
      await inside().create(NAMESPACES, { metadata: { name: namespace } }, call());
    }
    const places = [...pairs, named(longest), named(twin)];
    for (const place of places) {
      const pod = podRunning('x');
      const labels = { [`${'p'.repeat(50)}.example.com/${'n'.repeat(63)}`]: 'v'.repeat(63) };
      await eventually(
        async () => inside().create<Pod>(PODS, { ...pod, metadata: { ...place, labels } }, call()),
        within(`${place.name} is admitted`),
      );
    }
    for (const place of places) {
      await eventually(
        async () => {
          const { status } = await inside().get<Pod>(PODS, place, call());
          return status?.phase === 'Running' ? true : undefined;
        },
        within(`${place.namespace}/${place.name} runs`),
      );
    }
    const names = (await hostPods()).map(({ metadata }) => metadata.name);
    expect(new Set(names).size).toBe(names.length);
    const hostname = await work.cluster.inside.kubectl(['exec', longest, '--', 'hostname']);
    expect(hostname.trim()).toBe('a'.repeat(63));
  });
});
