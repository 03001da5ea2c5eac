// What of the objects that tenants make arrives on the host: no volumes, and of metadata nothing that means something there.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotFound } from '../../../src/kube/errors.ts';
import {
  CONFIG_MAPS,
  ENDPOINT_SLICES,
  INGRESSES,
  type KubeObject,
  NETWORK_POLICIES,
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../../../src/kube/resource.ts';
import type {
  ConfigMap,
  EndpointSlice,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Service,
} from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const CLUSTER = 'threats';
let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads(CLUSTER, { 'sync.serviceAccounts.enabled': 'true' });
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside.client;
const host = () => work.host.client;
const there = (name: string) => ({ namespace: work.hostNamespace, name });
const base64 = (text: string) => Buffer.from(text).toString('base64');
const copied = <T extends KubeObject>(type: ResourceType, name: string) =>
  eventually(() => work.onHost<T>(type, name), {
    what: `the host has a copy of ${type.kind} ${name}`,
    timeoutMs: 60_000,
  });
const claimed = (spec: PersistentVolumeClaim['spec'] = {}) => ({
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: '8Mi' } },
  ...spec,
});

describe('T2: a volume that a tenant makes', () => {
  const linux = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] };
  const sources: [string, Partial<PersistentVolume['spec']>][] = [
    ['hostPath', { hostPath: { path: '/' } }],
    [
      'local',
      {
        local: { path: '/' },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [linux] }] } },
      },
    ],
    ['csi', { csi: { driver: 'csi.example.com', volumeHandle: 'of-somebody-else' } }],
    ['nfs', { nfs: { server: '10.0.0.1', path: '/' } }],
  ];

  it.each(sources)('of the type %s stays inside, and with it whatever asks for it', async (type, source) => {
    const name = `${CLUSTER}-${type.toLowerCase()}-${work.hostNamespace}`;
    const storageClassName = `${name}-class`;
    const volume: PersistentVolume = {
      metadata: { name },
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: { storage: '8Mi' },
        storageClassName,
        claimRef: named(name),
        ...source,
      },
    };
    await inside().create(PERSISTENT_VOLUMES, volume, call());
    await inside().create<PersistentVolumeClaim>(
      PERSISTENT_VOLUME_CLAIMS,
      { metadata: named(name), spec: claimed({ storageClassName }) },
      call(),
    );
    await work.create(
      podRunning(name, 'true', {
        container: { volumeMounts: [{ name: 'stolen', mountPath: '/stolen' }] },
        volumes: [{ name: 'stolen', persistentVolumeClaim: { claimName: name } }],
      }),
    );
    await work.podWhere(name, 'waits for its volume', ({ status }) =>
      Boolean(status?.conditions?.some(({ reason }) => reason === 'Unschedulable')),
    );
    await expect(host().get(PERSISTENT_VOLUMES, { name }, call())).rejects.toSatisfy(isNotFound);
    const copy = await copied<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, name);
    expect(copy.status?.phase).toBe('Pending');
    await inside().delete(PODS, named(name), { ...call(), gracePeriodSeconds: 0 });
  });

  it('cannot be bound by its name on the host', async () => {
    const name = `landlord-${work.hostNamespace}`;
    const theirs: PersistentVolume = {
      metadata: { name },
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: { storage: '8Mi' },
        storageClassName: name,
        hostPath: { path: '/tmp' },
      },
    };
    await host().create(PERSISTENT_VOLUMES, theirs, call());
    try {
      const claim = {
        metadata: named('by-name'),
        spec: claimed({ storageClassName: name, volumeName: name }),
      };
      await inside().create<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, claim, call());
      const [told] = await work.warnings('by-name');
      expect(told).toMatchObject({
        reason: 'SyncRefused',
        message: expect.stringMatching(/^spec\.volumeName: /),
      });
      expect(await work.onHost(PERSISTENT_VOLUME_CLAIMS, 'by-name')).toBeUndefined();
      const { spec, status } = await host().get<PersistentVolume>(PERSISTENT_VOLUMES, { name }, call());
      expect(spec).not.toHaveProperty('claimRef');
      expect(status?.phase).toBe('Available');
    } finally {
      await host().delete(PERSISTENT_VOLUMES, { name }, call());
    }
  });
});

