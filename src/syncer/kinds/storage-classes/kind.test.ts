import { afterEach, describe, expect, it, vi } from 'vitest';
import { type SyncerHarness, startSyncer } from '../../../../test/support/syncer-harness.ts';
import { KubeError } from '../../../kube/errors.ts';
import { STORAGE_CLASSES } from '../../../kube/resource.ts';
import type { StorageClass } from '../../objects.ts';
import { storageClasses } from './kind.ts';

const host: StorageClass = {
  metadata: {
    name: 'fast',
    uid: 'host-uid',
    labels: { 'example.com/team': 'x' },
    annotations: { 'storageclass.kubernetes.io/is-default-class': 'true', 'example.com/secret': 'x' },
  },
  provisioner: 'csi.example.com',
  parameters: {
    type: 'ssd',
    'csi.storage.k8s.io/fstype': 'ext4',
    'csi.storage.k8s.io/provisioner-secret-name': 'admin',
    resturl: 'http://10.0.0.9',
  },
  reclaimPolicy: 'Delete',
  mountOptions: ['username=admin'],
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
  allowedTopologies: [{ matchLabelExpressions: [{ key: 'topology.kubernetes.io/zone', values: ['a'] }] }],
};
const inside: StorageClass = {
  metadata: { name: 'fast', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'csi.example.com',
  parameters: { type: 'ssd', 'csi.storage.k8s.io/fstype': 'ext4' },
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
  allowedTopologies: [{ matchLabelExpressions: [{ key: 'topology.kubernetes.io/zone', values: ['a'] }] }],
};

describe('a StorageClass inside', () => {
  it('shows what a user chooses by, and no parameters that may tell of the host (T16)', () => {
    expect(storageClasses.toVirtual(host, undefined)).toEqual(inside);
  });

  it('says nothing of topologies in labels that nodes do not show', () => {
    const allowedTopologies = [{ matchLabelExpressions: [{ key: 'rack.example.com', values: ['7'] }] }];
    expect(storageClasses.toVirtual({ ...host, allowedTopologies }, undefined)).not.toHaveProperty(
      'allowedTopologies',
    );
  });
});

describe('the life of a StorageClass', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const shown = () => syncer.virtual.get<StorageClass>(STORAGE_CLASSES, 'fast');

  it('is that of the host, whatever is done to it inside', async () => {
    syncer = await startSyncer();
    syncer.virtual.put<StorageClass>(STORAGE_CLASSES, { metadata: { name: 'own' }, provisioner: 'x' });
    syncer.host.put(STORAGE_CLASSES, host);
    await vi.waitFor(() => expect(shown()).toMatchObject(inside));
    syncer.virtual.change<StorageClass>(STORAGE_CLASSES, 'fast', (object) => {
      object.allowVolumeExpansion = false;
      object.metadata.annotations = { 'example.com/note': 'kept' };
    });
    await vi.waitFor(() => expect(shown()).toMatchObject(inside));
    expect(shown()?.metadata.annotations).toMatchObject({
      'example.com/note': 'kept',
      'mayfly.dev/from-host': 'true',
    });
    syncer.virtual.remove(STORAGE_CLASSES, 'fast');
    await vi.waitFor(() => expect(shown()).toMatchObject(inside));
    syncer.host.remove(STORAGE_CLASSES, 'fast');
    await vi.waitFor(() => expect(shown()).toBeUndefined());
    expect(syncer.virtual.get(STORAGE_CLASSES, 'own')).toBeDefined();
    expect(syncer.host.writes()).toEqual([]);
  });

  it('is made anew where the host has one of the same name with other fields that never change', async () => {
    syncer = await startSyncer();
    syncer.host.put(STORAGE_CLASSES, host);
    await vi.waitFor(() => expect(shown()).toBeDefined());
    const uid = shown()?.metadata.uid;
    syncer.virtual.intercept = ({ verb, object }) => {
      if (verb === 'update' && (object as StorageClass).provisioner !== host.provisioner) {
        throw new KubeError({ status: 422, reason: 'Invalid', message: 'provisioner: may not change' });
      }
    };
    syncer.host.change<StorageClass>(STORAGE_CLASSES, 'fast', (object) => {
      object.provisioner = 'other.example.com';
    });
    await vi.waitFor(() => expect(shown()).toMatchObject({ provisioner: 'other.example.com' }));
    expect(shown()?.metadata.uid).not.toBe(uid);
  });

  it('is not shown where the host may not be read, not even one that was before', async () => {
    syncer = await startSyncer();
    syncer.host.put(STORAGE_CLASSES, host);
    await vi.waitFor(() => expect(shown()).toBeDefined());
    await syncer.stop();
    syncer = await startSyncer({ virtual: syncer.virtual, host: syncer.host, readsHostWide: false });
    await vi.waitFor(() => expect(shown()).toBeUndefined());
  });
});
