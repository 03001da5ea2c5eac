// Whom the names that tenants write lead to: their own objects and nobody else's, also where an object of somebody else has the
// very name, inside or on the host.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CONFIG_MAPS,
  INGRESSES,
  type KubeObject,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICES,
} from '../../../src/kube/resource.ts';
import { hostName } from '../../../src/syncer/names.ts';
import type {
  ConfigMap,
  Ingress,
  PersistentVolumeClaim,
  Pod,
  PodSpec,
  Secret,
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
  work = await createVirtualWorkloads(CLUSTER);
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
const CLAIM = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '8Mi' } } };

describe('T8: a name inside', () => {
  /** Of somebody else, in the very namespace; and of the control plane itself. */
  const SECRET_NAMES = ['landlord', `${CLUSTER}-certificates`, `${CLUSTER}-kubeconfig`];
  const MAP_NAMES = ['landlord', `${CLUSTER}-configuration`];
  const optional = true;

  function asksForAll(): Partial<PodSpec> & { container: object } {
    const volumes: NonNullable<PodSpec['volumes']> = [
      ...SECRET_NAMES.map((secretName) => ({ name: `s-${secretName}`, secret: { secretName, optional } })),
      ...MAP_NAMES.map((name) => ({ name: `m-${name}`, configMap: { name, optional } })),
      {
        name: 'projected',
        projected: {
          sources: [
            ...SECRET_NAMES.map((name) => ({ secret: { name, optional } })),
            ...MAP_NAMES.map((name) => ({ configMap: { name, optional } })),
          ],
        },
      },
    ];
    return {
      container: {
        envFrom: [
          ...SECRET_NAMES.map((name) => ({ secretRef: { name, optional } })),
          ...MAP_NAMES.map((name) => ({ configMapRef: { name, optional } })),
        ],
        env: [
          {
            name: 'ONE',
            valueFrom: { secretKeyRef: { name: 'landlord', key: 'password', optional } },
          },
        ],
        volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/asked/${name}` })),
      },
      imagePullSecrets: [{ name: 'landlord' }],
      volumes,
    };
  }
  const allThatItSees = (pod: string) =>
    work.output(
      pod,
      'sh',
      '-c',
      'env; find /asked -type f -exec cat {} +; find -L /asked -type f -exec cat {} +',
    );

  beforeAll(async () => {
    await host().create<Secret>(
      SECRETS,
      { metadata: there('landlord'), data: { password: base64('of-the-host') } },
      call(),
    );
    await host().create<ConfigMap>(
      CONFIG_MAPS,
      { metadata: there('landlord'), data: { setting: 'of-the-host' } },
      call(),
    );
    await host().create<Service>(
      SERVICES,
      { metadata: there('landlord'), spec: { ports: [{ port: 80 }] } },
      call(),
    );
    await host().create<PersistentVolumeClaim>(
      PERSISTENT_VOLUME_CLAIMS,
      { metadata: there('landlord'), spec: CLAIM },
      call(),
    );
  });

  it('means nothing of that name on the host, wherever a pod may say it', async () => {
    await work.create(podRunning('reader', 'true', asksForAll()));
    await work.running('reader');
    const seen = await allThatItSees('reader');
    expect(seen).not.toMatch(/of-the-host|PRIVATE KEY|client-key-data|apiVersion/);
    expect(await work.output('reader', 'sh', '-c', 'find -L /asked -type f | wc -l')).toBe('0');
    const { spec } = await copied<Pod>(PODS, 'reader');
    expect(spec?.imagePullSecrets).toHaveLength(1);
    expect(spec?.imagePullSecrets).not.toContainEqual({ name: 'landlord' });
  });

  it('that must be there is missing, although the host has it', async () => {
    const env = [{ name: 'ONE', valueFrom: { secretKeyRef: { name: 'landlord', key: 'password' } } }];
    await work.create(podRunning('insists', 'true', { container: { env } }));
    const pod = await work.podWhere('insists', 'is told what is missing', ({ status }) =>
      Boolean(status?.containerStatuses?.[0]?.state?.waiting?.message),
    );
    expect(pod.status?.containerStatuses?.[0]?.state?.waiting).toMatchObject({
      reason: 'CreateContainerConfigError',
      message: 'secret "landlord" not found',
    });
  });

  it('of a claim is not the host’s claim', async () => {
    await work.create(
      podRunning('squatter', 'true', {
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'landlord' } }],
      }),
    );
    await work.podWhere('squatter', 'has no claim', ({ status }) =>
      Boolean(status?.conditions?.some(({ reason }) => reason === 'Unschedulable')),
    );
    const theirs = await host().get<PersistentVolumeClaim>(
      PERSISTENT_VOLUME_CLAIMS,
      there('landlord'),
      call(),
    );
    expect(theirs.status?.phase).toBe('Pending');
  });

  it('in an Ingress is neither the host’s certificate nor its Service', async () => {
    const spec = {
      defaultBackend: { service: { name: 'landlord', port: { number: 80 } } },
      tls: [{ hosts: ['shop.example.com'], secretName: 'landlord' }],
    };
    await inside().create<Ingress>(INGRESSES, { metadata: named('shop'), spec }, call());
    const copy = await copied<Ingress>(INGRESSES, 'shop');
    expect(copy.spec?.tls?.[0]?.secretName).toMatch(/^landlord-default-/);
    expect(copy.spec?.defaultBackend?.service?.name).toMatch(/^landlord-default-/);
  });

  it('means the tenant’s own object once there is one', async () => {
    const data = { password: base64('of-the-tenant') };
    await inside().create<Secret>(SECRETS, { metadata: named('landlord'), data }, call());
    await inside().create<ConfigMap>(
      CONFIG_MAPS,
      { metadata: named('landlord'), data: { setting: 'of-the-tenant' } },
      call(),
    );
    await work.create(podRunning('reader-too', 'true', asksForAll()));
    await work.running('reader-too');
    const seen = await allThatItSees('reader-too');
    expect(seen).toMatch(/^ONE=of-the-tenant$/m);
    expect(seen).toMatch(/^setting=of-the-tenant$/m);
    expect(seen).not.toContain('of-the-host');
  });
});

describe('T10: an object of somebody else under the name of a copy', () => {
  const BODIES: [ResourceType, object][] = [
    [CONFIG_MAPS, { data: { whose: 'theirs' } }],
    [SECRETS, { data: { whose: base64('theirs') } }],
    // Nobody schedules it, so nothing but the syncer could change it.
    [PODS, { spec: { ...podRunning('x').spec, schedulerName: 'nobody' } }],
    [SERVICES, { spec: { clusterIP: 'None', selector: { whose: 'theirs' }, ports: [{ port: 80 }] } }],
    [PERSISTENT_VOLUME_CLAIMS, { spec: CLAIM }],
  ];
  const nameOf = ({ plural }: ResourceType) => `taken-${plural}`;
  const placeOf = (type: ResourceType) => there(hostName(CLUSTER, type.plural, named(nameOf(type))));
  const theirs = new Map<string, KubeObject>();
  const untouched = async (type: ResourceType) => {
    const { metadata: before, ...bodyBefore } = theirs.get(type.plural) ?? { metadata: {} };
    const { metadata, ...body } = await host().get<KubeObject>(type, placeOf(type), call());
    const whole = ({
      uid,
      labels,
      annotations,
      ownerReferences,
      deletionTimestamp,
    }: KubeObject['metadata']) => ({
      uid,
      labels,
      annotations,
      ownerReferences,
      deletionTimestamp,
    });
    expect(whole(metadata)).toEqual(whole(before));
    const { status: _, ...own } = body as { status?: unknown };
    const { status: __, ...ownBefore } = bodyBefore as { status?: unknown };
    expect(own).toEqual(ownBefore);
  };

  beforeAll(async () => {
    for (const [type, body] of BODIES) {
      const made = await host().create<KubeObject>(type, { ...body, metadata: placeOf(type) }, call());
      theirs.set(type.plural, made);
    }
    for (const [type, body] of BODIES) {
      const { schedulerName: _, ...spec } = (body as { spec?: PodSpec }).spec ?? {};
      const own = type === PODS ? { spec } : body;
      await inside().create<KubeObject>(type, { ...own, metadata: named(nameOf(type)) }, call());
    }
    await work.create(
      podRunning('uses-taken', 'true', {
        container: {
          envFrom: [
            { configMapRef: { name: nameOf(CONFIG_MAPS) } },
            { secretRef: { name: nameOf(SECRETS) } },
          ],
        },
      }),
    );
  });

  it.each(BODIES.map(([type]) => [type.kind, type] as const))(
    'is neither adopted nor changed, and that is told without its name (%s)',
    async (_, type) => {
      const [told] = await work.warnings(nameOf(type));
      expect(told).toMatchObject({
        reason: 'SyncRefused',
        message: expect.stringContaining('somebody else'),
      });
      expect(told?.message).not.toContain(placeOf(type).name);
      expect(told?.message).not.toContain(work.hostNamespace);
      await untouched(type);
    },
  );

  it('is read by no pod that refers to it', async () => {
    const { status } = (await work.find<Pod>(PODS, 'uses-taken')) ?? {};
    expect(status?.phase).toBe('Pending');
    expect(await work.onHost(PODS, 'uses-taken')).toBeUndefined();
  });

  it('outlives the original', async () => {
    for (const [type] of BODIES)
      await inside().delete(type, named(nameOf(type)), { ...call(), gracePeriodSeconds: 0 });
    for (const [type] of BODIES) await work.gone(type, nameOf(type));
    // What comes after is looked at after.
    await work.create(podRunning('after'));
    await copied(PODS, 'after');
    for (const [type] of BODIES) await untouched(type);
  });

  it('is not taken for a copy by its marks, when they name another owner', async () => {
    const marked = {
      metadata: {
        ...there('marked-by-hand'),
        labels: { 'mayfly.dev/cluster': CLUSTER, 'mayfly.dev/virtual-namespace': 'default' },
        annotations: {
          'mayfly.dev/virtual-name': 'marked-by-hand',
          'mayfly.dev/virtual-namespace': 'default',
          'mayfly.dev/virtual-uid': '00000000-0000-0000-0000-000000000000',
        },
      },
      data: { whose: 'theirs' },
    };
    const before = await host().create<ConfigMap>(CONFIG_MAPS, marked, call());
    await inside().create<ConfigMap>(
      CONFIG_MAPS,
      { metadata: named('marked-by-hand'), data: { whose: 'ours' } },
      call(),
    );
    await work.create(
      podRunning('uses-marked', 'true', {
        container: { envFrom: [{ configMapRef: { name: 'marked-by-hand' } }] },
      }),
    );
    expect(await work.warnings('marked-by-hand')).toMatchObject([{ reason: 'StoreReplaced' }]);
    const after = await host().get<ConfigMap>(CONFIG_MAPS, there('marked-by-hand'), call());
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });
});
