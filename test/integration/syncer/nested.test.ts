// A virtual cluster within a virtual cluster: the chart knows no difference, and nothing of the inner one outlives the outer.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIG_MAPS, NAMESPACES, PODS, SERVICES } from '../../../src/kube/resource.ts';
import type { ConfigMap, Pod, Service } from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { inventory, leftovers } from '../../support/host-inventory.ts';
import { call, sleeper, within } from '../../support/synced-cluster.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../../support/virtual-cluster.ts';

const HOST_NAMESPACE = 'nested-clusters';
const INSIDE_NAMESPACE = 'a-team-with-a-name-as-long-as-names-of-namespaces-can-be-at-all';
/** As long as the name of a release may be. */
const INNER = 'inner-virtual-cluster-with-a-long-name-0';
const WEB = { namespace: 'default', name: 'web' };

let host: ClusterAccess;
let before: Set<string>;
let outer: InstalledVirtualCluster;
let inner: InstalledVirtualCluster;

beforeAll(async () => {
  host = await clusterAccess();
  await host.kubectl(['delete', 'namespace', HOST_NAMESPACE, '--ignore-not-found', '--wait']);
  before = await inventory(host.client, call().signal);
  await host.client.create(NAMESPACES, { metadata: { name: HOST_NAMESPACE } }, call());
  const memory = { 'persistence.type': 'memory' };
  outer = await installVirtualCluster({ host, namespace: HOST_NAMESPACE, name: 'outer', values: memory });
  await outer.inside.client.create(NAMESPACES, { metadata: { name: INSIDE_NAMESPACE } }, call());
  inner = await installVirtualCluster({
    host: outer.inside,
    namespace: INSIDE_NAMESPACE,
    name: INNER,
    values: memory,
  });
}, 300_000);
afterAll(async () => {
  await host.kubectl(['delete', 'namespace', HOST_NAMESPACE, '--ignore-not-found', '--wait']);
  await host.client.close();
});

const exec = (...command: string[]) => inner.inside.kubectl(['exec', WEB.name, '--', ...command]);

describe('a virtual cluster within a virtual cluster', () => {
  test('runs pods, with logs and exec through both', async () => {
    const serve =
      'mkdir /tmp/www; echo page > /tmp/www/index.html; echo serving; exec httpd -f -p 8080 -h /tmp/www';
    const container = {
      name: 'web',
      image: 'docker.io/library/busybox:1.35.0',
      command: ['sh', '-c', serve],
    };
    await inner.inside.client.create<Pod>(PODS, sleeper(WEB, { containers: [container] }), call());
    await inner.inside.kubectl(['wait', '--for=condition=Ready', 'pod/web', '--timeout=60s']);
    expect(await inner.inside.kubectl(['logs', 'web'])).toBe('serving\n');
    expect(await exec('cat', '/tmp/www/index.html')).toBe('page\n');
  });

  test('has its Services under one address at all three levels, and resolves their names', async () => {
    const spec = { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] };
    const made = await inner.inside.client.create<Service>(SERVICES, { metadata: WEB, spec }, call());
    const address = made.spec?.clusterIP ?? '';
    for (const { client } of [outer.inside, host]) {
      await eventually(async () => {
        const { items } = await client.list<Service>(SERVICES, call());
        return items.find(({ spec }) => spec?.clusterIP === address);
      }, within('the level around it has the Service'));
    }
    const page = await eventually(
      async () =>
        (await exec('timeout', '2', 'wget', '-qO-', 'http://web.default.svc.cluster.local')) || undefined,
      within('the page is served'),
    );
    expect(page).toBe('page\n');
  });

  test('gives its pods an identity that only it knows', async () => {
    const token = await exec('cat', '/var/run/secrets/kubernetes.io/serviceaccount/token');
    const review = async ({ client }: ClusterAccess) => {
      const { status } = (await client.create(
        {
          group: 'authentication.k8s.io',
          version: 'v1',
          plural: 'tokenreviews',
          kind: 'TokenReview',
          namespaced: false,
        },
        { metadata: {}, spec: { token } } as never,
        call(),
      )) as { status?: { authenticated?: boolean } };
      return status?.authenticated ?? false;
    };
    expect(await Promise.all([inner.inside, outer.inside, host].map(review))).toEqual([true, false, false]);
  });

  test('counts in the quota of the outermost (T29)', async () => {
    const quota = ['get', 'resourcequota', 'outer-workloads', '--namespace', HOST_NAMESPACE];
    const used = await host.kubectl([...quota, '--output', 'jsonpath={.status.used.pods}']);
    // The control plane of the inner cluster, and the pod in it.
    expect(used).toBe('2');
  });

  test('is told how deep it stands, and allows no other within it (T29)', async () => {
    const { data } = await inner.inside.client.get<ConfigMap>(
      CONFIG_MAPS,
      { namespace: 'kube-public', name: 'mayfly-virtual-cluster' },
      call(),
    );
    expect(data).toMatchObject({ depth: '2', maxDepth: '2' });
    const values = ['--set', 'image.tag=dev', '--set', 'nesting.maxDepth=9'];
    await inner.inside.helm(['install', 'innermost', 'charts/virtual-cluster', ...values]);
    const said = await eventually(async () => {
      const log = await inner.inside.kubectl(['logs', 'innermost-0', '--container=syncer']);
      return log.includes('NestedTooDeep') ? log : undefined;
    }, within('the third level refuses to run'));
    expect(said).toContain('nesting.maxDepth allows 2');
    await inner.inside.helm(['uninstall', 'innermost', '--wait', '--timeout', '60s']);
  });
});

test('nothing of the inner cluster is left when the outer one is uninstalled (F22)', async () => {
  await inner.inside.client.close();
  await outer.uninstall();
  await host.client.delete(NAMESPACES, { name: HOST_NAMESPACE }, call());
  const left = await eventually(
    async (signal) => {
      // Other tests may be at work on the host.
      const found = leftovers(before, await inventory(host.client, signal)).filter((entry) =>
        entry.includes(HOST_NAMESPACE),
      );
      return found.length === 0 ? found : undefined;
    },
    { ...within('nothing is left'), intervalMs: 1_000 },
  );
  expect(left).toEqual([]);
});
