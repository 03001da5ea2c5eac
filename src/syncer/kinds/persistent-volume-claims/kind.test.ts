import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  hostKey,
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import {
  EVENTS,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
  VOLUME_SNAPSHOTS,
} from '../../../kube/resource.ts';
import { RefusedError } from '../../kind.ts';
import type {
  Event,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
} from '../../objects.ts';
import { persistentVolumeClaims } from './kind.ts';

const claim = (spec: Partial<PersistentVolumeClaimSpec> = {}, name = 'data'): PersistentVolumeClaim => ({
  metadata: { namespace: 'default', name, uid: `uid-of-${name}` },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  status: { phase: 'Pending' },
});
const bound = (volumeName: string, storage = '1Gi'): Partial<PersistentVolumeClaim> => ({
  spec: { ...claim().spec, storageClassName: 'fast', volumeName },
  status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage } },
});
const context = translationContext();

describe('a claim on the host', () => {
  it.each<[string, Partial<PersistentVolumeClaimSpec>, Partial<PersistentVolumeClaimSpec>]>([
    ['has what a provisioner needs', { storageClassName: 'fast', volumeMode: 'Block' }, {}],
    [
      'is filled from the copy of another claim',
      { dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'other' } },
      {
        dataSourceRef: {
          kind: 'PersistentVolumeClaim',
          name: context.hostName(PERSISTENT_VOLUME_CLAIMS, { namespace: 'default', name: 'other' }),
        },
      },
    ],
    [
      'is filled from the copy of a snapshot',
      { dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 'before' } },
      {
        dataSource: {
          apiGroup: 'snapshot.storage.k8s.io',
          kind: 'VolumeSnapshot',
          name: context.hostName(VOLUME_SNAPSHOTS, { namespace: 'default', name: 'before' }),
        },
      },
    ],
  ])('%s', (_, spec, changed) => {
    expect(persistentVolumeClaims.toHost(claim(spec), context)?.spec).toEqual({
      ...claim(spec).spec,
      ...changed,
    });
  });

  it.each<[string, Partial<PersistentVolumeClaimSpec>, string]>([
    ['chooses by labels', { selector: { matchLabels: { a: 'b' } } }, 'spec.selector: '],
    ['wants no class', { storageClassName: '' }, 'spec.storageClassName: '],
    [
      'is filled by a populator',
      { dataSource: { apiGroup: 'x.io', kind: 'Populator', name: 'p' } },
      'spec.dataSource: ',
    ],
    [
      'is filled from another namespace',
      { dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'p', namespace: 'other' } },
      'spec.dataSourceRef.namespace: ',
    ],
  ])('is refused when it %s (T2)', (_, spec, message) => {
    expect(() => persistentVolumeClaims.toHost(claim(spec), context)).toThrow(message);
  });

  it('never has a volume of the tenant’s choice (T2)', () => {
    expect(persistentVolumeClaims.toHost(claim({ volumeName: 'pv-1' }), context)?.spec).not.toHaveProperty(
      'volumeName',
    );
    const step = (host?: PersistentVolumeClaim) => () =>
      persistentVolumeClaims.step?.(claim({ volumeName: 'pv-1' }), host);
    expect(step()).toThrow(RefusedError);
    expect(step({ ...claim(), ...bound('pv-2') })).toThrow('spec.volumeName: ');
    expect(step({ ...claim(), ...bound('pv-1') })()).toBeUndefined();
  });

  it('keeps what the host decided when the request grows', () => {
    const host = { ...claim(), ...bound('pv-1') };
    const grown = claim({ resources: { requests: { storage: '2Gi' } } });
    expect(persistentVolumeClaims.merge(host, grown).spec).toEqual({
      ...host.spec,
      resources: { requests: { storage: '2Gi' } },
    });
  });
});

