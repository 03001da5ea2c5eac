import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type HarnessOptions,
  hostKey,
  place,
  podNamed,
  podOnHost,
  type SyncerHarness,
  start,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import type { ListOptions } from '../../kube/client.ts';
import { EVENTS, type KubeObject, NODES, PODS, type ResourceType, SECRETS } from '../../kube/resource.ts';
import type { Event, Node, Pod, Secret } from '../objects.ts';

let syncer: SyncerHarness;
const run = async (options?: HarnessOptions) => {
  syncer = await startSyncer(options);
  return syncer;
};

afterEach(() => syncer?.stop());

const usesConfig = (name: string) => ({ volumes: [{ name: 'config', configMap: { name } }] });
const podInside = (key: string) => syncer.virtual.get<Pod>(PODS, key);

describe('the life of a pod', () => {
  const running = async (options?: HarnessOptions) => {
    const { virtual, host } = await run(options);
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    place(host, 'default/web');
    start(host, 'default/web');
    await vi.waitFor(() => expect(podInside('default/web')?.status?.phase).toBe('Running'));
    return syncer;
  };

  it('binds it to the node the host chose, after that Node exists inside', async () => {
    const { virtual } = await running();
    expect(podInside('default/web')).toMatchObject({
      spec: { nodeName: 'node-1' },
      status: { phase: 'Running', podIP: '10.244.0.7', qosClass: 'BestEffort' },
    });
    expect(virtual.get<Node>(NODES, 'node-1')).toMatchObject({
      metadata: { labels: { 'kubernetes.io/hostname': 'node-1' } },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    });
    const writes = virtual.writes().map(({ type, subresource }) => `${type.plural}/${subresource ?? ''}`);
    expect(writes.indexOf('nodes/')).toBeLessThan(writes.indexOf('pods/binding'));
  });

  it('ends gracefully: the host pod first, with the same grace period, then the virtual one', async () => {
    const { virtual, host } = await running();
    const name = { namespace: 'default', name: 'web' };
    await virtual.client.delete(PODS, name, { signal: AbortSignal.timeout(1000), gracePeriodSeconds: 7 });
    await vi.waitFor(() =>
      expect(podOnHost(host, 'default/web')?.metadata.deletionGracePeriodSeconds).toBe(7),
    );
    expect(podInside('default/web')).toBeDefined();
    host.remove(PODS, hostKey('pods', 'default/web'));
    await vi.waitFor(() => expect(podInside('default/web')).toBeUndefined());
  });

  it('goes inside when somebody deletes it on the host (F13)', async () => {
    const { host } = await running();
    host.remove(PODS, hostKey('pods', 'default/web'));
    await vi.waitFor(() => expect(podInside('default/web')).toBeUndefined());
  });

  it('is not deleted inside because the host shows an empty list by mistake (F1)', async () => {
    const { virtual, host } = await running();
    await syncer.stop();
    const list = host.client.list;
    host.client.list = async <T extends KubeObject>(type: ResourceType, options: ListOptions) => {
      const page = await list<T>(type, options);
      return type.plural === 'pods' ? { ...page, items: [] } : page;
    };
    await run({ virtual, host });
    await vi.waitFor(() =>
      expect(host.requests.some(({ verb, type }) => verb === 'get' && type === PODS)).toBe(true),
    );
    expect(podInside('default/web')).toBeDefined();
    host.client.list = list;
  });

  it('is created again when it was deleted on the host before it had a node', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    const { uid } = podOnHost(host, 'default/web')?.metadata ?? {};
    host.remove(PODS, hostKey('pods', 'default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')?.metadata.uid).not.toBe(uid));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    expect(podInside('default/web')).toBeDefined();
  });

  it('takes the place of an earlier pod of that name, which was deleted by force and goes by force', async () => {
    const { virtual, host } = await running();
    const earlier = podOnHost(host, 'default/web')?.metadata.uid;
    virtual.remove(PODS, 'default/web');
    const { metadata } = virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() =>
      expect(podOnHost(host, 'default/web')?.metadata.annotations?.['mayfly.dev/virtual-uid']).toBe(
        metadata.uid,
      ),
    );
    expect(podOnHost(host, 'default/web')?.metadata.uid).not.toBe(earlier);
  });

  it('tells how it ended before it goes, even if its host pod went first', async () => {
    const { virtual, host } = await running();
    await syncer.stop();
    const update = virtual.client.update;
    await run({ virtual, host });
    const ends: unknown[] = [];
    virtual.client.update = async (type, object, options) => {
      if (type === PODS && options.subresource === 'status') ends.push((object as Pod).status?.phase);
      return update(type, object, options);
    };
    // Both within one turn, so that nothing can look in between.
    host.change<Pod>(PODS, hostKey('pods', 'default/web'), ({ status }) => {
      if (status) status.phase = 'Failed';
    });
    host.remove(PODS, hostKey('pods', 'default/web'));
    await vi.waitFor(() => expect(podInside('default/web')).toBeUndefined());
    expect(ends).toEqual(['Failed']);
  });

  it('is not created on the host while it has scheduling gates', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web', { schedulingGates: [{ name: 'wait' }] }));
    await syncer.quiet();
    expect(podOnHost(host, 'default/web')).toBeUndefined();
    virtual.change<Pod>(PODS, 'default/web', ({ spec }) => {
      if (spec) spec.schedulingGates = [];
    });
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
  });

  it('carries the conditions of readiness gates to the host', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web', { readinessGates: [{ conditionType: 'example.com/ready' }] }));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    place(host, 'default/web');
    await vi.waitFor(() => expect(podInside('default/web')?.spec?.nodeName).toBe('node-1'));
    virtual.change<Pod>(PODS, 'default/web', ({ status }) => {
      status?.conditions?.push({ type: 'example.com/ready', status: 'True' });
    });
    await vi.waitFor(() =>
      expect(podOnHost(host, 'default/web')?.status?.conditions).toContainEqual({
        type: 'example.com/ready',
        status: 'True',
      }),
    );
    expect(podInside('default/web')?.status?.conditions).toContainEqual({
      type: 'example.com/ready',
      status: 'True',
    });
  });
});

