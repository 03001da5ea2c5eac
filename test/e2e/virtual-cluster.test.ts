// What `helm install charts/virtual-cluster` alone gives, seen from outside through kubectl, beside a neighbour.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKubeClient } from '../../src/kube/client.ts';
import { connectionFromKubeconfig } from '../../src/kube/kubeconfig.ts';
import { EVENTS, type KubeObject, NAMESPACES, PODS, SERVICES } from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { type ClusterAccess, clusterAccess } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { inventory, leftovers } from '../support/host-inventory.ts';
import { kubectlPath } from '../support/tools.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../support/virtual-cluster.ts';

const NAMESPACE = 'two-virtual-clusters';
const MANIFESTS = 'test/e2e/manifests';
const CLUSTER_LABEL = 'mayfly.dev/cluster';

let host: ClusterAccess;
let before: Set<string>;
let alone: InstalledVirtualCluster;
let neighbour: InstalledVirtualCluster;

const limit = (timeoutMs = 30_000) => AbortSignal.timeout(timeoutMs);

async function deployWeb({ inside }: InstalledVirtualCluster): Promise<void> {
  await inside.kubectl(['apply', '-f', `${MANIFESTS}/web.yaml`, '-f', `${MANIFESTS}/visitor.yaml`]);
  await inside.kubectl(['rollout', 'status', 'deployment/web', '--timeout=60s']);
  await inside.kubectl(['wait', '--for=condition=Ready', 'pod/visitor', '--timeout=60s']);
}

/** `name uid` of the cluster's host pods and Services. */
async function hostObjects(cluster: string): Promise<string[]> {
  const selection = { namespace: NAMESPACE, labelSelector: `${CLUSTER_LABEL}=${cluster}`, signal: limit() };
  const lists = await Promise.all([PODS, SERVICES].map((type) => host.client.list(type, selection)));
  return lists.flatMap(({ items }) => items.map(({ metadata }) => `${metadata.name} ${metadata.uid}`)).sort();
}

function inVisitor({ inside }: InstalledVirtualCluster, ...command: string[]): Promise<string> {
  return inside.kubectl(['exec', 'visitor', '--', ...command]);
}

beforeAll(async () => {
  host = await clusterAccess();
  await host.kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait']);
  before = await inventory(host.client, limit());
  await host.client.create(NAMESPACES, { metadata: { name: NAMESPACE } }, { signal: limit() });
  [alone, neighbour] = await Promise.all([
    installVirtualCluster({
      host,
      namespace: NAMESPACE,
      name: 'alone',
      values: { 'persistence.type': 'memory' },
    }),
    installVirtualCluster({ host, namespace: NAMESPACE, name: 'neighbour' }),
  ]);
  await Promise.all([deployWeb(alone), deployWeb(neighbour)]);
});

afterAll(async () => {
  await neighbour?.uninstall();
  await host.kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait']);
  await host.client.close();
});

