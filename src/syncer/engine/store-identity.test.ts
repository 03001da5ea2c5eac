import { describe, expect, it } from 'vitest';
import { createMemoryApiServer } from '../../../test/support/memory-api-server.ts';
import { NAMESPACES } from '../../kube/resource.ts';
import { UnavailableError } from '../../lib/errors.ts';
import { createNamespaceStore } from '../stores.ts';
import { createStoreIdentity, StoreReplacedError } from './store-identity.ts';

const { signal } = new AbortController();
const kubeSystem = { metadata: { name: 'kube-system', uid: 'store-1' } };

function identity() {
  const server = createMemoryApiServer();
  const namespaces = createNamespaceStore();
  return { server, namespaces, identity: createStoreIdentity({ client: server.client, namespaces }) };
}

describe('the identity of a store', () => {
  it('is unknown until kube-system is there', () => {
    const { namespaces, identity: store } = identity();
    expect(() => store.current()).toThrow(UnavailableError);
    namespaces.replace([kubeSystem]);
    expect(store.current()).toBe('store-1');
  });

  it('is confirmed by the API and not by the local copy', async () => {
    const { server, namespaces, identity: store } = identity();
    namespaces.replace([kubeSystem]);
    await expect(store.confirm('store-1', signal)).rejects.toThrow(StoreReplacedError);
    server.put(NAMESPACES, kubeSystem);
    await expect(store.confirm('store-1', signal)).resolves.toBeUndefined();
    await expect(store.confirm(undefined, signal)).rejects.toThrow(StoreReplacedError);
  });

  it('is asked for once for all who wait, and again for who comes after the request began', async () => {
    const { server, identity: store } = identity();
    server.put(NAMESPACES, kubeSystem);
    const first = store.confirm('store-1', signal);
    await Promise.resolve();
    await Promise.resolve();
    const later = Array.from({ length: 30 }, () => store.confirm('store-1', signal));
    await Promise.all([first, ...later]);
    expect(server.requests).toHaveLength(2);
  });

  it('is asked for again after a request failed', async () => {
    const { server, identity: store } = identity();
    server.put(NAMESPACES, kubeSystem);
    server.intercept = () => {
      throw new UnavailableError({ code: 'Down', message: 'down' });
    };
    await expect(store.confirm('store-1', signal)).rejects.toThrow('down');
    server.intercept = undefined;
    await expect(store.confirm('store-1', signal)).resolves.toBeUndefined();
  });
});
