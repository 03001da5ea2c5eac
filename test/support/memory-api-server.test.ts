import { describe, expect, it } from 'vitest';
import { CONFIG_MAPS, type KubeObject, PODS } from '../../src/kube/resource.ts';
import { createMemoryApiServer } from './memory-api-server.ts';

const options = { signal: AbortSignal.timeout(5_000) };
const name = { namespace: 'default', name: 'a' };
type ConfigMap = KubeObject & { data?: Record<string, string> };
type Pod = KubeObject & { spec?: { nodeName?: string }; status?: object };

describe('an API server in memory', () => {
  it('gives every object a uid and every change a version', async () => {
    const { client } = createMemoryApiServer();
    const created = await client.create<ConfigMap>(CONFIG_MAPS, { metadata: name }, options);
    const updated = await client.update<ConfigMap>(CONFIG_MAPS, { ...created, data: { a: '1' } }, options);
    expect(updated.metadata.uid).toBe(created.metadata.uid);
    expect(updated.metadata.resourceVersion).not.toBe(created.metadata.resourceVersion);
    await expect(client.create(CONFIG_MAPS, { metadata: name }, options)).rejects.toMatchObject({
      code: 'AlreadyExists',
    });
  });

  it('refuses an update of an older version, and a deletion of another object', async () => {
    const { client, put, change } = createMemoryApiServer();
    const old = put<ConfigMap>(CONFIG_MAPS, { metadata: name });
    change<ConfigMap>(CONFIG_MAPS, 'default/a', (object) => {
      object.data = { a: '1' };
    });
    await expect(client.update(CONFIG_MAPS, old, options)).rejects.toMatchObject({ code: 'Conflict' });
    const preconditions = { uid: 'another' };
    await expect(client.delete(CONFIG_MAPS, name, { ...options, preconditions })).rejects.toMatchObject({
      code: 'Conflict',
    });
  });

  it('keeps status apart from the rest', async () => {
    const { client, put, get } = createMemoryApiServer();
    const pod = put<Pod>(PODS, { metadata: name, spec: {}, status: { phase: 'Pending' } } as Pod);
    await client.update<Pod>(PODS, { ...pod, status: { phase: 'Failed' } }, options);
    expect(get<Pod>(PODS, 'default/a')?.status).toEqual({ phase: 'Pending' });
    const withStatus = { ...pod, spec: { nodeName: 'x' }, status: { phase: 'Running' } };
    await client.update<Pod>(PODS, withStatus, { ...options, subresource: 'status' });
    expect(get<Pod>(PODS, 'default/a')).toMatchObject({ spec: {}, status: { phase: 'Running' } });
  });

  it('ends a pod on a node gracefully, and one without a node at once', async () => {
    const { client, put, get } = createMemoryApiServer();
    put(PODS, { metadata: name, spec: { nodeName: 'n' } } as Pod);
    put(PODS, { metadata: { ...name, name: 'b' }, spec: {} } as Pod);
    await client.delete(PODS, name, { ...options, gracePeriodSeconds: 9 });
    expect(get(PODS, 'default/a')?.metadata.deletionGracePeriodSeconds).toBe(9);
    await client.delete(PODS, { ...name, name: 'b' }, options);
    expect(get(PODS, 'default/b')).toBeUndefined();
    await client.delete(PODS, name, { ...options, gracePeriodSeconds: 0 });
    expect(get(PODS, 'default/a')).toBeUndefined();
  });

  it('keeps an object with finalizers until it is taken away', async () => {
    const { client, put, get } = createMemoryApiServer();
    put(CONFIG_MAPS, { metadata: { ...name, finalizers: ['x'] } });
    await client.delete(CONFIG_MAPS, name, options);
    expect(get(CONFIG_MAPS, 'default/a')?.metadata.deletionTimestamp).toBeDefined();
  });

  it('shows a watch what happened since the list, of what it selects', async () => {
    const { client, put, remove } = createMemoryApiServer();
    const stop = new AbortController();
    const { metadata } = await client.list(CONFIG_MAPS, options);
    put(CONFIG_MAPS, { metadata: { ...name, labels: { mine: 'yes' } } });
    put(CONFIG_MAPS, { metadata: { ...name, name: 'other' } });
    const events = client.watch(CONFIG_MAPS, {
      labelSelector: 'mine=yes',
      resourceVersion: metadata.resourceVersion,
      timeoutSeconds: 60,
      idleTimeoutMs: 60_000,
      signal: stop.signal,
    });
    const seen: string[] = [];
    for await (const { type } of events) {
      seen.push(type);
      if (type === 'ADDED') remove(CONFIG_MAPS, 'default/a');
      if (type === 'DELETED') stop.abort();
    }
    expect(seen).toEqual(['ADDED', 'DELETED']);
  });
});