describe('inside a virtual cluster', () => {
  test('there are the namespaces of a new cluster and nothing of the host', async () => {
    const { items } = await alone.inside.client.list(NAMESPACES, { signal: limit() });
    expect(items.map(({ metadata }) => metadata.name).sort()).toEqual([
      'default',
      'kube-node-lease',
      'kube-public',
      'kube-system',
    ]);
  });

  test('a Service has the same cluster IP as on the host, and its name resolves to it', async () => {
    const ip = await alone.inside.kubectl(['get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}']);
    const { items } = await host.client.list<KubeObject & { spec: { clusterIP: string } }>(SERVICES, {
      namespace: NAMESPACE,
      labelSelector: `${CLUSTER_LABEL}=alone`,
      signal: limit(),
    });
    expect(items.map(({ spec }) => spec.clusterIP)).toContain(ip);
    expect(await inVisitor(alone, 'nslookup', 'web.default.svc.cluster.local')).toContain(ip);
  });

  test('a pod reaches another through its Service name, with the config map it refers to', async () => {
    expect(await inVisitor(alone, 'timeout', '5', 'wget', '-qO-', 'http://web')).toBe('hello from inside\n');
  });

  test('a pod is told the API server of the virtual cluster', async () => {
    const environment = await inVisitor(alone, 'env');
    const ip = await alone.inside.kubectl([
      'get',
      'service',
      'kubernetes',
      '-o',
      'jsonpath={.spec.clusterIP}',
    ]);
    expect(environment).toContain(`KUBERNETES_SERVICE_HOST=${ip}\n`);
    const hostService = await host.client.get<KubeObject & { spec: { clusterIP: string } }>(
      SERVICES,
      { namespace: NAMESPACE, name: 'alone' },
      { signal: limit() },
    );
    expect(ip).toBe(hostService.spec.clusterIP);
  });

  test("a pod's token is its service account in the virtual cluster, and nobody on the host", async () => {
    const token = await inVisitor(alone, 'cat', '/var/run/secrets/kubernetes.io/serviceaccount/token');
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview', metadata: {} };
    const selfSubjectReviews = {
      group: 'authentication.k8s.io',
      version: 'v1',
      plural: 'selfsubjectreviews',
      kind: 'SelfSubjectReview',
      namespaced: false,
    };
    const whoAmI = async (access: ClusterAccess) => {
      const { server, ca } = connectionFromKubeconfig(await readFile(access.kubeconfig, 'utf8'));
      const client = createKubeClient(
        createTransport({ server, ca, token: () => token }, { process: 'tests' }),
      );
      return client.create(selfSubjectReviews, review, { signal: limit() }).finally(() => client.close());
    };
    expect(await whoAmI(alone.inside)).toMatchObject({
      status: { userInfo: { username: 'system:serviceaccount:default:default' } },
    });
    await expect(whoAmI(host)).rejects.toMatchObject({ status: 401 });
  });

  test('logs come from the pod on the host', async () => {
    expect(await alone.inside.kubectl(['logs', 'deployment/web'])).toContain('serving');
  });

  test('port-forward reaches the pod', async () => {
    const child = spawn(await kubectlPath(), ['port-forward', 'deployment/web', ':8080'], {
      env: { ...process.env, KUBECONFIG: alone.inside.kubeconfig },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(createInterface(child.stdout), 'line', { signal: limit() })) as [string];
      const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      const page = await fetch(`http://127.0.0.1:${port}/index.html`, { signal: limit() });
      expect(await page.text()).toBe('hello from inside\n');
    } finally {
      child.kill();
    }
  });

  test('what happened to a pod on the host is told as an event inside, under its own name', async () => {
    const events = await eventually(
      async (signal) => {
        const { items } = await alone.inside.client.list<
          KubeObject & { reason?: string; message?: string; involvedObject: { name?: string } }
        >(EVENTS, { namespace: 'default', signal });
        const started = items.filter(({ reason }) => reason === 'Started');
        return started.length > 0 ? items : undefined;
      },
      { what: 'an event says that a container started', timeoutMs: 20_000 },
    );
    expect(events.map(({ involvedObject }) => involvedObject.name)).toContain('visitor');
    for (const { message } of events) expect(message).not.toContain(NAMESPACE);
  });

  test('a pod that asks for the host is refused with the reason', async () => {
    const pod = {
      metadata: { namespace: 'default', name: 'greedy' },
      spec: {
        containers: [
          {
            name: 'greedy',
            image: 'docker.io/library/busybox:1.35.0',
            securityContext: { privileged: true },
          },
        ],
      },
    };
    await alone.inside.client.create(PODS, pod, { signal: limit() });
    const message = await eventually(
      async (signal) => {
        const { items } = await alone.inside.client.list<KubeObject & { message?: string; type?: string }>(
          EVENTS,
          {
            namespace: 'default',
            fieldSelector: 'involvedObject.name=greedy,type=Warning',
            signal,
          },
        );
        return items[0]?.message;
      },
      { what: 'the refusal is an event', timeoutMs: 20_000 },
    );
    expect(message).toMatch(/privileged/);
    expect((await hostObjects('alone')).join()).not.toContain('greedy');
    await alone.inside.kubectl(['delete', 'pod', 'greedy', '--grace-period=0', '--force']);
  });
});

