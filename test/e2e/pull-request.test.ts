// The life of previews as developers see it: deliveries in, pages and comments out, and nothing left on the host.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findCondition } from '../../src/environments/conditions.ts';
import { ENVIRONMENTS, type Environment } from '../../src/environments/resource.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  type KubeObject,
  NAMESPACES,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  resourcePath,
  STORAGE_CLASSES,
} from '../../src/kube/resource.ts';
import type { PersistentVolumeClaim, Pod } from '../../src/syncer/objects.ts';
import { eventually } from '../support/eventually.ts';
import type { PullRequest, Repository } from '../support/github/state.ts';
import { inventory, leftovers } from '../support/host-inventory.ts';
import { type InstalledMayfly, installMayfly } from '../support/installed-mayfly.ts';
import { brokenShopFiles, shopFiles } from '../support/shop.ts';

const READY_TIMEOUT_MS = 120_000;
const GONE_TIMEOUT_MS = 90_000;

let mayfly: InstalledMayfly;
let shop: Repository;
let before: Set<string>;

const limit = (timeoutMs = 30_000) => AbortSignal.timeout(timeoutMs);
const environmentNameOf = ({ number }: PullRequest) => `shop-${number}`;

async function deliver(action: string, pull: PullRequest, id: string = randomUUID()): Promise<number> {
  return (await mayfly.github.deliver(action, pull, { to: mayfly.webhookUrl, id })).status;
}

/** The preview's URL once the environment serves this commit. */
function served(pull: PullRequest, commit: string): Promise<string> {
  return mayfly.environmentWhen(
    environmentNameOf(pull),
    `${environmentNameOf(pull)} serves ${commit.slice(0, 7)}`,
    (environment) =>
      environment?.status?.phase === 'Ready' && environment.status.commit === commit
        ? environment.status.endpoints?.[0]?.url
        : undefined,
    READY_TIMEOUT_MS,
  );
}

/** The host's proxy may lead to the pod before for about a second after the newer one is ready. */
function shows(url: string, text: string): Promise<true> {
  return eventually(
    async () => ((await mayfly.openPreview(`${url}/index.html`)).body === text ? true : undefined),
    { what: `the page says ${text}`, timeoutMs: 10_000 },
  );
}

function gone(name: string): Promise<true> {
  return mayfly.environmentWhen(
    name,
    `${name} is gone`,
    (environment) => (environment === undefined ? true : undefined),
    GONE_TIMEOUT_MS,
  );
}

/** Waits until the host holds what it held before, and returns what it holds besides. */
async function leftOnHost(): Promise<string[]> {
  return eventually(
    async (signal) => {
      const left = leftovers(before, await inventory(mayfly.cluster.client, signal));
      return left.length === 0 ? left : Promise.reject(new Error(left.join('\n')));
    },
    { what: 'the host holds what it held before', timeoutMs: GONE_TIMEOUT_MS, intervalMs: 1_000 },
  );
}

async function openPullRequest(text: string): Promise<PullRequest> {
  const pull = await mayfly.github.openPullRequest({ repository: shop, files: shopFiles(text) });
  expect(await deliver('opened', pull)).toBe(202);
  return pull;
}

async function closePullRequest(pull: PullRequest): Promise<void> {
  await mayfly.github.close(pull, { merged: true });
  expect(await deliver('closed', pull)).toBe(202);
  await gone(environmentNameOf(pull));
}

/** Asks the API of a virtual cluster as its users do: through the service, with the token of their kubeconfig. */
async function insideOf(name: string) {
  const { body: kubeconfig } = await mayfly.api('GET', `/v1/environments/${name}/kubeconfig`);
  const token = /token: (\S+)/.exec(kubeconfig)?.[1];
  return async <T>(method: string, path: string, object?: KubeObject): Promise<T> => {
    const { status, body } = await mayfly.api(
      method,
      `/v1/environments/${name}/cluster${path}`,
      object,
      token,
    );
    if (status > 299) throw new Error(body);
    return JSON.parse(body) as T;
  };
}

