import { afterEach, expect, it, vi } from 'vitest';
import { type SyncerHarness, startSyncer } from '../../../../test/support/syncer-harness.ts';
import { CSI_STORAGE_CAPACITIES } from '../../../kube/resource.ts';
import type { CsiStorageCapacity } from '../../objects.ts';

let syncer: SyncerHarness;
afterEach(() => syncer?.stop());

const host = (name: string, more: Partial<CsiStorageCapacity> = {}): CsiStorageCapacity => ({
  metadata: { namespace: 'csi', name, uid: `uid-of-${name}`, labels: { 'csi.example.com/x': 'y' } },
  storageClassName: 'fast',
  capacity: '10Gi',
  nodeTopology: { matchLabels: { 'topology.kubernetes.io/zone': 'a' } },
  ...more,
});
const inside = () => syncer.virtual.list<CsiStorageCapacity>(CSI_STORAGE_CAPACITIES);

it('shows the room of the host’s classes in kube-system, under names that say nothing (T16)', async () => {
  syncer = await startSyncer();
  syncer.host.put(CSI_STORAGE_CAPACITIES, host('csisc-1'));
  syncer.host.put(
    CSI_STORAGE_CAPACITIES,
    host('csisc-2', { nodeTopology: { matchLabels: { 'csi.example.com/rack': '7' } } }),
  );
  await vi.waitFor(() => expect(inside()).toHaveLength(1));
  expect(inside()[0]).toMatchObject({
    metadata: { namespace: 'kube-system', name: 'csisc-uid-of-csisc-1' },
    storageClassName: 'fast',
    capacity: '10Gi',
    nodeTopology: { matchLabels: { 'topology.kubernetes.io/zone': 'a' } },
  });
  expect(inside()[0]?.metadata).not.toHaveProperty('labels');
});

it('follows the host, and is put back when it is changed or deleted inside', async () => {
  syncer = await startSyncer();
  syncer.host.put(CSI_STORAGE_CAPACITIES, host('csisc-1'));
  await vi.waitFor(() => expect(inside()).toHaveLength(1));
  syncer.host.change<CsiStorageCapacity>(CSI_STORAGE_CAPACITIES, 'csi/csisc-1', (object) => {
    object.capacity = '5Gi';
  });
  await vi.waitFor(() => expect(inside()[0]?.capacity).toBe('5Gi'));
  const key = 'kube-system/csisc-uid-of-csisc-1';
  syncer.virtual.change<CsiStorageCapacity>(CSI_STORAGE_CAPACITIES, key, (object) => {
    object.capacity = '99Gi';
  });
  await vi.waitFor(() => expect(inside()[0]?.capacity).toBe('5Gi'));
  syncer.virtual.remove(CSI_STORAGE_CAPACITIES, key);
  await vi.waitFor(() => expect(inside()).toHaveLength(1));
  syncer.host.remove(CSI_STORAGE_CAPACITIES, 'csi/csisc-1');
  await vi.waitFor(() => expect(inside()).toEqual([]));
});
