import { afterEach, expect, it, vi } from 'vitest';
import { type SyncerHarness, startSyncer } from '../../../../test/support/syncer-harness.ts';
import { CSI_NODES, NODES } from '../../../kube/resource.ts';
import type { CsiNode } from '../../objects.ts';
import { csiNodes } from './kind.ts';

let syncer: SyncerHarness;
afterEach(() => syncer?.stop());

const host = (name: string): CsiNode => ({
  metadata: { name, annotations: { 'example.com/x': 'y' } },
  spec: {
    drivers: [
      {
        name: 'csi.example.com',
        nodeID: 'cloud/i-0123456789',
        topologyKeys: ['topology.kubernetes.io/zone', 'csi.example.com/rack'],
        allocatable: { count: 25 },
      },
    ],
  },
});

it('shows the drivers of a node, and nothing of the machine (T16)', () => {
  expect(csiNodes.toVirtual(host('node-1'), undefined)).toEqual({
    metadata: { name: 'node-1', annotations: {} },
    spec: {
      drivers: [
        {
          name: 'csi.example.com',
          nodeID: 'node-1',
          topologyKeys: ['topology.kubernetes.io/zone'],
          allocatable: { count: 25 },
        },
      ],
    },
  });
});

it('takes a node without drivers as the API gives it, without a list', () => {
  const none = { ...host('node-1'), spec: { drivers: null } } as unknown as CsiNode;
  expect(csiNodes.toVirtual(none, undefined).spec).toEqual({});
});

it('shows those of nodes that are shown', async () => {
  syncer = await startSyncer();
  const { virtual } = syncer;
  const shown = () => virtual.list(CSI_NODES).map(({ metadata }) => metadata.name);
  for (const name of ['node-1', 'node-2']) syncer.host.put(CSI_NODES, host(name));
  await syncer.quiet();
  expect(shown()).toEqual([]);
  virtual.put(NODES, { metadata: { name: 'node-2' } });
  virtual.put(NODES, { metadata: { name: 'node-1', annotations: { 'mayfly.dev/from-host': 'true' } } });
  await vi.waitFor(() => expect(shown()).toEqual(['node-1']));
  virtual.remove(NODES, 'node-1');
  await vi.waitFor(() => expect(shown()).toEqual([]));
});
