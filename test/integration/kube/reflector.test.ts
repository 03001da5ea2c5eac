import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createKubeClient } from '../../../src/kube/client.ts';
import { endpointOf } from '../../../src/kube/endpoint.ts';
import { createReflector, type ReflectorState } from '../../../src/kube/reflector.ts';
import { CONFIG_MAPS, type KubeObject } from '../../../src/kube/resource.ts';
import { createStore } from '../../../src/kube/store.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { openBreakableLink } from '../../support/breakable-link.ts';
import { API_SERVER_NAME, createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';

describe('a reflector of a real API server', () => {
  let test: TestNamespace;
  beforeAll(async () => {
    test = await createTestNamespace('kube-reflector');
  });
  afterAll(() => test.remove());

  const call = () => ({ signal: AbortSignal.timeout(30_000) });
  const map = (name: string, labels = {}): KubeObject => ({
    metadata: { namespace: test.namespace, name, labels },
  });
  const create = (name: string, labels = {}) => test.client.create(CONFIG_MAPS, map(name, labels), call());
  const remove = (name: string) =>
    test.client.delete(CONFIG_MAPS, { namespace: test.namespace, name }, call());

  /** One that reaches the API server over a link that can be broken, and sees only what has this label. */
  async function reflect(label: string, { idleTimeoutMs = 90_000 } = {}) {
    const { host, port } = endpointOf(test.connection);
    const link = await openBreakableLink({ host, port });
    const server = `https://127.0.0.1:${link.port}`;
    const connection = { ...test.connection, server, servername: API_SERVER_NAME };
    const client = createKubeClient(createTransport(connection, { process: 'test' }));
    const store = createStore<KubeObject>();
    const told = new Set<string>();
    const states: (ReflectorState | string)[] = [];
    let lists = 0;
    const reflector = createReflector({
      client,
      type: CONFIG_MAPS,
      namespace: test.namespace,
      labelSelector: label,
      store,
      onChange(change) {
        if (change.type === 'deleted') told.delete(change.previous.metadata.name ?? '');
        else told.add(change.object.metadata.name ?? '');
      },
      onRelist: () => void lists++,
      logger: pino({ level: 'silent' }),
      backoff: { baseMs: 20, maxMs: 200 },
      idleTimeoutMs,
      metrics: {
        state: (state) => states.push(state),
        heard: () => undefined,
        listed: () => undefined,
        failed: (code) => states.push(code),
      },
    });
    const stop = new AbortController();
    const running = reflector.run(stop.signal);
    onTestFinished(async () => {
      stop.abort(new Error('end of test'));
      await running;
      await client.close();
      await link.close();
    });
    await reflector.synced(AbortSignal.timeout(30_000));
    const names = () =>
      store
        .list()
        .map(({ metadata }) => metadata.name)
        .sort();
    return { link, store, names, told: () => [...told].sort(), states, lists: () => lists };
  }

  it('holds more objects than one page', { timeout: 120_000 }, async () => {
    const labels = { large: 'yes' };
    const pending = Array.from({ length: 1_100 }, (_, index) => `large-${index}`);
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let name = pending.pop(); name; name = pending.pop()) await create(name, labels);
      }),
    );
    const { store } = await reflect('large=yes');
    expect(store.size).toBe(1_100);
    expect(store.list().every(({ kind, metadata }) => kind === 'ConfigMap' && !metadata.managedFields)).toBe(
      true,
    );
  });

  it('follows additions, changes out of the selection and deletions', async () => {
    const { names } = await reflect('follow=yes');
    await create('follow-a', { follow: 'yes' });
    await create('follow-b', { follow: 'yes' });
    await expect.poll(names, { timeout: 5_000 }).toEqual(['follow-a', 'follow-b']);
    const unlabel = { type: 'merge' as const, body: { metadata: { labels: { follow: null } } } };
    await test.client.patch(CONFIG_MAPS, { namespace: test.namespace, name: 'follow-a' }, unlabel, call());
    await remove('follow-b');
    await expect.poll(names, { timeout: 5_000 }).toEqual([]);
  });

  it('resumes after cut connections without listing again, deletions in between included (F3)', async () => {
    await create('cut-a', { cut: 'yes' });
    const { link, names, told, lists } = await reflect('cut=yes');
    link.reset();
    await remove('cut-a');
    await create('cut-b', { cut: 'yes' });
    link.reset();
    await expect.poll(names, { timeout: 10_000 }).toEqual(['cut-b']);
    expect(told()).toEqual(['cut-b']);
    expect(lists()).toBe(1);
  });

  it('keeps its store while the server is down, and catches up afterwards', async () => {
    await create('down-a', { down: 'yes' });
    await create('down-b', { down: 'yes' });
    const { link, names, told, states } = await reflect('down=yes');
    link.refuse();
    await expect
      .poll(() => states.filter((state) => state === 'KubernetesUnreachable').length, { timeout: 10_000 })
      .toBeGreaterThan(6);
    expect(names()).toEqual(['down-a', 'down-b']);
    await remove('down-a');
    await create('down-c', { down: 'yes' });
    link.restore();
    await expect.poll(names, { timeout: 10_000 }).toEqual(['down-b', 'down-c']);
    expect(told()).toEqual(['down-b', 'down-c']);
  });

  it('notices a half-open connection by its silence (F3)', async () => {
    const { link, names, states } = await reflect('silent=yes', { idleTimeoutMs: 1_000 });
    await create('silent-a', { silent: 'yes' });
    await expect.poll(names, { timeout: 5_000 }).toEqual(['silent-a']);
    link.silence();
    await create('silent-b', { silent: 'yes' });
    link.restore();
    await expect.poll(names, { timeout: 20_000 }).toEqual(['silent-a', 'silent-b']);
    expect(states).toContain('WatchSilent');
  });
});
