// F7: a worker that is killed with SIGKILL at any step leaves the environment to the next one, which ends with exactly one.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Environment } from '../../src/environments/resource.ts';
import { NAMESPACES, PODS } from '../../src/kube/resource.ts';
import type { Pod } from '../../src/syncer/objects.ts';
import { killContainer } from '../host/containers.ts';
import { eventually } from '../support/eventually.ts';
import type { PullRequest, Repository } from '../support/github/state.ts';
import { inventory, leftovers } from '../support/host-inventory.ts';
import { type InstalledMayfly, installMayfly } from '../support/installed-mayfly.ts';
import { shopFiles } from '../support/shop.ts';

const STEPS = ['namespace', 'control-plane', 'api-ready', 'deploy', 'publish', 'report'];
const STEP_TIMEOUT_MS = 120_000;
/** Often enough to be there before the next step is done. */
const LOOK_MS = 10;

let mayfly: InstalledMayfly;
let shop: Repository;
let before: Set<string>;

const limit = () => AbortSignal.timeout(30_000);

beforeAll(async () => {
  mayfly = await installMayfly({ name: 'mayfly-f7', values: { 'worker.sweepSeconds': '2' } });
  shop = await mayfly.github.createRepository('acme/shop', shopFiles('main'));
  before = await inventory(mayfly.cluster.client, limit());
});
afterAll(async () => {
  await mayfly?.uninstall();
});

interface RunningWorker {
  pod: string;
  container: string;
}

/** Its successor may not have started yet when the last kill's step is done. */
function runningWorker(): Promise<RunningWorker> {
  return eventually(
    async (signal) => {
      const { items } = await mayfly.cluster.client.list<Pod>(PODS, {
        namespace: mayfly.namespace,
        labelSelector: 'app.kubernetes.io/component=worker',
        signal,
      });
      const [worker] = items.filter(({ metadata }) => !metadata.deletionTimestamp);
      const [container] = worker?.status?.containerStatuses ?? [];
      return container?.state?.running && container.containerID
        ? { pod: worker?.metadata.name ?? '', container: container.containerID }
        : undefined;
    },
    { what: 'a worker runs', timeoutMs: 30_000, intervalMs: LOOK_MS },
  );
}

/** Replaces its pod too, because a container that ends again and again is started ever later. */
async function killWorker(): Promise<void> {
  const { pod, container } = await runningWorker();
  await killContainer(container);
  const { namespace, cluster } = mayfly;
  await cluster.kubectl(['delete', 'pod', pod, '--namespace', namespace, '--grace-period=0', '--force']);
}

function when<T>(what: string, accept: (environment: Environment | undefined) => T | undefined): Promise<T> {
  return eventually(async () => accept(await mayfly.environment('shop-1')), {
    what,
    timeoutMs: STEP_TIMEOUT_MS,
    intervalMs: LOOK_MS,
  });
}

const hasFinished = (environment: Environment | undefined, step: string) =>
  environment?.status?.steps.some(({ name, durationMs }) => name === step && durationMs !== undefined) ||
  undefined;

const deliver = async (action: string, pull: PullRequest) => {
  expect((await mayfly.github.deliver(action, pull, { to: mayfly.webhookUrl })).status).toBe(202);
};

test('F7: an environment becomes ready once although its worker is killed after each step, and goes although it is killed then', async () => {
  const pull = await mayfly.github.openPullRequest({ repository: shop, files: shopFiles('survivor') });
  await deliver('opened', pull);
  for (const step of STEPS) {
    await when(`step ${step} is done`, (environment) => hasFinished(environment, step));
    await killWorker();
  }
  const { status } = await when('the environment is ready', (environment) => {
    const isObserved = environment?.status?.observedGeneration === environment?.metadata.generation;
    return environment?.status?.phase === 'Ready' && isObserved ? environment : undefined;
  });
  const page = await mayfly.openPreview(`${status?.endpoints?.[0]?.url}/index.html`);
  expect(page).toMatchObject({ status: 200, body: 'survivor' });
  expect(await mayfly.environments()).toHaveLength(1);
  expect(mayfly.github.comments(pull)).toHaveLength(1);
  const namespaces = await mayfly.cluster.client.list(NAMESPACES, {
    labelSelector: `mayfly.dev/managed-by=${mayfly.namespace}`,
    signal: limit(),
  });
  expect(namespaces.items).toHaveLength(1);

  await mayfly.github.close(pull, { merged: true });
  await deliver('closed', pull);
  const isDeleted = (environment: Environment | undefined) =>
    environment?.metadata.deletionTimestamp !== undefined || undefined;
  await when('its teardown has begun', isDeleted);
  await killWorker();
  await when('it is gone', (environment) => (environment === undefined ? true : undefined));
  const workerPod = new RegExp(`^pods ${mayfly.namespace}/`);
  await eventually(
    async (signal) => {
      const after = await inventory(mayfly.cluster.client, signal);
      const left = leftovers(before, after).filter((entry) => !workerPod.test(entry));
      return left.length === 0 ? true : Promise.reject(new Error(left.join('\n')));
    },
    { what: 'the host holds what it held before', timeoutMs: STEP_TIMEOUT_MS, intervalMs: 1_000 },
  );
  expect(mayfly.github.comments(pull)).toHaveLength(1);
});
