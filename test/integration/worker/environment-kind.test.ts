// What the API server accepts as an Environment, by the chart's CRD.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENVIRONMENTS, type Environment, type EnvironmentSpec } from '../../../src/environments/resource.ts';
import { type InstalledRights, installRights } from './installed-rights.ts';

const call = () => ({ signal: AbortSignal.timeout(30_000) });

let rights: InstalledRights;
let count = 0;

beforeAll(async () => {
  rights = await installRights();
});
afterAll(async () => {
  const { items } = await rights.admin.list(ENVIRONMENTS, { namespace: rights.namespace, ...call() });
  for (const { metadata } of items) {
    const name = { namespace: rights.namespace, name: metadata.name ?? '' };
    await rights.admin.delete(ENVIRONMENTS, name, call());
  }
  await rights.remove();
});

const pullRequest = {
  repository: 'acme/shop',
  repositoryId: 1296269,
  installationId: 42,
  number: 412,
  commit: 'a'.repeat(40),
};

function environment(change: Partial<EnvironmentSpec> = {}, name = `env-${++count}`): Environment {
  const spec = {
    owner: 'token:tests',
    kubernetesVersion: '1.34',
    expiresAt: '2099-01-01T00:00:00Z',
    ...change,
  };
  return { metadata: { name, namespace: rights.namespace }, spec };
}

const create = (object: Environment) => rights.server.create(ENVIRONMENTS, object, call());

describe('an Environment', () => {
  test('may be empty, have an image, or belong to a pull request', async () => {
    await create(environment());
    await create(environment({ app: { image: 'nginx', port: 80 } }));
    await create(environment({ pullRequest }));
  });

  test.each<[string, () => Environment, RegExp]>([
    ['a name that is no label of a Service', () => environment({}, '1shop'), /begins with a letter/],
    ['a name that is too long', () => environment({}, 'a'.repeat(41)), /at most 40 characters/],
    [
      'both an image and a pull request',
      () => environment({ pullRequest, app: { image: 'nginx', port: 80 } }),
      /exclude each other/,
    ],
    ['an end that is no time', () => environment({ expiresAt: 'tomorrow' }), /expiresAt/],
    [
      'a commit that is not one',
      () => environment({ pullRequest: { ...pullRequest, commit: 'main' } }),
      /commit/,
    ],
    ['a version that is not one', () => environment({ kubernetesVersion: 'latest' }), /kubernetesVersion/],
  ])('has not %s', async (_what, make, message) => {
    await expect(create(make())).rejects.toThrow(message);
  });

  test('cannot change hands or belong to another pull request', async () => {
    const made = await create(environment({ pullRequest }));
    const changed = (spec: Partial<EnvironmentSpec>) =>
      rights.server.update(ENVIRONMENTS, { ...made, spec: { ...made.spec, ...spec } }, call());
    await expect(changed({ owner: 'token:other' })).rejects.toThrow(/owner is immutable/);
    await expect(changed({ pullRequest: { ...pullRequest, number: 1 } })).rejects.toThrow(/immutable/);
    await expect(changed({ pullRequest: undefined })).rejects.toThrow(/pull request/);
    await changed({ pullRequest: { ...pullRequest, commit: 'b'.repeat(40) } });
  });

  test('gets its status from the worker alone', async () => {
    const made = await create(environment());
    const status = { phase: 'Ready' as const, conditions: [], steps: [] };
    await expect(
      rights.server.update(ENVIRONMENTS, { ...made, status }, { subresource: 'status', ...call() }),
    ).rejects.toThrow(/forbidden/);
    const written = await rights.worker.update<Environment>(
      ENVIRONMENTS,
      { ...made, status },
      { subresource: 'status', ...call() },
    );
    expect(written.status).toEqual(status);
  });
});