describe('what flows back to a claim', () => {
  const volume = (uid: string, phase = 'Bound'): PersistentVolume => ({
    metadata: { name: 'pv-1' },
    spec: { claimRef: { namespace: 'default', name: 'data', uid } },
    status: { phase },
  });
  const host: PersistentVolumeClaim = {
    metadata: {
      namespace: 'host-ns',
      name: 'data-default-vc-x',
      annotations: {
        'pv.kubernetes.io/bind-completed': 'yes',
        'volume.kubernetes.io/selected-node': 'node-1',
        'example.com/x': 'y',
      },
    },
    ...bound('pv-1'),
    status: {
      ...bound('pv-1').status,
      conditions: [{ type: 'Resizing', status: 'True', message: 'resizing data-default-vc-x' }],
    },
  };

  it('is its volume, class and size, with the names inside', () => {
    const shown = translationContext({ persistentVolumes: [volume('uid-of-data')] });
    expect(persistentVolumeClaims.toVirtual?.(host, claim(), shown)).toEqual({
      metadata: { ...claim().metadata, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
      spec: { ...claim().spec, storageClassName: 'fast', volumeName: 'pv-1' },
      status: {
        ...bound('pv-1').status,
        conditions: [{ type: 'Resizing', status: 'True', message: 'resizing data' }],
      },
    });
  });

  it.each([
    ['is not shown', []],
    ['is of another claim', [volume('uid-of-another')]],
    ['is not bound yet', [volume('uid-of-data', 'Pending')]],
  ])('waits while the volume %s', (_, persistentVolumes) => {
    const before = claim();
    expect(persistentVolumeClaims.toVirtual?.(host, before, translationContext({ persistentVolumes }))).toBe(
      before,
    );
  });
});

describe('the life of a claim', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const inside = () => syncer.virtual.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'default/data');
  const hostName = hostKey('persistentvolumeclaims', 'default/data');
  const onHost = () => syncer.host.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, hostName);
  const eventsOn = (name: string) =>
    syncer.virtual.list<Event>(EVENTS).filter(({ involvedObject }) => involvedObject.name === name);

  async function create(spec?: Partial<PersistentVolumeClaimSpec>) {
    syncer.virtual.put(PERSISTENT_VOLUME_CLAIMS, claim(spec));
    await vi.waitFor(() => expect(onHost()).toBeDefined());
  }
  /** What the host's controllers do. */
  function bind(storage?: string) {
    syncer.host.put<PersistentVolume>(PERSISTENT_VOLUMES, {
      metadata: { name: 'pv-1' },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        claimRef: { namespace: 'host-ns', name: hostName.split('/')[1], uid: onHost()?.metadata.uid },
      },
      status: { phase: 'Bound' },
    });
    syncer.host.change<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, hostName, (object) =>
      Object.assign(object, bound('pv-1', storage)),
    );
  }

  it('is bound inside after its volume is shown there, and lets its pod through before', async () => {
    syncer = await startSyncer();
    syncer.virtual.put(
      PODS,
      podNamed('default/web', { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] }),
    );
    await create();
    await vi.waitFor(() => expect(podOnHost(syncer.host, 'default/web')).toBeDefined());
    bind();
    await vi.waitFor(() => expect(inside()).toMatchObject(bound('pv-1')));
    const order = syncer.virtual
      .writes()
      .map(({ verb, type, subresource = '' }) => [verb, type.plural, subresource].join(' '))
      .filter((write) => write.includes('persistentvolume'));
    expect(order).toEqual([
      'create persistentvolumes ',
      'update persistentvolumes status',
      'update persistentvolumeclaims ',
      'update persistentvolumeclaims status',
    ]);
  });

  it('grows on the host when it grows inside, and says its size when the host has done it', async () => {
    syncer = await startSyncer();
    await create();
    bind();
    await vi.waitFor(() => expect(inside()?.status?.phase).toBe('Bound'));
    syncer.virtual.change<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'default/data', ({ spec }) => {
      if (spec) spec.resources = { requests: { storage: '2Gi' } };
    });
    await vi.waitFor(() => expect(onHost()?.spec?.resources?.requests?.storage).toBe('2Gi'));
    expect(onHost()?.spec?.volumeName).toBe('pv-1');
    syncer.host.change<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, hostName, ({ status }) => {
      if (status) status.capacity = { storage: '2Gi' };
    });
    await vi.waitFor(() => expect(inside()?.status?.capacity).toEqual({ storage: '2Gi' }));
  });

  it('is kept on the host until it has ended inside', async () => {
    syncer = await startSyncer();
    await create();
    syncer.virtual.change(PERSISTENT_VOLUME_CLAIMS, 'default/data', ({ metadata }) => {
      metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
      metadata.finalizers = ['kubernetes.io/pvc-protection'];
    });
    await syncer.quiet();
    expect(onHost()).toBeDefined();
    syncer.virtual.remove(PERSISTENT_VOLUME_CLAIMS, 'default/data');
    await vi.waitFor(() => expect(onHost()).toBeUndefined());
  });

  it('is lost when it is deleted on the host, and not made anew without its data (F13)', async () => {
    syncer = await startSyncer();
    await create();
    bind();
    await vi.waitFor(() => expect(inside()?.status?.phase).toBe('Bound'));
    syncer.host.remove(PERSISTENT_VOLUME_CLAIMS, hostName);
    await vi.waitFor(() => expect(inside()?.status?.phase).toBe('Lost'));
    await vi.waitFor(() => expect(eventsOn('data')[0]?.message).toContain('(ClaimLost)'));
    await syncer.quiet();
    expect(onHost()).toBeUndefined();
  });

  it('keeps its data when a tenant sets another volume while the host binds it', async () => {
    syncer = await startSyncer();
    await create();
    syncer.virtual.change<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'default/data', ({ spec }) => {
      if (spec) spec.volumeName = 'pv-of-somebody';
    });
    await vi.waitFor(() => expect(eventsOn('data')).toMatchObject([{ reason: 'SyncRefused' }]));
    bind();
    await syncer.quiet();
    expect(onHost()?.spec?.volumeName).toBe('pv-1');
    expect(inside()?.status?.phase).toBe('Pending');
  });

  it('is the claim of an ephemeral volume for the pod on the host too', async () => {
    syncer = await startSyncer();
    const ephemeral = { volumeClaimTemplate: { spec: {} } };
    syncer.virtual.put(PODS, podNamed('default/web', { volumes: [{ name: 'scratch', ephemeral }] }));
    syncer.virtual.put(PERSISTENT_VOLUME_CLAIMS, claim({}, 'web-scratch'));
    await vi.waitFor(() => expect(podOnHost(syncer.host, 'default/web')).toBeDefined());
    const copy = hostKey('persistentvolumeclaims', 'default/web-scratch');
    await vi.waitFor(() => expect(syncer.host.get(PERSISTENT_VOLUME_CLAIMS, copy)).toBeDefined());
    expect(podOnHost(syncer.host, 'default/web')?.spec?.volumes?.[0]).toEqual({
      name: 'scratch',
      persistentVolumeClaim: { claimName: copy.split('/')[1] },
    });
  });
});