const namesOf = (items: readonly KubeObject[]) => items.map(({ metadata }) => metadata.name).sort();

const reportOf = (pull: PullRequest) => {
  const comments = mayfly.github.comments(pull);
  expect(comments).toHaveLength(1);
  return comments[0]?.body ?? '';
};

beforeAll(async () => {
  mayfly = await installMayfly({ name: 'mayfly-e2e', values: { 'worker.sweepSeconds': '2' } });
  shop = await mayfly.github.createRepository('acme/shop', shopFiles('main'));
  before = await inventory(mayfly.cluster.client, limit());
});

afterAll(async () => {
  await mayfly?.uninstall();
});

afterEach(async () => {
  for (const { metadata } of await mayfly.environments()) {
    const name = metadata.name ?? '';
    await mayfly.cluster.client
      .delete(ENVIRONMENTS, { namespace: mayfly.namespace, name }, { signal: limit() })
      .catch(() => undefined);
    await gone(name);
  }
});

describe('a pull request', () => {
  test('gets a page when opened, the new page after a push, and leaves nothing when merged', async () => {
    const pull = await openPullRequest('first version');
    const url = await served(pull, pull.headCommit);
    expect(await mayfly.openPreview(`${url}/index.html`)).toMatchObject({
      status: 200,
      body: 'first version',
    });
    await eventually(async () => (reportOf(pull).includes(url) ? true : undefined), {
      what: 'the comment has the URL',
      timeoutMs: 20_000,
    });

    const commit = await mayfly.github.push(pull, shopFiles('second version'));
    expect(await deliver('synchronize', pull)).toBe(202);
    expect(await served(pull, commit)).toBe(url);
    await shows(url, 'second version');

    await closePullRequest(pull);
    expect(await leftOnHost()).toEqual([]);
    expect(reportOf(pull)).not.toContain('Preview ready');
    expect((await mayfly.openPreview(`${url}/index.html`)).status).toBe(404);
  });

  test('ends with one environment when its delivery arrives twice and is sent again', async () => {
    const pull = await mayfly.github.openPullRequest({ repository: shop, files: shopFiles('once') });
    const id = randomUUID();
    const statuses = await Promise.all(Array.from({ length: 20 }, () => deliver('opened', pull, id)));
    expect(new Set(statuses)).toEqual(new Set([202]));
    await served(pull, pull.headCommit);
    await deliver('opened', pull, id);
    expect(await mayfly.environments()).toHaveLength(1);
    reportOf(pull);
  });

  test('ends with none when `closed` arrives before `opened`', async () => {
    const pull = await mayfly.github.openPullRequest({ repository: shop, files: shopFiles('late') });
    await mayfly.github.close(pull);
    await deliver('closed', pull);
    await deliver('opened', pull);
    const another = await openPullRequest('the queue goes on');
    await served(another, another.headCommit);
    expect((await mayfly.environments()).map(({ metadata }) => metadata.name)).toEqual([
      environmentNameOf(another),
    ]);
  });

  test('serves its newest commit after many pushes at once', async () => {
    const pull = await openPullRequest('push 0');
    const commits: string[] = [];
    for (let push = 1; push <= 5; push++) {
      commits.push(await mayfly.github.push(pull, shopFiles(`push ${push}`)));
    }
    await Promise.all(commits.map(() => deliver('synchronize', pull)));
    const url = await served(pull, pull.headCommit);
    await shows(url, 'push 5');
  });

  test('that cannot run is told which object fails and why, and is torn down cleanly', async () => {
    const files = brokenShopFiles('no database to talk to');
    const pull = await mayfly.github.openPullRequest({ repository: shop, files });
    await deliver('opened', pull);
    const condition = await mayfly.environmentWhen(
      environmentNameOf(pull),
      'the environment has failed',
      (environment) =>
        environment?.status?.phase === 'Failed'
          ? findCondition(environment.status.conditions, 'Ready')
          : undefined,
      READY_TIMEOUT_MS,
    );
    expect(condition?.message).toMatch(/Deployment `?web`?.*container `?web`?.*exit/is);
    const report = await eventually(
      async () => (reportOf(pull).includes('Preview failed') ? reportOf(pull) : undefined),
      { what: 'the comment says that it failed', timeoutMs: 30_000 },
    );
    expect(report).toContain('web');
    await closePullRequest(pull);
    expect(await leftOnHost()).toEqual([]);
  });

  test('with a mistake in .mayfly.yaml is told line and column', async () => {
    const files = { ...shopFiles('x'), '.mayfly.yaml': 'version: 1\ndeploy:\n  helmm: {}\n' };
    const pull = await mayfly.github.openPullRequest({ repository: shop, files });
    await deliver('opened', pull);
    await eventually(async () => (/\.mayfly\.yaml:3:\d+.*helm/.test(reportOf(pull)) ? true : undefined), {
      what: 'the comment names the place',
      timeoutMs: READY_TIMEOUT_MS,
    });
  });
});

