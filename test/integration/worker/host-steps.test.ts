// The steps that make and remove an environment's place on the host, on a real host with the worker's own rights.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isConditionTrue } from '../../../src/environments/conditions.ts';
import { ENVIRONMENTS, type Environment, TEARDOWN_FINALIZER } from '../../../src/environments/resource.ts';
import { isNotFound } from '../../../src/kube/errors.ts';
import { createLease } from '../../../src/kube/lease.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  CONFIG_MAPS,
  type KubeObject,
  NAMESPACES,
  PODS,
  ROLE_BINDINGS,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  STORAGE_CLASSES,
} from '../../../src/kube/resource.ts';
import { systemClock as clock } from '../../../src/lib/clock.ts';
import { createEnvironmentAccess } from '../../../worker/environment-access.ts';
import { createHelm } from '../../../worker/helm.ts';
import { STATEFUL_SETS } from '../../../worker/host-kinds.ts';
import { hostPlaceOf } from '../../../worker/host-namespace.ts';
import { createPullRequests } from '../../../worker/pull-requests.ts';
import { createRunner, type Runner } from '../../../worker/runner.ts';
import { createControlPlaneStep } from '../../../worker/steps/control-plane.ts';
import { createNamespaceStep } from '../../../worker/steps/namespace.ts';
import { createReportStep } from '../../../worker/steps/report.ts';
import { createTeardownStep } from '../../../worker/steps/teardown.ts';
import { eventually } from '../../support/eventually.ts';
import { helmPath } from '../../support/tools.ts';
import { type InstalledRights, installRights } from './installed-rights.ts';

const call = () => ({ signal: AbortSignal.timeout(30_000) });
const logger = pino({ level: 'silent' });

let rights: InstalledRights;
let workFolder: string;
let helmProgram: string;
let count = 0;

beforeAll(async () => {
  [rights, helmProgram] = await Promise.all([installRights(), helmPath()]);
  workFolder = await mkdtemp(join(tmpdir(), 'mayfly-worker-'));
});
afterAll(async () => {
  const { items } = await rights.admin.list<Environment>(ENVIRONMENTS, {
    namespace: rights.namespace,
    ...call(),
  });
  const runner = workerRunner();
  await Promise.all(items.map(({ metadata }) => destroy(runner, metadata.name ?? '')));
  await rights.remove();
  await rm(workFolder, { recursive: true, force: true });
});

function workerRunner({ forceAfterMs = 300_000, makesControlPlane = true } = {}): Runner {
  const { worker: client, name: release, namespace } = rights;
  const pullRequests = createPullRequests({ github: undefined, forks: 'refuse' });
  const namespaceStep = createNamespaceStep({
    client,
    clock,
    release,
    service: { namespace, workerAccount: `${release}-worker`, serverAccount: `${release}-server` },
    podSecurity: 'baseline',
    hostReadsRole: `${release}-environment-reads`,
  });
  const controlPlaneStep = createControlPlaneStep({
    client,
    clock,
    helm: createHelm({ program: helmProgram }),
    chart: join(process.cwd(), 'charts/virtual-cluster'),
    workFolder,
    serviceNamespace: namespace,
    isolationProfile: 'baseline',
  });
  return createRunner({
    environments: createEnvironmentAccess({
      client,
      namespace,
      store: { subscribe: () => () => undefined },
    }),
    acquireLease: (name, signal) =>
      createLease({ client, namespace, name, holder: 'test', durationMs: 5_000, logger }).acquire(signal),
    provision: makesControlPlane ? [namespaceStep, controlPlaneStep] : [namespaceStep],
    teardown: [createTeardownStep({ client, clock, logger, release, forceAfterMs })],
    report: createReportStep({ pullRequests, clock }),
    clock,
    logger,
  });
}