describe('T14: a Service', () => {
  const ports = [{ port: 80 }];
  const served = (name: string, spec: Service['spec']) =>
    inside().create<Service>(SERVICES, { metadata: named(name), spec }, call());

  it('takes no address of others', async () => {
    await served('taker', {
      selector: { app: 'x' },
      ports,
      externalIPs: ['192.0.2.1'],
    });
    const { spec } = await copied<Service>(SERVICES, 'taker');
    expect(spec).not.toHaveProperty('externalIPs');
    expect(await work.warnings('taker')).toMatchObject([
      { reason: 'FieldDropped', message: expect.stringMatching(/^spec\.externalIPs: /) },
    ]);
  });

  it.each(['NodePort', 'LoadBalancer'])(
    'has nothing of the host’s that its quota does not give (%s)',
    async (type) => {
      await expect(served(type.toLowerCase(), { type, ports })).rejects.toThrow(/exceeded quota/);
      expect(await work.find(SERVICES, type.toLowerCase())).toBeUndefined();
    },
  );

  it('is no alias on the host', async () => {
    await served('alias', { type: 'ExternalName', externalName: 'kubernetes.default.svc.cluster.local' });
    await served('after-alias', { ports });
    await copied(SERVICES, 'after-alias');
    expect(await work.onHost(SERVICES, 'alias')).toBeUndefined();
  });

  it('leads by no hand-made slice to machines of the host or to what they only have among themselves', async () => {
    await served('leads', { ports });
    const { items: nodes } = await host().list<Node>(NODES, call());
    const apis = await host().get<EndpointSlice>(
      ENDPOINT_SLICES,
      { namespace: 'default', name: 'kubernetes' },
      call(),
    );
    const own = await inside().get<Service>(SERVICES, named('kubernetes'), call());
    const addresses = {
      metadata: '169.254.169.254',
      loopback: '127.0.0.1',
      node: nodes[0]?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address,
      api: apis.endpoints?.[0]?.addresses[0],
      'own-api': own.spec?.clusterIP,
    };
    for (const [name, address = ''] of Object.entries(addresses)) {
      const metadata = { ...named(name), labels: { 'kubernetes.io/service-name': 'leads' } };
      const endpoints = [{ addresses: [address], conditions: { ready: true } }];
      const slice = { metadata, addressType: 'IPv4', endpoints, ports };
      // Some are refused by the API inside already.
      const isMade = await inside()
        .create<EndpointSlice>(ENDPOINT_SLICES, slice, call())
        .then(
          () => true,
          (error: Error) => !/link-local|loopback/.test(error.message),
        );
      if (isMade) expect(await work.warnings(name)).toMatchObject([{ reason: 'SyncRefused' }]);
      expect(await work.onHost(ENDPOINT_SLICES, name)).toBeUndefined();
    }
  });
});