describe('a delivery with a wrong signature', () => {
  test('is answered with 401 and queues nothing', async () => {
    const pull = await mayfly.github.openPullRequest({ repository: shop, files: shopFiles('forged') });
    const forged = await mayfly.github.deliver('opened', pull, { to: mayfly.webhookUrl, secret: 'guessed' });
    expect(forged.status).toBe(401);
    const genuine = await openPullRequest('genuine');
    await served(genuine, genuine.headCommit);
    expect((await mayfly.environments()).map(({ metadata }) => metadata.name)).toEqual([
      environmentNameOf(genuine),
    ]);
  });
});

describe('an environment', () => {
  test('asked for by the API runs an image and is deleted by the API', async () => {
    const app = { image: 'docker.io/library/redis:7', port: 6379 };
    expect((await mayfly.api('POST', '/v1/environments', { name: 'by-hand', app })).status).toBe(201);
    await mayfly.environmentWhen(
      'by-hand',
      'it is ready',
      (environment) => (environment?.status?.phase === 'Ready' ? true : undefined),
      READY_TIMEOUT_MS,
    );
    const kubeconfig = await mayfly.api('GET', '/v1/environments/by-hand/kubeconfig');
    expect(kubeconfig.status).toBe(200);
    expect(kubeconfig.body).toContain('/v1/environments/by-hand/cluster');
    expect((await mayfly.api('DELETE', '/v1/environments/by-hand')).status).toBe(202);
    await gone('by-hand');
    expect(await leftOnHost()).toEqual([]);
  });

  test('shows the classes of the host beside another, binds claims to its volumes, and may read nothing of it once it is gone', async () => {
    const names = ['store-one', 'store-two'];
    for (const name of names) {
      expect((await mayfly.api('POST', '/v1/environments', { name })).status).toBe(201);
    }
    const places = await Promise.all(
      names.map((name) =>
        mayfly.environmentWhen(
          name,
          `${name} is ready`,
          (environment) =>
            environment?.status?.phase === 'Ready' ? environment.status.host?.namespace : undefined,
          READY_TIMEOUT_MS,
        ),
      ),
    );
    expect((await readersOfHost()).sort()).toEqual(
      names.map((name, index) => `${places[index]}/${name}`).sort(),
    );
    const { items: classes } = await mayfly.cluster.client.list(STORAGE_CLASSES, { signal: limit() });
    await Promise.all(
      names.map(async (name) => {
        const inside = await insideOf(name);
        await eventually(
          async () => {
            const { items } = await inside<{ items: KubeObject[] }>('GET', resourcePath(STORAGE_CLASSES));
            expect(namesOf(items)).toEqual(namesOf(classes));
            return true;
          },
          { what: 'the classes are shown', timeoutMs: 20_000 },
        );
        await claimVolume(inside, classes[0]?.metadata.name ?? '');
      }),
    );
    for (const name of names) await mayfly.api('DELETE', `/v1/environments/${name}`);
    await Promise.all(names.map(gone));
    expect(await leftOnHost()).toEqual([]);
    expect(await readersOfHost()).toEqual([]);
  });

  /** `namespace/name` of the accounts that the release lets read the host. */
  async function readersOfHost(): Promise<string[]> {
    type Binding = KubeObject & {
      roleRef: { name: string };
      subjects?: { namespace?: string; name: string }[];
    };
    const { items } = await mayfly.cluster.client.list<Binding>(CLUSTER_ROLE_BINDINGS, { signal: limit() });
    return items
      .filter(({ roleRef }) => roleRef.name === `${mayfly.namespace}-environment-reads`)
      .flatMap(({ subjects = [] }) => subjects.map((subject) => `${subject.namespace}/${subject.name}`));
  }

  /** Runs a pod on a claim of this class, and waits until that is bound. */
  async function claimVolume(
    inside: Awaited<ReturnType<typeof insideOf>>,
    storageClassName: string,
  ): Promise<void> {
    const namespace = 'default';
    const claim: PersistentVolumeClaim = {
      metadata: { name: 'data' },
      spec: {
        storageClassName,
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '8Mi' } },
      },
    };
    const pod: Pod = {
      metadata: { name: 'keeper' },
      spec: {
        terminationGracePeriodSeconds: 1,
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
        containers: [
          {
            name: 'keeper',
            image: 'docker.io/library/busybox:1.35.0',
            command: ['sleep', '3600'],
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
      },
    };
    await inside('POST', resourcePath(PERSISTENT_VOLUME_CLAIMS, { namespace }), claim);
    await inside('POST', resourcePath(PODS, { namespace }), pod);
    const path = resourcePath(PERSISTENT_VOLUME_CLAIMS, { namespace, name: 'data' });
    await eventually(
      async () => (await inside<PersistentVolumeClaim>('GET', path)).status?.phase === 'Bound' || undefined,
      { what: 'the claim is bound', timeoutMs: 60_000, intervalMs: 500 },
    );
  }

  test('is torn down when its time to live is over', async () => {
    await mayfly.api('POST', '/v1/environments', { name: 'short', ttlSeconds: 3600 });
    await mayfly.environmentWhen(
      'short',
      'it has a namespace',
      (environment) => environment?.status?.host,
      30_000,
    );
    await mayfly.cluster.client.patch<Environment>(
      ENVIRONMENTS,
      { namespace: mayfly.namespace, name: 'short' },
      { type: 'merge', body: { spec: { expiresAt: new Date(Date.now() + 3_000).toISOString() } } },
      { signal: limit() },
    );
    await gone('short');
    expect(await leftOnHost()).toEqual([]);
  });

  test('becomes ready although Redis lost everything meanwhile', async () => {
    const pull = await openPullRequest('without Redis');
    await mayfly.environmentWhen(
      environmentNameOf(pull),
      'provisioning has begun',
      (environment) => environment?.status?.host,
      30_000,
    );
    await mayfly.flushRedis();
    const url = await served(pull, pull.headCommit);
    expect((await mayfly.openPreview(`${url}/index.html`)).body).toBe('without Redis');
  });
});

describe('the host', () => {
  test('has one namespace for each environment and no other', async () => {
    const pull = await openPullRequest('one namespace');
    await served(pull, pull.headCommit);
    const { items } = await mayfly.cluster.client.list(NAMESPACES, {
      labelSelector: `mayfly.dev/managed-by=${mayfly.namespace}`,
      signal: limit(),
    });
    expect(items).toHaveLength(1);
  });
});
