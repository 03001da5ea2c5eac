// T15: how many requests one tenant may have open, and how many his syncer makes: what floods his own API reaches neither the
// host's nor another tenant, what reaches the host is bounded, and the host tells the tenants' requests apart.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectionFromKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { CONFIG_MAPS, type KubeObject, PODS, SERVICES } from '../../../src/kube/resource.ts';
import { createTransport, type KubeTransport, type TransportResponse } from '../../../src/kube/transport.ts';
import type { ConfigMap, Pod, Service } from '../../../src/syncer/objects.ts';
import type { ClusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { figure } from '../../support/figures.ts';
import { FLOW_SCHEMAS } from '../../support/resource-types.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

const WATCHES = 500;
const MAX_STREAMS = 8;
/** What other tests may do on the host meanwhile. */
const OTHERS = 100;

let noisy: VirtualWorkloads;
let neighbour: VirtualWorkloads;
let tenant: KubeTransport;
let operator: KubeTransport;
beforeAll(async () => {
  [noisy, neighbour] = await Promise.all([
    createVirtualWorkloads('noisy', { 'isolation.maxStreams': String(MAX_STREAMS) }),
    createVirtualWorkloads('neighbour'),
  ]);
  tenant = await transportOf(noisy.cluster.inside);
  operator = await transportOf(noisy.host);
  await noisy.create(podRunning('talker', 'echo said'));
  await noisy.running('talker');
});
afterAll(async () => {
  await Promise.all([tenant?.close(), operator?.close(), noisy?.remove(), neighbour?.remove()]);
});

/** Ends what a test has opened. */
let flood = new AbortController();
afterEach(() => {
  flood.abort();
  flood = new AbortController();
});

async function transportOf({ kubeconfig }: ClusterAccess): Promise<KubeTransport> {
  return createTransport(connectionFromKubeconfig(await readFile(kubeconfig, 'utf8')), { process: 'tests' });
}

/** Requests of the tenant that go on until the test ends. */
function open(count: number, path: string): Promise<TransportResponse[]> {
  const one = () =>
    tenant.request({ method: 'GET', path, timeoutMs: 60_000, streaming: true, signal: flood.signal });
  return Promise.all(
    Array.from({ length: count }, async () => {
      const response = await one();
      response.body.on('error', () => undefined);
      if (response.status === 200) response.body.resume();
      return response;
    }),
  );
}

async function longRunning({ client }: ClusterAccess, labels: Record<string, string>): Promise<number> {
  return figure(await client.text('/metrics', call()), 'apiserver_longrunning_requests', labels);
}

async function neighbourIsServed(pod: string): Promise<void> {
  await neighbour.create(podRunning(pod));
  await neighbour.running(pod);
  expect(await neighbour.output(pod, 'echo', 'served')).toBe('served');
}

/** How often each container of the control plane was started again. */
async function restarts({ host, hostNamespace, cluster }: VirtualWorkloads): Promise<Record<string, number>> {
  const pod = { namespace: hostNamespace, name: `${cluster.name}-0` };
  const { status } = await host.client.get<Pod>(PODS, pod, call());
  return Object.fromEntries(
    (status?.containerStatuses ?? []).map(({ name, restartCount }) => [name, restartCount]),
  );
}

describe('T15: watches of a tenant', () => {
  const MAPS = { verb: 'WATCH', resource: 'configmaps' };

  it('by the hundred reach neither the host nor another tenant, and the tenant is served on', async () => {
    const [hostBefore, restartsBefore] = [await longRunning(noisy.host, MAPS), await restarts(noisy)];
    const watches = await open(WATCHES, '/api/v1/configmaps?watch=true&allowWatchBookmarks=true');
    expect(watches.map(({ status }) => status)).toEqual(watches.map(() => 200));
    expect(await longRunning(noisy.cluster.inside, MAPS)).toBeGreaterThanOrEqual(WATCHES);

    await neighbourIsServed('beside-watches');
    const map: ConfigMap = { metadata: named('watched'), data: { a: '1' } };
    await noisy.cluster.inside.client.create<ConfigMap>(CONFIG_MAPS, map, call());
    await noisy.create(
      podRunning('under-watches', 'true', {
        container: { envFrom: [{ configMapRef: { name: 'watched' } }] },
      }),
    );
    await noisy.running('under-watches');

    expect(await longRunning(noisy.cluster.inside, MAPS)).toBeGreaterThanOrEqual(WATCHES);
    expect((await longRunning(noisy.host, MAPS)) - hostBefore).toBeLessThan(OTHERS);
    expect(await restarts(noisy)).toEqual(restartsBefore);
  });
});

describe('T15: more than a control plane has memory for', () => {
  const MAPS = 40;
  const ASKING = 300;
  const EVERYTHING =
    '/api/v1/configmaps?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  let small: VirtualWorkloads;
  let transport: KubeTransport;
  beforeAll(async () => {
    small = await createVirtualWorkloads('small', { 'resources.kubeApiserver.limits.memory': '400Mi' });
    transport = await transportOf(small.cluster.inside);
  });
  afterAll(async () => {
    await transport?.close();
    await small?.remove();
  });

  /** Watches that begin with all there is, and are not read. */
  const ask = () =>
    Promise.allSettled(
      Array.from({ length: ASKING }, async () => {
        const { body } = await transport.request({
          method: 'GET',
          path: EVERYTHING,
          timeoutMs: 20_000,
          streaming: true,
          signal: flood.signal,
        });
        body.on('error', () => undefined);
      }),
    );

  it('ends its API server and nothing else; it comes back with all it had', async () => {
    const { client } = small.cluster.inside;
    for (let index = 0; index < MAPS; index += 1) {
      const map: ConfigMap = { metadata: named(`large-${index}`), data: { a: 'x'.repeat(900_000) } };
      await client.create<ConfigMap>(CONFIG_MAPS, map, call());
    }
    const { 'kube-apiserver': before = 0, ...others } = await restarts(small);
    await eventually(
      async () => {
        await ask();
        return (await restarts(small))['kube-apiserver'] !== before || undefined;
      },
      { what: 'the API server has run out of memory', timeoutMs: 90_000 },
    );
    await neighbourIsServed('beside-the-end');
    flood.abort();
    const { items } = await eventually(
      () => client.list<ConfigMap>(CONFIG_MAPS, { namespace: 'default', ...call() }).catch(() => undefined),
      { what: 'the API server answers again', timeoutMs: 90_000 },
    );
    expect(items.filter(({ metadata }) => metadata.name?.startsWith('large-'))).toHaveLength(MAPS);
    await small.create(podRunning('after'));
    await small.running('after');
    expect(await restarts(small)).toMatchObject(others);
  });
});

describe('T15: streams of a tenant', () => {
  const LOGS = '/api/v1/namespaces/default/pods/talker/log?follow=true';

  it('are as many at the host as they may be; one more is refused in words, and another tenant has his', async () => {
    const followed = await open(MAX_STREAMS * 4, LOGS);
    const refused = followed.filter(({ status }) => status !== 200);
    expect(followed.length - refused.length).toBe(MAX_STREAMS);
    for (const { status, body } of refused) {
      expect(status).toBe(429);
      expect(JSON.parse(await text(body))).toMatchObject({ kind: 'Status', reason: 'TooManyRequests' });
    }
    await expect(noisy.output('talker', 'true')).rejects.toThrow(
      `this virtual cluster has ${MAX_STREAMS} logs, exec, attach and port-forward streams open, as many as it may`,
    );
    await neighbourIsServed('beside-streams');

    flood.abort();
    await eventually(() => noisy.output('talker', 'echo', 'again').catch(() => undefined), {
      what: 'streams are open to the tenant again',
      timeoutMs: 30_000,
    });
  });
});

describe('T15: requests of syncers', () => {
  type FlowSchema = KubeObject & { spec: { distinguisherMethod?: { type: string } } };

  /** Under which flow schema the host queues what this syncer asks. */
  async function flowSchemaOf({ hostNamespace, cluster }: VirtualWorkloads): Promise<FlowSchema | undefined> {
    const response = await operator.request({
      method: 'GET',
      path: `/api/v1/namespaces/${hostNamespace}/pods`,
      headers: {
        'impersonate-user': `system:serviceaccount:${hostNamespace}:${cluster.name}`,
      },
      timeoutMs: 30_000,
      signal: AbortSignal.timeout(30_000),
    });
    response.body.resume();
    expect(response.status).toBe(200);
    const uid = response.headers['x-kubernetes-pf-flowschema-uid'];
    const { items } = await noisy.host.client.list<FlowSchema>(FLOW_SCHEMAS, call());
    return items.find(({ metadata }) => metadata.uid === uid);
  }

  it('are queued by the host under a schema that tells their users apart', async () => {
    for (const work of [noisy, neighbour]) {
      expect(await flowSchemaOf(work)).toMatchObject({
        metadata: { name: 'service-accounts' },
        spec: { distinguisherMethod: { type: 'ByUser' } },
      });
    }
  });

  it('that carry a flood of changes keep no other tenant waiting, and arrive', async () => {
    const NAMES = Array.from({ length: 30 }, (_, index) => `changing-${index}`);
    const inside = noisy.cluster.inside.client;
    const service = (name: string, port: number): Service => ({
      metadata: named(name),
      spec: { ports: [{ port }] },
    });
    await Promise.all(NAMES.map((name) => inside.create(SERVICES, service(name, 80), call())));

    let port = 1000;
    let over = false;
    const flooding = (async () => {
      while (!over) {
        port += 1;
        const patch = { type: 'merge' as const, body: { spec: { ports: [{ port }] } } };
        await Promise.all(NAMES.map((name) => inside.patch(SERVICES, named(name), patch, call())));
      }
    })();
    // It is awaited in the end; until then a failure is not to end the process.
    flooding.catch(() => undefined);
    try {
      await eventually(async () => (port > 1005 ? true : undefined), {
        what: 'changes flow',
        timeoutMs: 30_000,
      });
      await neighbourIsServed('beside-changes');
    } finally {
      over = true;
      await flooding;
    }
    await eventually(
      async () => {
        const { items } = await noisy.host.client.list<Service>(SERVICES, {
          namespace: noisy.hostNamespace,
          labelSelector: 'mayfly.dev/virtual-namespace=default',
          ...call(),
        });
        const current = items.filter(({ spec }) => spec?.ports?.[0]?.port === port);
        return current.length === NAMES.length ? true : undefined;
      },
      { what: 'the host has the last of all changes', timeoutMs: 60_000 },
    );
  });
});
