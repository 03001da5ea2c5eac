import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../../test/support/memory-api-server.ts';
import { translationContext } from '../../../test/support/translation-context.ts';
import { PODS, SECRETS } from '../../kube/resource.ts';
import { createStore } from '../../kube/store.ts';
import { createWorkQueue } from '../../kube/work-queue.ts';
import type { Pod, Secret } from '../objects.ts';
import { createTokenKeeper } from './token-keeper.ts';

const { signal } = new AbortController();
const HOUR_MS = 3_600_000;

function podWith(...sources: object[]): Pod {
  return {
    metadata: { namespace: 'default', name: 'web', uid: 'u1' },
    spec: {
      containers: [],
      serviceAccountName: 'runner',
      volumes: [{ name: 'api', projected: { sources } }],
    },
  };
}
const token = (expirationSeconds?: number, audience?: string) => ({
  serviceAccountToken: { path: 'token', expirationSeconds, audience },
});

function keeper() {
  const host = createMemoryApiServer();
  const virtual = createMemoryApiServer();
  // Tokens carry the machine's time.
  const clock = createManualClock(Date.now());
  const queue = createWorkQueue({ clock });
  const hostSecrets = createStore<Secret>();
  const tokens = createTokenKeeper({
    facts: translationContext(),
    virtual: virtual.client,
    host: host.client,
    hostSecrets,
    queue,
    clock,
    random: () => 0,
  });
  return {
    host,
    clock,
    queue,
    tokens,
    secret: () => host.list<Secret>(SECRETS)[0],
    requests: () => virtual.requests.filter(({ subresource }) => subresource === 'token'),
    /** The watch catches up. */
    see: () => hostSecrets.replace(host.list<Secret>(SECRETS)),
  };
}

describe('tokens', () => {
  it('of a pod that mounts none need no Secret', async () => {
    const { tokens, host } = keeper();
    await tokens.ensure(podWith({ configMap: { name: 'x' } }), signal);
    expect(host.requests).toEqual([]);
  });

  it('are asked for with their audience and life, one for each projection', async () => {
    const { tokens, requests, secret } = keeper();
    await tokens.ensure(podWith(token(600, 'vault'), token()), signal);
    expect(requests().map(({ object }) => object)).toMatchObject([
      { spec: { audiences: ['vault'], expirationSeconds: 600 } },
      { spec: { expirationSeconds: 3600 } },
    ]);
    expect(Object.keys(secret()?.data ?? {})).toEqual(['api.0', 'api.1']);
  });

  it('are made anew when the pod has a node, which they then name', async () => {
    const { tokens, see, requests } = keeper();
    const pod = podWith(token());
    const bound = { ...pod, spec: { containers: [], ...pod.spec, nodeName: 'node-1' } };
    await tokens.ensure(pod, signal);
    see();
    await tokens.ensure(bound, signal);
    see();
    await tokens.ensure(bound, signal);
    expect(requests()).toHaveLength(2);
  });

  it('are renewed after 80 % of the shortest life, and not before', async () => {
    const { tokens, clock, see, requests, queue } = keeper();
    const pod = podWith(token(3_600));
    await tokens.ensure(pod, signal);
    await tokens.ensure(pod, signal);
    see();
    await tokens.ensure(pod, signal);
    await clock.advance(0.79 * HOUR_MS);
    await tokens.ensure(pod, signal);
    expect(requests()).toHaveLength(1);
    await clock.advance(0.02 * HOUR_MS);
    expect(await queue.next(signal)).toBe('pods|default/web');
    await tokens.ensure(pod, signal);
    expect(requests()).toHaveLength(2);
  });

  it('are renewed daily however long they live', async () => {
    const { tokens, clock, see, requests } = keeper();
    const pod = podWith(token(365 * 24 * 3_600));
    await tokens.ensure(pod, signal);
    see();
    await clock.advance(24 * HOUR_MS + 1_000);
    await tokens.ensure(pod, signal);
    expect(requests()).toHaveLength(2);
  });

  it('are made anew for another pod of the same name', async () => {
    const { tokens, see, requests, secret } = keeper();
    const pod = podWith(token());
    await tokens.ensure(pod, signal);
    see();
    await tokens.ensure({ ...pod, metadata: { ...pod.metadata, uid: 'u2' } }, signal);
    expect(requests()).toHaveLength(2);
    expect(secret()?.metadata.annotations).toMatchObject({ 'mayfly.dev/virtual-uid': 'u2' });
  });

  it('replace those that an earlier process wrote and this one has not seen', async () => {
    const first = keeper();
    await first.tokens.ensure(podWith(token()), signal);
    const data = first.secret()?.data;
    const { tokens, clock } = first;
    await clock.advance(11_000);
    await tokens.ensure(podWith(token()), signal);
    expect(first.secret()?.data).not.toEqual(data);
  });

  it('go with their pod, and with no other', async () => {
    const { tokens, see, secret, host } = keeper();
    await tokens.ensure(podWith(token()), signal);
    see();
    await tokens.remove('default/other', signal);
    expect(secret()).toBeDefined();
    await tokens.remove('default/web', signal);
    expect(host.list(SECRETS)).toEqual([]);
    await tokens.remove('default/web', signal);
    expect(host.list(PODS)).toEqual([]);
  });
});
