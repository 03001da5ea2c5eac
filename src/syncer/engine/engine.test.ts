import { afterEach, describe, expect, it, vi } from 'vitest';
import { createMemoryApiServer } from '../../../test/support/memory-api-server.ts';
import {
  configMapOnHost,
  type HarnessOptions,
  hostKey,
  place,
  podNamed,
  podOnHost,
  type SyncerHarness,
  secretOnHost,
  start,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import { KubeError } from '../../kube/errors.ts';
import { CONFIG_MAPS, ENDPOINT_SLICES, NAMESPACES, PODS, SECRETS, SERVICES } from '../../kube/resource.ts';
import type { ConfigMap, EndpointSlice, Pod, Secret, Service } from '../objects.ts';

let syncer: SyncerHarness;
const run = async (options?: HarnessOptions) => {
  syncer = await startSyncer(options);
  return syncer;
};

afterEach(() => syncer?.stop());

const usesConfig = (name: string) => ({ volumes: [{ name: 'config', configMap: { name } }] });
const configMap = (key: string, data: Record<string, string>): ConfigMap => {
  const [namespace = '', name = ''] = key.split('/');
  return { metadata: { namespace, name }, data };
};
const podInside = (key: string) => syncer.virtual.get<Pod>(PODS, key);

describe('copying to the host', () => {
  it('creates the host copy of a pod, marked as ours', async () => {
    const { virtual, host } = await run();
    const { metadata } = virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    expect(podOnHost(host, 'default/web')?.metadata).toMatchObject({
      labels: { 'mayfly.dev/cluster': 'vc', 'mayfly.dev/virtual-namespace': 'default' },
      annotations: {
        'mayfly.dev/virtual-name': 'web',
        'mayfly.dev/virtual-namespace': 'default',
        'mayfly.dev/virtual-uid': metadata.uid,
        'mayfly.dev/store-uid': 'store-1',
      },
      ownerReferences: [{ name: 'vc-anchor' }],
    });
  });

  it('waits for the root certificate, which the cluster makes a moment after a namespace', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web', usesConfig('kube-root-ca.crt')));
    virtual.put(PODS, podNamed('default/other', usesConfig('nowhere')));
    await vi.waitFor(() => expect(podOnHost(host, 'default/other')).toBeDefined());
    await syncer.quiet();
    expect(podOnHost(host, 'default/web')).toBeUndefined();
    virtual.put(CONFIG_MAPS, configMap('default/kube-root-ca.crt', {}));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    expect(configMapOnHost(host, 'default/kube-root-ca.crt')).toBeDefined();
  });

  it('makes no write for objects that have not changed, not even after a restart', async () => {
    const { virtual, host } = await run();
    virtual.put(CONFIG_MAPS, configMap('default/settings', { a: '1' }));
    virtual.put(PODS, podNamed('default/web', usesConfig('settings')));
    virtual.put(SERVICES, {
      metadata: { namespace: 'default', name: 'web' },
      spec: {
        selector: { app: 'web' },
        ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
        type: 'ClusterIP',
      },
    } as Service);
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    place(host, 'default/web');
    start(host, 'default/web');
    await vi.waitFor(() => expect(podInside('default/web')?.status?.phase).toBe('Running'));
    await syncer.quiet();
    await syncer.stop();
    const before = [virtual.writes().length, host.writes().length];
    await run({ virtual, host });
    await syncer.quiet();
    expect([virtual.writes().length, host.writes().length]).toEqual(before);
  });

  it('restores a host config map that somebody edited or deleted (F13)', async () => {
    const { virtual, host } = await run();
    virtual.put(CONFIG_MAPS, configMap('default/settings', { a: '1' }));
    virtual.put(PODS, podNamed('default/web', usesConfig('settings')));
    await vi.waitFor(() => expect(configMapOnHost(host, 'default/settings')).toBeDefined());
    host.change<ConfigMap>(CONFIG_MAPS, hostKey('configmaps', 'default/settings'), (object) => {
      object.data = { a: 'edited', b: '2' };
    });
    await vi.waitFor(() => expect(configMapOnHost(host, 'default/settings')?.data).toEqual({ a: '1' }));
    host.remove(CONFIG_MAPS, hostKey('configmaps', 'default/settings'));
    await vi.waitFor(() => expect(configMapOnHost(host, 'default/settings')?.data).toEqual({ a: '1' }));
  });

  it('leaves labels and annotations of the host alone', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    host.change<Pod>(PODS, hostKey('pods', 'default/web'), ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, 'cni.example.com/ip': '10.0.0.1' };
    });
    virtual.change<Pod>(PODS, 'default/web', ({ metadata }) => {
      metadata.labels = { app: 'other' };
    });
    await vi.waitFor(() =>
      expect(Object.values(podOnHost(host, 'default/web')?.metadata.labels ?? {})).toContain('other'),
    );
    expect(podOnHost(host, 'default/web')?.metadata.annotations).toMatchObject({
      'cni.example.com/ip': '10.0.0.1',
    });
  });
});