describe('tokens', () => {
  const withToken = podNamed('default/web', {
    serviceAccountName: 'runner',
    volumes: [
      {
        name: 'api',
        projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3607 } }] },
      },
    ],
  });
  const tokenSecrets = () => syncer.host.list<Secret>(SECRETS);

  it('are on the host before their pod, bound to it, and go with it', async () => {
    const { virtual, host } = await run();
    const pod = virtual.put(PODS, withToken);
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    expect(host.writes().map(({ type }) => type.plural)).toEqual(['secrets', 'pods']);
    const request = virtual.requests.find(({ subresource }) => subresource === 'token');
    expect(request).toMatchObject({
      name: 'runner',
      object: {
        spec: {
          expirationSeconds: 3607,
          boundObjectRef: { kind: 'Pod', name: 'web', uid: pod.metadata.uid },
        },
      },
    });
    const volume = podOnHost(host, 'default/web')?.spec?.volumes?.[0];
    expect(volume).toMatchObject({
      projected: {
        sources: [{ secret: { name: tokenSecrets()[0]?.metadata.name, items: [{ path: 'token' }] } }],
      },
    });
    await syncer.quiet();
    expect(virtual.requests.filter(({ subresource }) => subresource === 'token')).toHaveLength(1);
    virtual.remove(PODS, 'default/web');
    await vi.waitFor(() => expect(tokenSecrets()).toEqual([]));
  });

  it('are made again when somebody deletes their Secret, and when they are due', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, withToken);
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.quiet();
    const [secret] = tokenSecrets();
    const key = `host-ns/${secret?.metadata.name}`;
    host.change<Secret>(SECRETS, key, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, 'mayfly.dev/renew-at': '2020-01-01T00:00:00Z' };
    });
    await vi.waitFor(() => expect(tokenSecrets()[0]?.data).not.toEqual(secret?.data));
  });
});

describe('events of the host', () => {
  it('arrive inside on the virtual object, without names of the host (T16)', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web', usesConfig('missing')));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    const copy = podOnHost(host, 'default/web');
    const configName = hostKey('configmaps', 'default/missing').split('/')[1];
    virtual.put(PODS, podNamed('shop/other'));
    await vi.waitFor(() => expect(podOnHost(host, 'shop/other')).toBeDefined());
    const other = podOnHost(host, 'shop/other')?.metadata.name;
    await syncer.quiet();
    host.put(EVENTS, {
      metadata: { namespace: 'host-ns', name: `${copy?.metadata.name}.17c0ffee` },
      involvedObject: {
        apiVersion: 'v1',
        kind: 'Pod',
        namespace: 'host-ns',
        name: copy?.metadata.name,
        uid: copy?.metadata.uid,
      },
      reason: 'FailedMount',
      message: `configmap "${configName}" not found for host-ns/${copy?.metadata.name}; see ${other}`,
      type: 'Warning',
      lastTimestamp: new Date().toISOString(),
    } as Event);
    host.put(EVENTS, {
      metadata: { namespace: 'host-ns', name: 'neighbour.1' },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'host-ns', name: 'neighbour' },
      reason: 'Secret',
      message: 'of somebody else',
      lastTimestamp: new Date().toISOString(),
    } as Event);
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1));
    expect(syncer.eventsOn('web')[0]).toMatchObject({
      metadata: { namespace: 'default', name: 'web.17c0ffee' },
      message: 'configmap "missing" not found for default/web; see other',
    });
    expect(virtual.list(EVENTS)).toHaveLength(1);
  });
});
