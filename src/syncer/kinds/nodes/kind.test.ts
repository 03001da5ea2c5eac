import { afterEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../../../test/support/memory-api-server.ts';
import {
  hostKey,
  place,
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { NODES, PODS } from '../../../kube/resource.ts';
import type { NodeSelection, TranslationContext } from '../../kind.ts';
import { ANNOTATION_HOST_FIELDS } from '../../names.ts';
import type { Node } from '../../objects.ts';
import type { SyncerStores } from '../../stores.ts';
import { nodes } from './kind.ts';

const host: Node = {
  metadata: {
    name: 'node-1',
    labels: {
      'kubernetes.io/hostname': 'node-1',
      'topology.kubernetes.io/zone': 'z',
      'example.com/team': 'x',
    },
    annotations: { 'example.com/secret': 'x' },
  },
  spec: { providerID: 'cloud://x', podCIDR: '10.0.0.0/24', taints: [{ key: 'gpu', effect: 'NoSchedule' }] },
  status: {
    addresses: [
      { type: 'InternalIP', address: '192.0.2.1' },
      { type: 'ExternalIP', address: '203.0.113.1' },
    ],
    capacity: { cpu: '4' },
    conditions: [
      { type: 'Ready', status: 'True', lastHeartbeatTime: '2026-01-01T00:00:00Z' },
      { type: 'KernelDeadlock', status: 'False' },
    ],
    nodeInfo: { machineID: 'm', systemUUID: 's', bootID: 'b', kubeletVersion: 'v1.34.4' },
    images: [{ names: ['somebody-elses'] }],
  } as unknown as Node['status'],
};

describe('a Node inside', () => {
  it('shows what scheduling and users need, and nothing that tells about the host (T16)', () => {
    const inside = nodes.toVirtual(host, undefined);
    expect(inside).toEqual({
      metadata: {
        name: 'node-1',
        labels: { 'kubernetes.io/hostname': 'node-1', 'topology.kubernetes.io/zone': 'z' },
        annotations: { [ANNOTATION_HOST_FIELDS]: expect.any(String) },
      },
      spec: { taints: [{ key: 'gpu', effect: 'NoSchedule' }] },
      status: {
        addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
        capacity: { cpu: '4' },
        conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: '2026-01-01T00:00:00Z' }],
        daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
        nodeInfo: { machineID: '', systemUUID: '', bootID: '', kubeletVersion: 'v1.34.4' },
      },
    });
  });

  it('keeps labels, taints and cordons of the tenant, and follows the host in its own', () => {
    const inside = nodes.toVirtual(host, undefined);
    const marked: Node = {
      ...inside,
      metadata: {
        ...inside.metadata,
        labels: { ...inside.metadata.labels, color: 'blue', 'kubernetes.io/hostname': 'x' },
      },
      spec: {
        taints: [...(inside.spec?.taints ?? []), { key: 'mine', effect: 'NoExecute' }],
        unschedulable: true,
      },
    };
    expect(nodes.toVirtual(host, marked)).toEqual({
      ...marked,
      metadata: { ...marked.metadata, labels: { ...inside.metadata.labels, color: 'blue' } },
    });
    const bare: Node = { ...host, metadata: { name: 'node-1' }, spec: {} };
    const after = nodes.toVirtual(bare, marked);
    expect(after.metadata.labels).toEqual({ color: 'blue' });
    expect(after.spec).toEqual({ taints: [{ key: 'mine', effect: 'NoExecute' }], unschedulable: true });
  });

  it('loses the taint that the API server puts on new Nodes', () => {
    const inside = nodes.toVirtual(host, undefined);
    const created: Node = {
      ...inside,
      spec: {
        taints: [
          ...(inside.spec?.taints ?? []),
          { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' },
        ],
      },
    };
    expect(nodes.toVirtual(host, created)).toEqual(inside);
  });

  it('is cordoned while the host node is', () => {
    const cordoned = nodes.toVirtual({ ...host, spec: { unschedulable: true } }, undefined);
    expect(cordoned.spec?.unschedulable).toBe(true);
    expect(nodes.toVirtual(host, cordoned).spec?.unschedulable).toBeUndefined();
  });

  it('takes marks for the tenant’s where he has spoiled the record', () => {
    const inside = nodes.toVirtual(host, undefined);
    const spoiled = {
      ...inside,
      metadata: { ...inside.metadata, annotations: { [ANNOTATION_HOST_FIELDS]: '[' } },
    };
    expect(nodes.toVirtual(host, spoiled)).toEqual(inside);
  });

  it('is not written for a heartbeat alone', () => {
    const inside = nodes.toVirtual(host, undefined);
    const later = structuredClone(host);
    const [ready] = later.status?.conditions ?? [];
    if (ready) ready.lastHeartbeatTime = '2026-01-01T00:05:00Z';
    expect(nodes.isSame?.(nodes.toVirtual(later, inside), inside)).toBe(true);
    if (ready) ready.status = 'Unknown';
    expect(nodes.isSame?.(nodes.toVirtual(later, inside), inside)).toBe(false);
  });
});

function showing(selection: NodeSelection): TranslationContext {
  const context = translationContext();
  return { ...context, sync: { ...context.sync, nodes: selection } };
}

describe('the nodes shown inside', () => {
  const stores = {
    host: {
      nodes: { get: (name: string) => (name === 'node-1' ? host : undefined) },
      pods: { byIndex: () => [] },
    },
  } as unknown as SyncerStores;
  const shown = (selection: NodeSelection) => {
    const context = showing(selection);
    return nodes.source('node-1', { stores, pairs: new Map(), context, readsHostWide: true });
  };

  it.each<[string, NodeSelection, boolean]>([
    ['those that run pods', { mode: 'used', selector: {} }, false],
    ['all', { mode: 'all', selector: {} }, true],
    [
      'those with labels that this one has',
      { mode: 'selector', selector: { 'example.com/team': 'x' } },
      true,
    ],
    ['those with labels that it has not', { mode: 'selector', selector: { 'example.com/team': 'y' } }, false],
  ])('are %s', (_, selection, expected) => {
    expect(shown(selection)).toEqual(expected ? host : undefined);
  });
});

describe('the life of a Node', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());

  it('follows the host node, and ends a while after its last pod (F25)', async () => {
    const clock = createManualClock();
    const virtual = createMemoryApiServer();
    syncer = await startSyncer({ clock, virtual });
    virtual.put(NODES, { metadata: { name: 'made-by-a-tenant' } });
    virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(syncer.host, 'default/web')).toBeDefined());
    place(syncer.host, 'default/web');
    await vi.waitFor(() => expect(virtual.get(NODES, 'node-1')).toBeDefined());
    syncer.host.change<Node>(NODES, 'node-1', ({ status }) => {
      const [ready] = status?.conditions ?? [];
      if (ready) ready.status = 'Unknown';
    });
    await vi.waitFor(() =>
      expect(virtual.get<Node>(NODES, 'node-1')?.status?.conditions?.[0]?.status).toBe('Unknown'),
    );
    expect(virtual.get(PODS, 'default/web')).toBeDefined();
    virtual.remove(PODS, 'default/web');
    syncer.host.remove(PODS, hostKey('pods', 'default/web'));
    await syncer.quiet();
    expect(virtual.get(NODES, 'node-1')).toBeDefined();
    await clock.advance(6 * 60_000);
    await vi.waitFor(() => expect(virtual.get(NODES, 'node-1')).toBeUndefined());
    expect(virtual.get(NODES, 'made-by-a-tenant')).toBeDefined();
  });

  it('is put right when somebody inside changes or deletes it', async () => {
    syncer = await startSyncer({ facts: showing({ mode: 'all', selector: {} }) });
    syncer.host.put(NODES, host);
    const inside = () => syncer.virtual.get<Node>(NODES, 'node-1');
    await vi.waitFor(() => expect(inside()?.metadata.labels?.['kubernetes.io/hostname']).toBe('node-1'));
    syncer.virtual.change<Node>(NODES, 'node-1', ({ metadata }) => {
      metadata.labels = { color: 'blue' };
    });
    await vi.waitFor(() =>
      expect(inside()?.metadata.labels).toMatchObject({ color: 'blue', 'kubernetes.io/hostname': 'node-1' }),
    );
    syncer.virtual.remove(NODES, 'node-1');
    await vi.waitFor(() => expect(inside()?.metadata.labels?.['kubernetes.io/hostname']).toBe('node-1'));
  });

  it('is derived from its pods where host nodes may not be read', async () => {
    syncer = await startSyncer({ readsHostWide: false });
    syncer.virtual.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(syncer.host, 'default/web')).toBeDefined());
    place(syncer.host, 'default/web');
    await vi.waitFor(() =>
      expect(syncer.virtual.get<Node>(NODES, 'node-1')?.status?.conditions?.[0]).toMatchObject({
        type: 'Ready',
        status: 'True',
      }),
    );
  });
});
