import { afterEach, describe, expect, it, vi } from 'vitest';
import { createMemoryApiServer, type MemoryApiServer } from '../../../test/support/memory-api-server.ts';
import {
  hostKey,
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import { PODS } from '../../kube/resource.ts';
import type { Pod } from '../objects.ts';

let syncer: SyncerHarness;

afterEach(() => syncer?.stop());

/** Its watches of pods tell of additions and deletions at once, and of no change at all. */
function withoutPodChanges(server: MemoryApiServer): MemoryApiServer {
  const watch: MemoryApiServer['client']['watch'] = async function* (type, options) {
    for await (const event of server.client.watch(type, options)) {
      if (type !== PODS || event.type !== 'MODIFIED') yield event as never;
    }
  };
  return { ...server, client: { ...server.client, watch } };
}

describe('changes in quick succession', () => {
  it('are written one onto the other, without waiting for the watch to tell of the one before', async () => {
    const server = createMemoryApiServer();
    syncer = await startSyncer({ virtual: withoutPodChanges(server) });
    const { host } = syncer;
    server.put(PODS, podNamed('default/web'));
    await vi.waitFor(() => expect(podOnHost(host, 'default/web')).toBeDefined());
    for (const message of ['first', 'second', 'third']) {
      host.change<Pod>(PODS, hostKey('pods', 'default/web'), (pod) => {
        pod.status = { ...pod.status, phase: 'Pending', message };
      });
      await vi.waitFor(() => expect(server.get<Pod>(PODS, 'default/web')?.status?.message).toBe(message));
    }
    await syncer.quiet();
    const told = server
      .writes()
      .filter(({ verb, type }) => verb === 'update' && type === PODS)
      .map(({ object }) => (object as Pod).status?.message);
    expect(told).toEqual([undefined, 'first', 'second', 'third']);
  });
});