describe('references', () => {
  it('copies config maps and secrets exactly while something refers to them', async () => {
    const { virtual, host } = await run();
    virtual.put(CONFIG_MAPS, configMap('default/settings', { a: '1' }));
    virtual.put(CONFIG_MAPS, configMap('default/unused', { a: '1' }));
    virtual.put(SECRETS, {
      metadata: { namespace: 'default', name: 'pull' },
      type: 'Opaque',
      data: {},
    } as Secret);
    virtual.put(
      PODS,
      podNamed('default/web', { ...usesConfig('settings'), imagePullSecrets: [{ name: 'pull' }] }),
    );
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    expect(configMapOnHost(host, 'default/settings')).toBeDefined();
    expect(secretOnHost(host, 'default/pull')).toBeDefined();
    virtual.remove(PODS, 'default/web');
    await vi.waitFor(() => expect(host.list(CONFIG_MAPS)).toEqual([]));
    await vi.waitFor(() => expect(host.list(SECRETS)).toEqual([]));
  });

  it('creates a pod only after everything it refers to is there', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web', usesConfig('settings')));
    virtual.put(CONFIG_MAPS, configMap('default/settings', { a: '1' }));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    const order = host
      .writes()
      .filter(({ verb }) => verb === 'create')
      .map(({ type }) => type.plural);
    expect(order.indexOf('configmaps')).toBeLessThanOrEqual(order.indexOf('pods'));
  });

  it('does not hold a pod back for what does not exist inside', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web', usesConfig('missing')));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    virtual.put(CONFIG_MAPS, configMap('default/missing', { a: '1' }));
    await vi.waitFor(() => expect(configMapOnHost(host, 'default/missing')).toBeDefined());
  });
});

describe('whose an object is', () => {
  it('finds the host pod again that it created before a crash, and makes no second one (F12)', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.stop();
    place(host, 'default/web');
    start(host, 'default/web');
    await run({ virtual, host });
    await vi.waitFor(() => expect(podInside('default/web')?.status?.phase).toBe('Running'));
    expect(host.list(PODS)).toHaveLength(1);
    expect(host.writes().filter(({ verb, type }) => verb === 'create' && type === PODS)).toHaveLength(1);
  });

  it('never touches an object of somebody else that has the same name (T10)', async () => {
    const host = createMemoryApiServer();
    const [namespace = '', name = ''] = hostKey('pods', 'default/web').split('/');
    const theirs = host.put(PODS, {
      metadata: {
        namespace,
        name,
        labels: { 'mayfly.dev/cluster': 'other' },
        annotations: { 'mayfly.dev/virtual-uid': 'x', 'mayfly.dev/store-uid': 'store-1' },
      },
    });
    const { virtual } = await run({ host });
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1));
    expect(syncer.eventsOn('web')[0]).toMatchObject({ reason: 'SyncRefused', type: 'Warning' });
    expect(host.get(PODS, `${namespace}/${name}`)).toEqual(theirs);
  });

  it('deletes host objects whose virtual object went while nobody watched (F4)', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.stop();
    virtual.remove(PODS, 'default/web');
    await run({ virtual, host });
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeUndefined());
  });

  it('deletes nothing when the store was replaced while nobody watched', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await syncer.stop();
    const replaced = createMemoryApiServer();
    replaced.put(NAMESPACES, { metadata: { name: 'kube-system', uid: 'store-2' } });
    replaced.put(PODS, podNamed('default/web'));
    await run({ virtual: replaced, host });
    await vi.waitFor(() => expect(syncer.eventsOn('web')).toHaveLength(1));
    await syncer.quiet();
    expect(podOnHost(host, 'default/web')?.metadata.annotations?.['mayfly.dev/store-uid']).toBe('store-1');
    expect(host.writes().filter(({ verb }) => verb !== 'create')).toEqual([]);
    expect(syncer.eventsOn('web').map(({ reason }) => reason)).toEqual(['StoreReplaced']);
  });

  it('deletes nothing when the store is emptied under its eyes, even before it sees the new kube-system', async () => {
    const { virtual, host } = await run();
    virtual.put(PODS, podNamed('default/web'));
    virtual.put(SERVICES, {
      metadata: { namespace: 'default', name: 'web' },
      spec: { ports: [{ port: 80 }] },
    } as Service);
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    await vi.waitFor(() => expect(host.list(SERVICES)).toHaveLength(1));
    // The namespaces disappear from the API, and the syncer's own copy of them is kept behind.
    virtual.intercept = ({ verb, type }) => {
      if (verb === 'get' && type === NAMESPACES) {
        throw new KubeError({
          status: 404,
          reason: 'NotFound',
          message: 'namespaces "kube-system" not found',
        });
      }
    };
    virtual.remove(PODS, 'default/web');
    virtual.remove(SERVICES, 'default/web');
    await syncer.quiet();
    expect(podOnHost(host, 'default/web')).toBeDefined();
    expect(host.list(SERVICES)).toHaveLength(1);
  });
});

