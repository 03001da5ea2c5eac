import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createManualClock, type ManualClock } from '../../../../test/support/manual-clock.ts';
import { createMemoryApiServer, type MemoryApiServer } from '../../../../test/support/memory-api-server.ts';
import { LEASES, type LeaseObject } from '../../../kube/lease.ts';
import { ANNOTATION_FROM_HOST } from '../../names.ts';
import type { Node } from '../../objects.ts';
import { createNodeStore } from '../../stores.ts';
import { keepNodeLeases } from './leases.ts';

const INTERVAL_MS = 40_000;

let stop: AbortController;
let clock: ManualClock;
let virtual: MemoryApiServer;
let running: Promise<void> | undefined;
beforeEach(() => {
  stop = new AbortController();
  clock = createManualClock(Date.parse('2026-01-01T00:00:00Z'));
  virtual = createMemoryApiServer();
});
afterEach(async () => {
  stop.abort();
  await running;
});

function node(name: string, ready: string, annotations = { [ANNOTATION_FROM_HOST]: 'true' }): Node {
  return {
    metadata: { name, uid: `uid-of-${name}`, annotations },
    status: { conditions: [{ type: 'Ready', status: ready }] },
  };
}
const lease = (name: string) => virtual.get<LeaseObject>(LEASES, `kube-node-lease/${name}`);

function keep(...shown: Node[]) {
  const nodes = createNodeStore();
  nodes.replace(shown);
  running = keepNodeLeases(
    { client: virtual.client, nodes, clock, logger: pino({ level: 'silent' }) },
    stop.signal,
  );
  return nodes;
}

it('is the Node’s own, and renewed while the host hears of the machine', async () => {
  const nodes = keep(node('node-1', 'True'), node('node-2', 'False'));
  await vi.waitFor(() => expect(lease('node-2')).toBeDefined());
  expect(lease('node-1')).toMatchObject({
    metadata: { ownerReferences: [{ kind: 'Node', name: 'node-1', uid: 'uid-of-node-1' }] },
    spec: { holderIdentity: 'node-1', renewTime: '2026-01-01T00:00:00.000000Z' },
  });
  nodes.replace([node('node-1', 'Unknown'), node('node-2', 'True')]);
  await clock.advance(INTERVAL_MS);
  await vi.waitFor(() => expect(lease('node-2')?.spec?.renewTime).toBe('2026-01-01T00:00:40.000000Z'));
  expect(lease('node-1')?.spec?.renewTime).toBe('2026-01-01T00:00:00.000000Z');
});

it('is not made for a Node that a tenant made up', async () => {
  keep(node('made-up', 'True', {} as never), node('node-1', 'True'));
  await vi.waitFor(() => expect(lease('node-1')).toBeDefined());
  expect(lease('made-up')).toBeUndefined();
});
