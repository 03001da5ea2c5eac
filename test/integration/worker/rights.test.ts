// What the worker's and the server's tokens may do on the host: enough, and nothing beside (T33).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isNotFound } from '../../../src/kube/errors.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  CONFIG_MAPS,
  type KubeObject,
  NAMESPACES,
  NODES,
  ROLE_BINDINGS,
  SECRETS,
  STORAGE_CLASSES,
} from '../../../src/kube/resource.ts';
import { errorMessage } from '../../../src/lib/errors.ts';
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

describe('the worker, for a syncer to read the host,', () => {
  const SYNCER = 'shop';
  let home: KubeObject;

  beforeAll(async () => {
    const name = `${rights.name}-home`;
    home = await rights.worker.create(NAMESPACES, namespaceNamed(name, ourLabels()), call());
    await rights.worker.create(ROLE_BINDINGS, binding(name, `${rights.name}-environment`), call());
  });
  afterAll(async () => {
    await rights.admin.delete(NAMESPACES, { name: home.metadata.name ?? '' }, call()).catch((error) => {
      if (!isNotFound(error)) throw error;
    });
  });

  const role = (suffix: string) => ({
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `${rights.name}${suffix}` },
  });
  const account = (namespace = home.metadata.name) => ({ kind: 'ServiceAccount', name: SYNCER, namespace });

  /** As the worker makes it for an account of this namespace, but for what is changed. */
  function hostReads(change: object = {}, { name, uid = '' } = home.metadata): KubeObject {
    const owner = { apiVersion: 'v1', kind: 'Namespace', name: name ?? '', uid };
    const object = {
      metadata: { name: `mayfly:${name}:${uid}`, ownerReferences: [owner] },
      ...role('-environment-reads'),
      subjects: [account(name)],
    };
    return { ...object, ...change };
  }

  const make = (object: KubeObject) => rights.worker.create(CLUSTER_ROLE_BINDINGS, object, call());

  test.each<[string, () => object, RegExp]>([
    [
      'a role that it does not hold',
      () => ({ roleRef: { ...role('').roleRef, name: 'cluster-admin' } }),
      /not currently held/,
    ],
    ['the role that it has in environments', () => role('-environment'), /only .*-environment-reads in/],
    ['its own role', () => role('-worker'), /only .*-environment-reads in/],
    ['to a user', () => ({ subjects: [{ kind: 'User', name: 'somebody' }] }), /only to one account/],
    [
      'to all accounts of an environment',
      () => ({ subjects: [{ kind: 'Group', name: `system:serviceaccounts:${home.metadata.name}` }] }),
      /only to one account/,
    ],
    ['to two', () => ({ subjects: [account(), { ...account(), name: 'other' }] }), /only to one account/],
    ['to an account elsewhere', () => ({ subjects: [account('kube-system')] }), /only to one account/],
    [
      'so that it outlives the namespace',
      () => ({ metadata: { name: hostReads().metadata.name } }),
      /its namespace owns/,
    ],
    [
      'under a name of its choice',
      () => ({ metadata: { ...hostReads().metadata, name: 'mayfly:mine' } }),
      /its namespace owns and names/,
    ],
  ])('T33: binds not %s', async (_what, change, message) => {
    await expect(make(hostReads(change()))).rejects.toThrow(message);
  });

  test('T33: binds its role to no account of a namespace that is no environment', async () => {
    const names = ['kube-system', rights.namespace];
    const places = await Promise.all(names.map((name) => rights.admin.get(NAMESPACES, { name }, call())));
    for (const { metadata } of places) {
      await expect(make(hostReads({}, metadata))).rejects.toThrow(/only to accounts of its environments/);
    }
  });

  test('binds its role to an account of an environment, over upgrades and for as long as the namespace is there', async () => {
    const { name = '' } = home.metadata;
    const { metadata } = await eventually(() => make(hostReads()), {
      what: 'the right in the namespace has arrived',
      timeoutMs: 10_000,
    });
    const binding = { name: metadata.name ?? '' };
    const body = { subjects: [account('kube-system')] };
    const { worker, admin } = rights;
    await expect(
      worker.patch(CLUSTER_ROLE_BINDINGS, binding, { type: 'merge', body }, call()),
    ).rejects.toThrow(/forbidden/);
    await expect(worker.delete(CLUSTER_ROLE_BINDINGS, binding, call())).rejects.toThrow(/forbidden/);
    await expect(worker.list(CLUSTER_ROLE_BINDINGS, call())).rejects.toThrow(/forbidden/);
    for (const flags of [['--server-side=true'], ['--server-side=false'], ['--force-replace']]) {
      await rights.upgrade(flags);
    }
    expect((await admin.get(CLUSTER_ROLE_BINDINGS, binding, call())).metadata).toEqual(metadata);
    await worker.delete(NAMESPACES, { name }, call());
    await eventually(
      () =>
        expect(admin.get(CLUSTER_ROLE_BINDINGS, binding, call()))
          .rejects.toThrow(/not found/)
          .then(() => true),
      { what: 'the binding has gone with its namespace', timeoutMs: 60_000, intervalMs: 500 },
    );
  });

  test('reads nothing of the host itself', async () => {
    for (const type of [NODES, STORAGE_CLASSES]) {
      await expect(rights.worker.list(type, call())).rejects.toThrow(/forbidden/);
    }
  });
});

describe('the server', () => {
  test('reads nothing in the namespaces of environments by itself', async () => {
    await expect(rights.server.list(SECRETS, { namespace: ours, ...call() })).rejects.toThrow(/forbidden/);
    await expect(rights.server.list(NAMESPACES, call())).rejects.toThrow(/forbidden/);
  });
});
