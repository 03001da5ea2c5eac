import { afterEach, describe, expect, it, vi } from 'vitest';
import { hostKey, type SyncerHarness, startSyncer } from '../../../../test/support/syncer-harness.ts';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../../kube/resource.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../objects.ts';
import { persistentVolumes } from './kind.ts';

const CLAIM = hostKey('persistentvolumeclaims', 'default/data');

const onHost = (claimUid: string | undefined, phase = 'Bound'): PersistentVolume => ({
  metadata: {
    name: 'pv-1',
    labels: { 'example.com/rack': '7' },
    annotations: { 'pv.kubernetes.io/provisioned-by': 'csi.example.com', 'example.com/x': 'y' },
    finalizers: ['external-provisioner.volume.kubernetes.io/finalizer'],
  },
  spec: {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '1Gi' },
    persistentVolumeReclaimPolicy: 'Delete',
    storageClassName: 'fast',
    volumeMode: 'Filesystem',
    mountOptions: ['username=admin'],
    claimRef: { namespace: 'host-ns', name: CLAIM.split('/')[1], uid: claimUid, resourceVersion: '7' },
    csi: {
      driver: 'csi.example.com',
      volumeHandle: 'vol-0123',
      nodeStageSecretRef: { namespace: 'csi', name: 'admin' },
      volumeAttributes: { server: '10.0.0.9' },
    },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['node-1'] }] },
        ],
      },
    },
  },
  status: { phase },
});

describe('a PersistentVolume inside', () => {
  it('says what its claim got, and nothing of where the data are (T16)', () => {
    expect(persistentVolumes.toVirtual(onHost('x'), undefined)).toEqual({
      metadata: { name: 'pv-1', annotations: { 'pv.kubernetes.io/provisioned-by': 'csi.example.com' } },
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: { storage: '1Gi' },
        persistentVolumeReclaimPolicy: 'Delete',
        storageClassName: 'fast',
        volumeMode: 'Filesystem',
        claimRef: { namespace: 'host-ns', name: CLAIM.split('/')[1], uid: 'x' },
        csi: { driver: 'csi.example.com', volumeHandle: 'pv-1' },
        nodeAffinity: onHost('x').spec?.nodeAffinity,
      },
      status: { phase: 'Bound' },
    });
  });

  it('has a source that says nothing where the host has one of the node, or keeps it to itself', () => {
    const { csi: _, nodeAffinity: __, ...spec } = onHost('x').spec ?? {};
    const local: PersistentVolume = {
      metadata: { name: 'pv-1' },
      spec: {
        ...spec,
        hostPath: { path: '/data' },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'rack', operator: 'In', values: ['7'] }] }],
          },
        },
      },
    };
    const inside = persistentVolumes.toVirtual(local, undefined);
    expect(inside.spec?.csi).toEqual({ driver: 'host.mayfly.dev', volumeHandle: 'pv-1' });
    expect(inside.spec).not.toHaveProperty('hostPath');
    expect(inside.spec).not.toHaveProperty('nodeAffinity');
  });

  it('keeps the source it has, which may never change', () => {
    const before = persistentVolumes.toVirtual({ metadata: { name: 'pv-1' }, spec: {} }, undefined);
    expect(persistentVolumes.toVirtual(onHost('x'), before).spec?.csi).toEqual(before.spec?.csi);
  });
});

