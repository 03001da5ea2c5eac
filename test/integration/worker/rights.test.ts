// What the worker's and the server's tokens may do on the host: enough, and nothing beside (T33).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIG_MAPS, type KubeObject, NAMESPACES, SECRETS } from '../../../src/kube/resource.ts';
import { errorMessage } from '../../../src/lib/errors.ts';
import { ROLE_BINDINGS } from '../../../worker/host-kinds.ts';
import { ENVIRONMENT_LABEL, MANAGED_BY_LABEL } from '../../../worker/host-namespace.ts';
import { eventually } from '../../support/eventually.ts';
import { type InstalledRights, installRights } from './installed-rights.ts';

const call = () => ({ signal: AbortSignal.timeout(30_000) });

let rights: InstalledRights;
let ours: string;

beforeAll(async () => {
  rights = await installRights();
  ours = `${rights.name}-ours`;
  // The API server's authorizer and admission learn of what was installed by watches.
  await eventually(
    async () => {
      const name = `${rights.name}-unlabelled`;
      try {
        await rights.worker.create(NAMESPACES, namespaceNamed(name), call());
        await rights.admin.delete(NAMESPACES, { name }, call());
        return undefined;
      } catch (error) {
        return /labelled as its own/.test(errorMessage(error)) || undefined;
      }
    },
    { what: 'the policy is in force', timeoutMs: 30_000, intervalMs: 500 },
  );
  await rights.worker.create(NAMESPACES, namespaceNamed(ours, ourLabels()), call());
});

afterAll(async () => {
  await rights.admin.delete(NAMESPACES, { name: ours }, call());
  await rights.remove();
});

const ourLabels = () => ({
  [MANAGED_BY_LABEL]: rights.name,
  [ENVIRONMENT_LABEL]: 'shop',
  'pod-security.kubernetes.io/enforce': 'baseline',
});

function namespaceNamed(name: string, labels?: Record<string, string>): KubeObject {
  return { metadata: { name, labels } };
}

function binding(namespace: string, roleName: string, account = `${rights.name}-worker`): KubeObject {
  const object = {
    metadata: { name: `bind-${roleName}`.slice(0, 60), namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: roleName },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: rights.namespace }],
  };
  return object;
}

describe('the worker', () => {
  test('makes no namespace without the label of its release', async () => {
    const foreign = namespaceNamed(`${rights.name}-x`, { ...ourLabels(), [MANAGED_BY_LABEL]: 'other' });
    await expect(rights.worker.create(NAMESPACES, foreign, call())).rejects.toThrow(/labelled as its own/);
  });

  test('makes no namespace in which pods may be privileged', async () => {
    const labels = { ...ourLabels(), 'pod-security.kubernetes.io/enforce': 'privileged' };
    const privileged = namespaceNamed(`${rights.name}-x`, labels);
    await expect(rights.worker.create(NAMESPACES, privileged, call())).rejects.toThrow(/keep their labels/);
  });

  test('cannot take a namespace over by labelling it', async () => {
    const body = { metadata: { labels: ourLabels() } };
    await expect(
      rights.worker.patch(NAMESPACES, { name: 'kube-public' }, { type: 'merge', body }, call()),
    ).rejects.toThrow(/labelled as its own/);
  });

  test('deletes no other namespace', async () => {
    await expect(rights.worker.delete(NAMESPACES, { name: rights.namespace }, call())).rejects.toThrow(
      /labelled as its own/,
    );
  });

  test('lets pods of its namespaces not become privileged later', async () => {
    const body = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } };
    await expect(
      rights.worker.patch(NAMESPACES, { name: ours }, { type: 'merge', body }, call()),
    ).rejects.toThrow(/keep their labels/);
  });

  test('binds its role to itself in no namespace but its own ones', async () => {
    const object = binding('kube-system', `${rights.name}-environment`);
    await expect(rights.worker.create(ROLE_BINDINGS, object, call())).rejects.toThrow(
      /only in namespaces of its environments/,
    );
  });

  test('binds no other role', async () => {
    await expect(rights.worker.create(ROLE_BINDINGS, binding(ours, 'cluster-admin'), call())).rejects.toThrow(
      /cluster-admin/,
    );
  });

  test('binds its role to nobody else', async () => {
    const object = binding(ours, `${rights.name}-environment`, 'somebody');
    await expect(rights.worker.create(ROLE_BINDINGS, object, call())).rejects.toThrow(/only to itself/);
  });

  test('reads no secrets outside the namespaces of environments', async () => {
    await expect(rights.worker.list(SECRETS, { namespace: rights.namespace, ...call() })).rejects.toThrow(
      /forbidden/,
    );
    await expect(rights.worker.list(SECRETS, call())).rejects.toThrow(/forbidden/);
  });

  test('works in a namespace once it has bound its role to itself there', async () => {
    await rights.worker.create(ROLE_BINDINGS, binding(ours, `${rights.name}-environment`), call());
    const object: KubeObject = { metadata: { name: 'made', namespace: ours } };
    const made = await eventually(() => rights.worker.create(CONFIG_MAPS, object, call()), {
      what: 'the right has arrived',
      timeoutMs: 10_000,
    });
    expect(made.metadata.uid).toBeDefined();
  });
});

describe('the server', () => {
  test('reads nothing in the namespaces of environments by itself', async () => {
    await expect(rights.server.list(SECRETS, { namespace: ours, ...call() })).rejects.toThrow(/forbidden/);
    await expect(rights.server.list(NAMESPACES, call())).rejects.toThrow(/forbidden/);
  });
});