describe('what a tenant writes on its objects', () => {
  const WRITTEN = 'written-by-the-tenant';
  const labels = Object.fromEntries(
    [
      ...[
        'mayfly.dev/cluster',
        'mayfly.dev/virtual-namespace',
        'mayfly.dev/open-ingress',
        'l.mayfly.dev/app',
      ],
      ...['app.kubernetes.io/managed-by', 'istio.io/rev', 'k8s-app'],
    ].map((key) => [key, WRITTEN]),
  );
  const annotations = Object.fromEntries(
    [
      ...['mayfly.dev/virtual-uid', 'mayfly.dev/virtual-name', 'mayfly.dev/virtual-namespace'],
      ...['mayfly.dev/store-uid', 'mayfly.dev/reserved-at', 'mayfly.dev/passed-annotations'],
      ...['mayfly.dev/tokens-of', 'mayfly.dev/from-host', 'a.mayfly.dev/note'],
      ...['nginx.ingress.kubernetes.io/server-snippet', 'sidecar.istio.io/inject', 'prometheus.io/scrape'],
      ...['service.beta.kubernetes.io/aws-load-balancer-type', 'eks.amazonaws.com/role-arn'],
    ].map((key) => [key, WRITTEN]),
  );
  const HELD = 'example.com/held';
  const pod = { matchLabels: { app: 'marked' } };
  const backend = { service: { name: 'marked', port: { number: 80 } } };
  const { spec: podSpec } = podRunning('marked', 'true', {
    serviceAccountName: 'marked',
    container: {
      envFrom: [{ configMapRef: { name: 'marked' } }, { secretRef: { name: 'marked' } }],
    },
  });
  /** In the order in which one needs the other. */
  const OBJECTS: [ResourceType, object, Record<string, string>?][] = [
    [SERVICE_ACCOUNTS, {}],
    [CONFIG_MAPS, { data: { a: '1' } }],
    [SECRETS, { data: { b: base64('2') } }],
    [NETWORK_POLICIES, { spec: { podSelector: pod, policyTypes: ['Ingress'] } }],
    [PODS, { spec: podSpec }, { app: 'marked' }],
    [
      SERVICES,
      { spec: { selector: { ...pod.matchLabels, 'mayfly.dev/cluster': WRITTEN }, ports: [{ port: 80 }] } },
    ],
    [
      ENDPOINT_SLICES,
      { addressType: 'IPv4', endpoints: [{ addresses: ['192.0.2.7'] }], ports: [{ port: 80 }] },
      { 'kubernetes.io/service-name': 'bare' },
    ],
    [PERSISTENT_VOLUME_CLAIMS, { spec: claimed() }],
    [INGRESSES, { spec: { defaultBackend: backend } }],
    [POD_DISRUPTION_BUDGETS, { spec: { minAvailable: 1, selector: pod } }],
  ];
  const pairs = new Map<ResourceType, { object: KubeObject; copy: KubeObject }>();
  function pairOf(type: ResourceType) {
    const pair = pairs.get(type);
    if (!pair) throw new Error(`there is no ${type.kind}`);
    return pair;
  }

  beforeAll(async () => {
    const owner = await inside().create<ConfigMap>(CONFIG_MAPS, { metadata: named('owner') }, call());
    await inside().create<Service>(
      SERVICES,
      { metadata: named('bare'), spec: { ports: [{ port: 80 }] } },
      call(),
    );
    const ownerReferences = [
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid ?? '' },
    ];
    for (const [type, body, more] of OBJECTS) {
      const metadata = {
        ...named('marked'),
        labels: { ...labels, ...more },
        annotations,
        ownerReferences,
        finalizers: [HELD],
      };
      await eventually(
        async () =>
          inside().apply<KubeObject>(
            type,
            { ...body, metadata },
            { ...call(), fieldManager: WRITTEN, force: true },
          ),
        { what: `${type.kind} is admitted`, timeoutMs: 30_000 },
      );
    }
    for (const [type] of OBJECTS) {
      const copy = await copied(type, 'marked');
      pairs.set(type, { object: await inside().get(type, named('marked'), call()), copy });
    }
  });

  it.each(OBJECTS.map(([type]) => [type.kind, type] as const))(
    'T5: arrives under no key of its own on the host (%s)',
    (_, type) => {
      const {
        object,
        copy: { metadata },
      } = pairOf(type);
      expect(metadata.labels).toMatchObject({
        'mayfly.dev/cluster': CLUSTER,
        'mayfly.dev/virtual-namespace': 'default',
      });
      expect(metadata.annotations).toMatchObject({
        'mayfly.dev/virtual-name': 'marked',
        'mayfly.dev/virtual-namespace': 'default',
        'mayfly.dev/virtual-uid': object.metadata.uid,
      });
      const marks = [metadata.annotations, metadata.labels];
      const arrived = marks
        .flatMap((map) => Object.entries(map ?? {}))
        .filter(([, value]) => value === WRITTEN)
        .map(([key]) => key);
      // Selectors need labels of pods, which have keys of ours for that.
      const isHashed = (key: string) => /^l\.mayfly\.dev\/.+-[a-z2-7]{10}$/.test(key);
      expect(arrived.filter((key) => type !== PODS || !isHashed(key))).toEqual([]);
    },
  );

  it('T5: opens no pod that a policy closes, and selects none of others', () => {
    const labelsOf = pairOf(PODS).copy.metadata.labels;
    expect(labelsOf).not.toHaveProperty(['mayfly.dev/open-ingress']);
    expect(labelsOf).toHaveProperty(['mayfly.dev/open-egress'], 'true');
    const service = pairOf(SERVICES).copy as Service;
    expect(service.spec?.selector).toMatchObject({
      'mayfly.dev/cluster': CLUSTER,
      'mayfly.dev/virtual-namespace': 'default',
    });
  });

  it.each(OBJECTS.map(([type]) => [type.kind, type] as const))(
    'T6: gives its copy no owner, finalizer or manager (%s)',
    async (_, type) => {
      const { object, copy } = pairOf(type);
      const anchor = await host().get(CONFIG_MAPS, there(`${CLUSTER}-anchor`), call());
      const {
        ownerReferences = [],
        finalizers = [],
        managedFields = [],
      } = copy.metadata as KubeObject['metadata'] & {
        managedFields?: { manager: string }[];
      };
      expect(ownerReferences).toMatchObject([{ kind: 'ConfigMap', uid: anchor.metadata.uid }]);
      expect(object.metadata.finalizers).toContain(HELD);
      expect(finalizers.filter((finalizer) => !finalizer.startsWith('kubernetes.io/'))).toEqual([]);
      expect(managedFields.map(({ manager }) => manager)).not.toContain(WRITTEN);
      expect(managedFields.length).toBeGreaterThan(0);
    },
  );
});