describe('the life of a PersistentVolume', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const shown = () => syncer.virtual.get<PersistentVolume>(PERSISTENT_VOLUMES, 'pv-1');
  const hostClaim = () => syncer.host.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, CLAIM);

  async function boundClaim(readsHostWide = true) {
    syncer = await startSyncer({ readsHostWide });
    const { metadata } = syncer.virtual.put<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, {
      metadata: { namespace: 'default', name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      status: { phase: 'Pending' },
    });
    await vi.waitFor(() => expect(hostClaim()).toBeDefined());
    syncer.host.put(PERSISTENT_VOLUMES, onHost(hostClaim()?.metadata.uid));
    syncer.host.change<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, CLAIM, (object) => {
      object.spec = {
        ...object.spec,
        storageClassName: 'fast',
        volumeMode: 'Filesystem',
        volumeName: 'pv-1',
      };
      object.status = { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } };
    });
    await vi.waitFor(() => expect(shown()?.status?.phase).toBe('Bound'));
    return metadata;
  }
  const endClaim = () => {
    syncer.virtual.remove(PERSISTENT_VOLUME_CLAIMS, 'default/data');
    return vi.waitFor(() => expect(hostClaim()).toBeUndefined());
  };

  it('belongs to the claim inside, and follows the host', async () => {
    const { uid } = await boundClaim();
    expect(shown()?.spec?.claimRef).toEqual({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      namespace: 'default',
      name: 'data',
      uid,
    });
    syncer.host.change<PersistentVolume>(PERSISTENT_VOLUMES, 'pv-1', ({ spec }) => {
      if (spec) spec.capacity = { storage: '2Gi' };
    });
    await vi.waitFor(() => expect(shown()?.spec?.capacity).toEqual({ storage: '2Gi' }));
    syncer.virtual.remove(PERSISTENT_VOLUMES, 'pv-1');
    await vi.waitFor(() => expect(shown()?.status?.phase).toBe('Bound'));
  });

  it('is released with its claim, and goes when the host has deleted it', async () => {
    await boundClaim();
    await endClaim();
    await vi.waitFor(() => expect(shown()?.status?.phase).toBe('Released'));
    expect(shown()?.spec?.claimRef?.name).toBe('data');
    syncer.host.remove(PERSISTENT_VOLUMES, 'pv-1');
    await vi.waitFor(() => expect(shown()).toBeUndefined());
  });

  it('is released before it is deleted, for a bound one is protected', async () => {
    await boundClaim();
    syncer.host.remove(PERSISTENT_VOLUMES, 'pv-1');
    await endClaim();
    await vi.waitFor(() => expect(shown()).toBeUndefined());
    const writes = syncer.virtual.writes().filter(({ type }) => type === PERSISTENT_VOLUMES);
    expect(writes.slice(-2)).toMatchObject([
      { verb: 'update', subresource: 'status', object: { status: { phase: 'Released' } } },
      { verb: 'delete' },
    ]);
  });

  it('stays as released where the host retains it, over a restart too', async () => {
    await boundClaim();
    await endClaim();
    await vi.waitFor(() => expect(shown()?.status?.phase).toBe('Released'));
    await syncer.stop();
    syncer = await startSyncer({ virtual: syncer.virtual, host: syncer.host });
    await syncer.quiet();
    expect(shown()?.status?.phase).toBe('Released');
  });

  it('is never one of somebody else, whatever a tenant makes of its own (T2, T16)', async () => {
    await boundClaim();
    const others = onHost('uid-of-another-claim');
    syncer.host.put(PERSISTENT_VOLUMES, { ...others, metadata: { name: 'pv-2' } });
    const byHand = (name: string, annotations: Record<string, string>): PersistentVolume => ({
      metadata: { name, annotations },
      spec: {
        hostPath: { path: '/' },
        capacity: { storage: '9Gi' },
        claimRef: { namespace: 'default', name: 'not-data' },
      },
      status: { phase: 'Pending' },
    });
    syncer.virtual.put(PERSISTENT_VOLUMES, byHand('by-hand', {}));
    syncer.virtual.put(PERSISTENT_VOLUMES, byHand('pv-2', { 'mayfly.dev/from-host': 'true' }));
    await vi.waitFor(() => expect(syncer.virtual.get(PERSISTENT_VOLUMES, 'pv-2')).toBeUndefined());
    await syncer.quiet();
    expect(syncer.virtual.get(PERSISTENT_VOLUMES, 'by-hand')).toBeDefined();
    expect(syncer.host.writes().filter(({ type }) => type === PERSISTENT_VOLUMES)).toEqual([]);
  });

  it('is derived from its claim where the host’s volumes may not be read', async () => {
    await boundClaim(false);
    expect(shown()?.spec).toMatchObject({
      capacity: { storage: '1Gi' },
      storageClassName: 'fast',
      csi: { driver: 'host.mayfly.dev', volumeHandle: 'pv-1' },
    });
    await endClaim();
    await vi.waitFor(() => expect(shown()).toBeUndefined());
  });
});
