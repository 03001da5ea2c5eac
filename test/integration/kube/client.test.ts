import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlreadyExists, isConflict, isInvalid, isNotFound } from '../../../src/kube/errors.ts';
import { CONFIG_MAPS, type KubeObject, SERVICE_ACCOUNTS } from '../../../src/kube/resource.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

describe('the client and a real API server', () => {
  let test: TestNamespace;
  beforeAll(async () => {
    test = await createTestNamespace('kube-client');
  });
  afterAll(() => test.remove());

  const call = () => ({ signal: AbortSignal.timeout(30_000) });
  const map = (name: string, data = {}): ConfigMap => ({
    metadata: { namespace: test.namespace, name },
    data,
  });
  const thrownBy = (operation: Promise<unknown>) =>
    operation.then(
      () => undefined,
      (error: unknown) => error,
    );

  it('creates, reads, updates, patches and deletes', async () => {
    const { client, namespace } = test;
    const name = { namespace, name: 'verbs' };
    const created = await client.create(CONFIG_MAPS, map('verbs', { a: '1' }), call());
    expect(await client.get(CONFIG_MAPS, name, call())).toEqual(created);
    const updated = await client.update(CONFIG_MAPS, { ...created, data: { a: '2' } }, call());
    await client.patch(CONFIG_MAPS, name, { type: 'merge', body: { data: { b: '1' } } }, call());
    const operation = { op: 'replace', path: '/data/a', value: '3' };
    const patched = await client.patch<ConfigMap>(
      CONFIG_MAPS,
      name,
      { type: 'json', body: [operation] },
      call(),
    );
    expect([updated.data, patched.data]).toEqual([{ a: '2' }, { a: '3', b: '1' }]);
    await client.delete(CONFIG_MAPS, name, call());
    expect(await thrownBy(client.get(CONFIG_MAPS, name, call()))).toSatisfy(isNotFound);
  });

  it('applies: the second time the same changes nothing, not even the resource version', async () => {
    const { client } = test;
    const options = { fieldManager: 'mayfly-test', force: true };
    const first = await client.apply(CONFIG_MAPS, map('applied', { a: '1' }), { ...options, ...call() });
    const again = await client.apply(CONFIG_MAPS, map('applied', { a: '1' }), { ...options, ...call() });
    const changed = await client.apply(CONFIG_MAPS, map('applied', { b: '2' }), { ...options, ...call() });
    expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    expect(changed.data).toEqual({ b: '2' });
  });

  it('is refused with reasons that tell cases apart', async () => {
    const { client, namespace } = test;
    const created = await client.create(CONFIG_MAPS, map('refused'), call());
    expect(await thrownBy(client.create(CONFIG_MAPS, map('refused'), call()))).toSatisfy(isAlreadyExists);
    await client.update(CONFIG_MAPS, { ...created, data: { a: '1' } }, call());
    expect(await thrownBy(client.update(CONFIG_MAPS, created, call()))).toSatisfy(isConflict);
    const preconditions = { uid: '00000000-0000-0000-0000-000000000000' };
    const wrongUid = client.delete(CONFIG_MAPS, { namespace, name: 'refused' }, { ...call(), preconditions });
    expect(await thrownBy(wrongUid)).toSatisfy(isConflict);
    const invalid = await thrownBy(client.create(CONFIG_MAPS, map('refused', { 'no key/': '' }), call()));
    expect(invalid).toSatisfy(isInvalid);
    expect(invalid).toMatchObject({ status: 422, details: { causes: [{ field: 'data[no key/]' }] } });
  });

  it('creates in sub-resources', async () => {
    const { client, namespace } = test;
    await client.create(SERVICE_ACCOUNTS, { metadata: { namespace, name: 'app' } }, call());
    const request = { metadata: { namespace }, spec: { expirationSeconds: 600 } };
    const type = { ...SERVICE_ACCOUNTS, group: '', kind: 'TokenRequest' };
    const token = client.create(
      type,
      { apiVersion: 'authentication.k8s.io/v1', ...request },
      { ...call(), subresource: 'token', name: 'app' },
    );
    expect(await token).toMatchObject({ status: { token: expect.stringContaining('.') } });
  });

  it('lists in pages with the kind of each item', async () => {
    const { client, namespace } = test;
    for (const name of ['page-a', 'page-b', 'page-c']) {
      await client.create(
        CONFIG_MAPS,
        { ...map(name), metadata: { namespace, name, labels: { page: '1' } } },
        call(),
      );
    }
    const selection = { namespace, labelSelector: 'page=1' };
    const first = await client.list(CONFIG_MAPS, { ...selection, limit: 2, ...call() });
    const rest = await client.list(CONFIG_MAPS, {
      ...selection,
      limit: 2,
      continue: first.metadata.continue,
      ...call(),
    });
    const items = [...first.items, ...rest.items];
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['page-a', 'page-b', 'page-c']);
    expect(new Set(items.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`))).toEqual(
      new Set(['v1 ConfigMap']),
    );
    expect(rest.metadata.continue).toBeFalsy();
  });

  it('reads plain text', async () => {
    expect(await test.client.text('/readyz', call())).toBe('ok');
  });
});