describe('services', () => {
  const reservedFor = (clusterIP: string): Service => ({
    metadata: {
      namespace: 'host-ns',
      name: 'reserved-1',
      labels: { 'mayfly.dev/cluster': 'vc' },
      annotations: { 'mayfly.dev/reserved-at': '2026-01-01T00:00:00Z' },
    },
    spec: { clusterIP, ports: [{ port: 1 }] },
  });
  const service = (spec: Service['spec']): Service => ({
    metadata: { namespace: 'default', name: 'web' },
    spec,
  });

  it('adopts the Service that was reserved for its cluster IP, under the name it has', async () => {
    const { virtual, host } = await run();
    virtual.put(
      SERVICES,
      service({ clusterIP: '10.96.7.7', selector: { app: 'web' }, ports: [{ port: 80 }] }),
    );
    host.put(SERVICES, reservedFor('10.96.7.7'));
    await vi.waitFor(() =>
      expect(host.list<Service>(SERVICES)[0]?.metadata.annotations).toMatchObject({
        'mayfly.dev/virtual-name': 'web',
      }),
    );
    const [adopted, ...others] = host.list<Service>(SERVICES);
    expect(others).toEqual([]);
    expect(adopted?.metadata.name).toBe('reserved-1');
    expect(adopted?.metadata.annotations).not.toHaveProperty(['mayfly.dev/reserved-at']);
    expect(adopted?.spec).toMatchObject({ clusterIP: '10.96.7.7', ports: [{ port: 80 }] });
  });

  it('mirrors endpoints that were there before their Service was adopted', async () => {
    const { virtual, host } = await run();
    virtual.put(SERVICES, service({ clusterIP: '10.96.7.7', ports: [{ port: 80 }] }));
    virtual.put<EndpointSlice>(ENDPOINT_SLICES, {
      metadata: { namespace: 'default', name: 'early', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['203.0.113.7'] }],
    });
    host.put(SERVICES, reservedFor('10.96.7.7'));
    await vi.waitFor(() => expect(host.list(ENDPOINT_SLICES)).toHaveLength(1));
    expect(host.list(SERVICES)).toHaveLength(1);
  });

  it('mirrors hand-made endpoints of a Service without a selector, and no others', async () => {
    const { virtual, host } = await run();
    virtual.put(SERVICES, service({ ports: [{ port: 80 }] }));
    const slice = (name: string, address: string): EndpointSlice => ({
      metadata: { namespace: 'default', name, labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address] }],
    });
    virtual.put(ENDPOINT_SLICES, slice('by-hand', '203.0.113.7'));
    virtual.put(ENDPOINT_SLICES, slice('metadata', '169.254.169.254'));
    await vi.waitFor(() => expect(host.list(ENDPOINT_SLICES)).toHaveLength(1));
    await vi.waitFor(() => expect(syncer.eventsOn('metadata')).toMatchObject([{ reason: 'SyncRefused' }]));
    const hostService = host.list<Service>(SERVICES)[0]?.metadata.name;
    expect(host.list<EndpointSlice>(ENDPOINT_SLICES)[0]).toMatchObject({
      metadata: { labels: { 'kubernetes.io/service-name': hostService } },
      endpoints: [{ addresses: ['203.0.113.7'] }],
    });
    virtual.change<Service>(SERVICES, 'default/web', ({ spec }) => {
      if (spec) spec.selector = { app: 'web' };
    });
    await vi.waitFor(() => expect(host.list(ENDPOINT_SLICES)).toEqual([]));
  });

  it.each([
    ['of the slice', 'fd00::7', 'fd00:0:0::0007'],
    ['of the Service', 'FD00:0::7', 'fd00::7'],
  ])(
    'knows an address of the host in whatever way it is written, %s for one',
    async (_, clusterIP, address) => {
      const { virtual, host } = await run();
      virtual.put(SERVICES, service({ clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80 }] }));
      const slice: EndpointSlice = {
        metadata: { namespace: 'default', name: 'loop', labels: { 'kubernetes.io/service-name': 'web' } },
        addressType: 'IPv6',
        endpoints: [{ addresses: [address] }],
      };
      virtual.put(ENDPOINT_SLICES, slice);
      host.put(SERVICES, reservedFor(clusterIP));
      await vi.waitFor(() => expect(syncer.eventsOn('loop')).toMatchObject([{ reason: 'SyncRefused' }]));
      expect(host.list(ENDPOINT_SLICES)).toEqual([]);
    },
  );

  it('never copies the two Services that the chart has on the host already', async () => {
    const { virtual, host } = await run();
    virtual.put(SERVICES, {
      metadata: { namespace: 'default', name: 'kubernetes' },
      spec: { ports: [] },
    } as Service);
    virtual.put(SERVICES, {
      metadata: { namespace: 'kube-system', name: 'kube-dns' },
      spec: { ports: [] },
    } as Service);
    await syncer.quiet();
    expect(host.list(SERVICES)).toEqual([]);
  });
});