describe('a tenant who makes the API server dial', () => {
  const outside = '172.30.0.11';

  test('is refused at a Node of their own making', async () => {
    await alone.inside.client.create(
      { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
      { metadata: { name: 'elsewhere' } },
      { signal: limit() },
    );
    await alone.inside.client.patch(
      { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
      { name: 'elsewhere' },
      {
        type: 'merge',
        body: {
          status: {
            addresses: [{ type: 'InternalIP', address: outside }],
            daemonEndpoints: { kubeletEndpoint: { Port: 6443 } },
          },
        },
      },
      { subresource: 'status', signal: limit() },
    );
    await expect(
      alone.inside.client.text('/api/v1/nodes/elsewhere/proxy/healthz', { signal: limit() }),
    ).rejects.toThrow(/403|not .*of this cluster|refused|forbidden/i);
    await alone.inside.kubectl(['delete', 'node', 'elsewhere', '--ignore-not-found']);
  });

  test('is refused at endpoints that lie outside', async () => {
    const manifest = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'elsewhere', namespace: 'default' },
          spec: { ports: [{ port: 80, targetPort: 6443 }] },
        },
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: {
            name: 'elsewhere-1',
            namespace: 'default',
            labels: { 'kubernetes.io/service-name': 'elsewhere' },
          },
          addressType: 'IPv4',
          endpoints: [{ addresses: [outside], conditions: { ready: true } }],
          ports: [{ port: 6443 }],
        },
      ],
    });
    await alone.inside.kubectl(['apply', '-f', '-'], { input: manifest });
    await expect(
      alone.inside.client.text('/api/v1/namespaces/default/services/elsewhere/proxy/', { signal: limit() }),
    ).rejects.toThrow();
    const { items } = await host.client.list<KubeObject & { endpoints?: { addresses: string[] }[] }>(
      {
        group: 'discovery.k8s.io',
        version: 'v1',
        plural: 'endpointslices',
        kind: 'EndpointSlice',
        namespaced: true,
      },
      { namespace: NAMESPACE, labelSelector: `${CLUSTER_LABEL}=alone`, signal: limit() },
    );
    const addresses = items.flatMap(({ endpoints = [] }) =>
      endpoints.flatMap((endpoint) => endpoint.addresses),
    );
    expect(addresses).not.toContain(outside);
    await alone.inside.kubectl(['delete', 'service/elsewhere', 'endpointslice/elsewhere-1']);
  });

  test('is refused at a webhook URL that the operator did not list', async () => {
    const webhook = JSON.stringify({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'elsewhere' },
      webhooks: [
        {
          name: 'elsewhere.example.com',
          clientConfig: { url: `https://${outside}:8443/validate` },
          rules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
          ],
          failurePolicy: 'Fail',
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          timeoutSeconds: 5,
        },
      ],
    });
    await alone.inside.kubectl(['apply', '-f', '-'], { input: webhook });
    try {
      await eventually(
        async () => {
          const said = await alone.inside
            .kubectl(['create', 'configmap', 'any', '--dry-run=server'])
            .catch((error: Error) => error.message);
          return /failed calling webhook.*(403|Forbidden|not allowed|refused)/is.test(said)
            ? true
            : undefined;
        },
        { what: 'the webhook is called and refused', timeoutMs: 20_000 },
      );
    } finally {
      await alone.inside.kubectl(['delete', 'validatingwebhookconfiguration', 'elsewhere']);
    }
  });
});

describe('a virtual cluster that loses its store', () => {
  test('leaves everything on the host as it was, and says so', async () => {
    const held = await hostObjects('alone');
    await host.kubectl(['delete', 'pod', 'alone-0', '--namespace', NAMESPACE, '--wait']);
    await eventually(
      async () => {
        const said = await host.kubectl(['logs', 'alone-0', '--container=syncer', '--namespace', NAMESPACE]);
        return said.includes('"code":"StoreReplaced"') ? true : undefined;
      },
      { what: 'the syncer says StoreReplaced', timeoutMs: 90_000, intervalMs: 500 },
    );
    expect(await hostObjects('alone')).toEqual(held);
  });
});

describe('helm uninstall with the syncer dead', () => {
  test('leaves nothing of the cluster and does not touch the neighbour', async () => {
    const neighbours = await hostObjects('neighbour');
    await host.kubectl(['scale', 'statefulset/alone', '--replicas=0', '--namespace', NAMESPACE]);
    await host.kubectl(['wait', '--for=delete', 'pod/alone-0', '--namespace', NAMESPACE, '--timeout=60s']);
    await alone.uninstall();
    const mine = await eventually(
      async (signal) => {
        const left = leftovers(before, await inventory(host.client, signal)).filter((entry) =>
          entry.includes('alone'),
        );
        return left.length === 0 ? left : undefined;
      },
      { what: 'nothing of the cluster is left', timeoutMs: 60_000, intervalMs: 1_000 },
    );
    expect(mine).toEqual([]);
    expect(await hostObjects('neighbour')).toEqual(neighbours);
    expect(await inVisitor(neighbour, 'timeout', '5', 'wget', '-qO-', 'http://web')).toBe(
      'hello from inside\n',
    );
  });
});