async function createEnvironment(name = `steps-${++count}`): Promise<Environment> {
  const spec = { owner: 'token:tests', kubernetesVersion: '1.34', expiresAt: '2099-01-01T00:00:00Z' };
  return rights.admin.create<Environment>(
    ENVIRONMENTS,
    { metadata: { name, namespace: rights.namespace }, spec },
    call(),
  );
}

function read(name: string): Promise<Environment> {
  return rights.admin.get<Environment>(ENVIRONMENTS, { namespace: rights.namespace, name }, call());
}

async function destroy(runner: Runner, name: string): Promise<void> {
  await rights.admin.delete(ENVIRONMENTS, { namespace: rights.namespace, name }, call());
  await runner.reconcile(name, AbortSignal.timeout(90_000));
}

async function isThere(namespace: string): Promise<boolean> {
  try {
    await rights.admin.get(NAMESPACES, { name: namespace }, call());
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** UIDs of the bindings by which syncers of the environment read the host. */
async function bindingsOf(environment: string): Promise<(string | undefined)[]> {
  const labelSelector = `mayfly.dev/managed-by=${rights.name},mayfly.dev/environment=${environment}`;
  const { items } = await rights.admin.list(CLUSTER_ROLE_BINDINGS, { labelSelector, ...call() });
  return items.map(({ metadata }) => metadata.uid);
}

describe('provisioning', () => {
  test('makes the namespace, the control plane and its certificates, and says so', async () => {
    const { metadata } = await createEnvironment();
    const name = metadata.name ?? '';
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    const environment = await read(name);
    const place = hostPlaceOf(environment);
    expect(environment.metadata.finalizers).toEqual([TEARDOWN_FINALIZER]);
    expect(isConditionTrue(environment.status?.conditions, 'Provisioned')).toBe(true);
    expect(environment.status?.steps.map((step) => step.name)).toEqual(['namespace', 'control-plane']);
    const namespace = await rights.admin.get<KubeObject>(NAMESPACES, { name: place.namespace }, call());
    expect(environment.status?.host).toEqual({
      namespace: place.namespace,
      namespaceUid: namespace.metadata.uid,
    });
    const inside = { namespace: place.namespace, name };
    await rights.admin.get(STATEFUL_SETS, inside, call());
    await rights.admin.get(SERVICES, { ...inside, name: `${name}-dns` }, call());
    // The server may read the kubeconfig, and no other secret.
    await eventually(() => rights.server.get(SECRETS, { ...inside, name: `${name}-kubeconfig` }, call()), {
      what: 'the server reads the kubeconfig',
      timeoutMs: 10_000,
    });
    await expect(
      rights.server.get(SECRETS, { ...inside, name: `${name}-certificates` }, call()),
    ).rejects.toThrow(/forbidden/);
  });

  test('writes nothing when everything is done already', async () => {
    const { metadata } = await createEnvironment();
    const name = metadata.name ?? '';
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    const before = await read(name);
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    expect((await read(name)).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  test('F21: two workers at the same environment make one', async () => {
    const { metadata } = await createEnvironment();
    const name = metadata.name ?? '';
    const limit = AbortSignal.timeout(60_000);
    const ends = await Promise.allSettled([
      workerRunner().reconcile(name, limit),
      workerRunner().reconcile(name, limit),
    ]);
    const refused = ends.filter((end) => end.status === 'rejected').map(({ reason }) => reason.code);
    expect(refused.every((code) => code === 'LeaseHeld')).toBe(true);
    expect(ends.some((end) => end.status === 'fulfilled')).toBe(true);
    const labelSelector = `mayfly.dev/environment=${name}`;
    const { items } = await rights.admin.list(NAMESPACES, { labelSelector, ...call() });
    expect(items).toHaveLength(1);
  });

  test('meets what a killed run has left, and goes on from there', async () => {
    const { metadata } = await createEnvironment();
    const name = metadata.name ?? '';
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    const { namespace } = hostPlaceOf(await read(name));
    await rights.admin.delete(STATEFUL_SETS, { namespace, name }, call());
    await rights.admin.delete(ROLE_BINDINGS, { namespace, name }, call());
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    await rights.admin.get(STATEFUL_SETS, { namespace, name }, call());
    await rights.admin.get(ROLE_BINDINGS, { namespace, name }, call());
  });
});

describe('the right to read the host', () => {
  async function readsClasses({ namespace, cluster }: { namespace: string; cluster: string }) {
    const syncer = await rights.clientAs(namespace, cluster);
    try {
      const { items } = await syncer.list(STORAGE_CLASSES, call());
      await expect(syncer.list(SECRETS, call())).rejects.toThrow(/forbidden/);
      await expect(syncer.delete(STORAGE_CLASSES, { name: 'any' }, call())).rejects.toThrow(/forbidden/);
      return items;
    } finally {
      await syncer.close();
    }
  }

  test('is given to the syncers of environments that are made at once, and anew when somebody has deleted the namespace', async () => {
    const made = await Promise.all([createEnvironment(), createEnvironment()]);
    const [first = '', second = ''] = made.map(({ metadata }) => metadata.name ?? '');
    const runner = workerRunner({ makesControlPlane: false });
    const limit = AbortSignal.timeout(60_000);
    await Promise.all([first, second].map((name) => runner.reconcile(name, limit)));
    const { items: classes } = await rights.admin.list(STORAGE_CLASSES, call());
    for (const environment of made) {
      const { namespace, cluster } = hostPlaceOf(environment);
      await rights.admin.create(SERVICE_ACCOUNTS, { metadata: { namespace, name: cluster } }, call());
      const seen = await eventually(() => readsClasses({ namespace, cluster }), {
        what: 'the right has arrived',
        timeoutMs: 10_000,
      });
      expect(seen.map(({ metadata }) => metadata.name)).toEqual(classes.map(({ metadata }) => metadata.name));
    }
    const before = [...(await bindingsOf(first)), ...(await bindingsOf(second))];
    const { namespace } = hostPlaceOf(await read(first));
    await rights.admin.delete(NAMESPACES, { name: namespace }, call());
    await eventually(async () => ((await isThere(namespace)) ? undefined : true), {
      what: 'the namespace is gone',
      timeoutMs: 60_000,
    });
    await runner.reconcile(first, AbortSignal.timeout(60_000));
    await eventually(
      async () => {
        const found = await bindingsOf(first);
        return found.length === 1 && found[0] !== before[0] ? true : undefined;
      },
      { what: 'only the binding of the new namespace is there', timeoutMs: 60_000, intervalMs: 500 },
    );
    expect(await bindingsOf(second)).toEqual(before.slice(1));
  });
});

describe('a host namespace that somebody else deletes', () => {
  test('F15: gets nothing more; its environment goes on in a new one, and the next of that name elsewhere', async () => {
    const name = (await createEnvironment()).metadata.name ?? '';
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    const before = await read(name);
    const { namespace } = hostPlaceOf(before);
    const held = { namespace, name: 'held' };
    await rights.admin.create<KubeObject>(
      CONFIG_MAPS,
      { metadata: { ...held, finalizers: ['example.com/nobody'] } },
      call(),
    );
    await rights.admin.delete(NAMESPACES, { name: namespace }, call());
    await expect(workerRunner().reconcile(name, AbortSignal.timeout(60_000))).rejects.toThrow(
      /is being deleted/,
    );
    const provisioned = (await read(name)).status?.conditions.find(({ type }) => type === 'Provisioned');
    expect(provisioned).toMatchObject({ status: 'Unknown', reason: 'NamespaceTerminating' });
    await rights.admin.patch(
      CONFIG_MAPS,
      held,
      { type: 'merge', body: { metadata: { finalizers: null } } },
      call(),
    );
    await eventually(async () => ((await isThere(namespace)) ? undefined : true), {
      what: 'the namespace is gone',
      timeoutMs: 60_000,
    });
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    const after = await read(name);
    expect(isConditionTrue(after.status?.conditions, 'Provisioned')).toBe(true);
    expect(after.status?.host?.namespaceUid).not.toBe(before.status?.host?.namespaceUid);
    await rights.admin.get(STATEFUL_SETS, { namespace, name }, call());
    await destroy(workerRunner(), name);
    expect(hostPlaceOf(await createEnvironment(name)).namespace).not.toBe(namespace);
  });
});

describe('teardown', () => {
  test('T31: leaves a namespace of that name alone that was made for something else', async () => {
    const environment = await createEnvironment();
    const name = environment.metadata.name ?? '';
    const { namespace } = hostPlaceOf(environment);
    await rights.admin.create(NAMESPACES, { metadata: { name: namespace } }, call());
    await rights.admin.patch(
      ENVIRONMENTS,
      { namespace: rights.namespace, name },
      { type: 'merge', body: { metadata: { finalizers: [TEARDOWN_FINALIZER] } } },
      call(),
    );
    await expect(destroy(workerRunner(), name)).rejects.toThrow(/was not made for this environment/);
    expect(await isThere(namespace)).toBe(true);
    await rights.admin.delete(NAMESPACES, { name: namespace }, call());
    await eventually(async () => ((await isThere(namespace)) ? undefined : true), {
      what: 'the namespace is gone',
      timeoutMs: 30_000,
    });
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
  });

  test('removes everything, pods that ignore the end included, and then the environment', async () => {
    const { metadata } = await createEnvironment();
    const name = metadata.name ?? '';
    const runner = workerRunner();
    await runner.reconcile(name, AbortSignal.timeout(60_000));
    const { namespace } = hostPlaceOf(await read(name));
    const pod = {
      metadata: { name: 'stubborn', namespace },
      spec: {
        containers: [
          {
            name: 'main',
            image: 'docker.io/library/busybox:1.35.0',
            imagePullPolicy: 'IfNotPresent',
            command: ['sleep', '3600'],
            resources: { requests: { cpu: '10m', memory: '8Mi' }, limits: { cpu: '50m', memory: '16Mi' } },
          },
        ],
      },
    };
    await rights.admin.create<KubeObject>(PODS, pod, call());
    expect(await bindingsOf(name)).toHaveLength(1);
    await destroy(runner, name);
    expect(await isThere(namespace)).toBe(false);
    await expect(read(name)).rejects.toThrow(/not found/);
    await eventually(async () => ((await bindingsOf(name)).length === 0 ? true : undefined), {
      what: 'nobody of it may read the host',
      timeoutMs: 60_000,
      intervalMs: 500,
    });
  });

  test('F14: says whose finalizers it waits for, and removes them when the time is over', async () => {
    const { metadata } = await createEnvironment();
    const name = metadata.name ?? '';
    await workerRunner().reconcile(name, AbortSignal.timeout(60_000));
    const { namespace } = hostPlaceOf(await read(name));
    const held = { metadata: { name: 'held', namespace, finalizers: ['example.com/nobody'] } };
    await rights.admin.create<KubeObject>(CONFIG_MAPS, held, call());
    await rights.admin.delete(ENVIRONMENTS, { namespace: rights.namespace, name }, call());
    // On a busy machine it says first that pods do not end.
    await eventually(
      () =>
        expect(workerRunner().reconcile(name, AbortSignal.timeout(60_000)))
          .rejects.toThrow(/`held` \(example\.com\/nobody\)/)
          .then(() => true),
      { what: 'the finalizer is what it waits for', timeoutMs: 60_000 },
    );
    const tornDown = (await read(name)).status?.conditions.find(({ type }) => type === 'TornDown');
    expect(tornDown).toMatchObject({ status: 'Unknown', reason: 'FinalizersRemain' });
    expect(tornDown?.message).toContain('example.com/nobody');
    await workerRunner({ forceAfterMs: 0 }).reconcile(name, AbortSignal.timeout(60_000));
    expect(await isThere(namespace)).toBe(false);
  });
});
