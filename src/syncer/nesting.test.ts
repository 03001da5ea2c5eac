import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../test/support/manual-clock.ts';
import { createMemoryApiServer, type MemoryApiServer } from '../../test/support/memory-api-server.ts';
import type { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import { CONFIG_MAPS, ROLE_BINDINGS, ROLES } from '../kube/resource.ts';
import { publishNesting, readNesting } from './nesting.ts';

const { signal } = new AbortController();
const clock = createManualClock();

/** Everything that is applied is put there. */
function applying({ put }: MemoryApiServer): Pick<KubeClient, 'apply'> {
  return { apply: async (type, object) => put(type, object) };
}

/** What a syncer reads in a cluster that another one, with `nesting`, has told of itself. */
async function readInside(nesting: { depth: number; maxDepth: number }, maxDepth = 2) {
  const around = createMemoryApiServer();
  await publishNesting({ client: applying(around), nesting, dns: { clusterIp: '10.96.0.9' }, clock }, signal);
  return readNesting({ host: around.client, maxDepth, clock }, signal);
}

describe('the depth of a virtual cluster', () => {
  it('is 1 in a cluster that is not virtual', async () => {
    const host = createMemoryApiServer();
    await expect(readNesting({ host: host.client, maxDepth: 2, clock }, signal)).resolves.toEqual({
      depth: 1,
      maxDepth: 2,
    });
  });

  it('is 1 where the namespace of the marker may not be read', async () => {
    const host = createMemoryApiServer();
    host.intercept = () => {
      throw new KubeError({ status: 403, reason: 'Forbidden', message: 'not for you' });
    };
    const read = readNesting({ host: host.client, maxDepth: 2, clock }, signal);
    await expect(read).resolves.toMatchObject({ depth: 1 });
  });

  it('is one more than that of the virtual cluster around it, whose DNS is asked for what is outside', async () => {
    await expect(readInside({ depth: 1, maxDepth: 2 })).resolves.toEqual({
      depth: 2,
      maxDepth: 2,
      upstreamDns: '10.96.0.9',
    });
  });

  it.each([
    ['the limit of a cluster around it', { depth: 1, maxDepth: 1 }, 9],
    ['its own limit', { depth: 1, maxDepth: 9 }, 1],
  ])('must not exceed %s', async (_, around, own) => {
    await expect(readInside(around, own)).rejects.toMatchObject({
      code: 'NestedTooDeep',
      message: expect.stringContaining('nesting.maxDepth allows 1'),
    });
  });

  it('is told to everybody who is known inside', async () => {
    const inside = createMemoryApiServer();
    const nesting = { depth: 1, maxDepth: 3 };
    await publishNesting(
      { client: applying(inside), nesting, dns: { clusterIp: '10.96.0.9' }, clock },
      signal,
    );
    expect(inside.list(CONFIG_MAPS)).toMatchObject([{ data: { depth: '1', maxDepth: '3' } }]);
    expect(inside.list(ROLES)).toMatchObject([{ rules: [{ verbs: ['get'] }] }]);
    expect(inside.list(ROLE_BINDINGS)).toMatchObject([{ subjects: [{ name: 'system:authenticated' }] }]);
  });
});
