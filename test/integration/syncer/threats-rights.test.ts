// Who may do what on the host: the syncer, whose rights are all that a tenant could ever get hold of; the account that workloads
// run under, which has none; and the credentials of a virtual cluster, which are nobody there and end with their cluster.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKubeClient } from '../../../src/kube/client.ts';
import type { KubeConnection } from '../../../src/kube/connection.ts';
import { connectionFromKubeconfig } from '../../../src/kube/kubeconfig.ts';
import {
  CONFIG_MAPS,
  type KubeObject,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../../src/kube/resource.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import type { ConfigMap, Pod, Secret, ServiceAccount } from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../../support/virtual-cluster.ts';
import { call, named, podRunning } from '../../support/virtual-workloads.ts';

const CLUSTER = 'threats';
const SUBJECT_ACCESS_REVIEWS: ResourceType = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
};
interface Rule {
  verbs: string[];
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
}

let host: ClusterAccess;
let place: TestNamespace;
let cluster: InstalledVirtualCluster;
beforeAll(async () => {
  host = await clusterAccess();
  place = await createTestNamespace('rights');
  cluster = await install();
});
afterAll(async () => {
  await cluster?.uninstall();
  await host?.client.close();
  await place?.remove();
});

const install = () => installVirtualCluster({ host, namespace: place.namespace, name: CLUSTER });
const userOf = (account: string) => `system:serviceaccount:${place.namespace}:${account}`;

/** As the host's authorizer tells it: `get pods`, `list storageclasses.storage.k8s.io`, names in brackets. */
async function rightsOf(account: string, namespace: string): Promise<Set<string>> {
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace },
  };
  const reviews = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
  const answer = await host.kubectl(['create', '--raw', reviews, '--as', userOf(account), '-f', '-'], {
    input: JSON.stringify(review),
  });
  const { status } = JSON.parse(answer) as { status: { resourceRules: Rule[]; incomplete: boolean } };
  expect(status.incomplete).toBe(false);
  return new Set(
    status.resourceRules.flatMap(({ verbs, apiGroups, resources, resourceNames = [] }) =>
      verbs.flatMap((verb) =>
        apiGroups.flatMap((group) =>
          resources.map((resource) =>
            [verb, [resource, group].filter(Boolean).join('.'), ...resourceNames].join(' '),
          ),
        ),
      ),
    ),
  );
}

/** Without what everybody who is somebody may do. */
async function ownRightsOf(account: string, namespace: string): Promise<string[]> {
  const [own, everybodys] = [await rightsOf(account, namespace), await rightsOf('default', namespace)];
  return [...own].filter((right) => !everybodys.has(right)).sort();
}

async function may(account: string, resourceAttributes: Record<string, string>): Promise<boolean> {
  const groups = [
    'system:serviceaccounts',
    `system:serviceaccounts:${place.namespace}`,
    'system:authenticated',
  ];
  const review = { metadata: {}, spec: { user: userOf(account), groups, resourceAttributes } };
  const { status } = await host.client.create<KubeObject & { status?: { allowed: boolean } }>(
    SUBJECT_ACCESS_REVIEWS,
    review,
    call(),
  );
  return status?.allowed ?? false;
}

describe('T9: the syncer', () => {
  const verbs = (resource: string, ...all: string[]) => all.map((verb) => `${verb} ${resource}`);
  const readable = (resource: string) => verbs(resource, 'get', 'list', 'watch');
  /** What `rbac.hostReads` grants. */
  const READS = [
    ...['nodes', 'persistentvolumes', 'ingressclasses.networking.k8s.io', 'servicecidrs.networking.k8s.io'],
    ...['csidrivers', 'csinodes', 'csistoragecapacities', 'storageclasses'].map(
      (name) => `${name}.storage.k8s.io`,
    ),
    ...['runtimeclasses.node.k8s.io', 'priorityclasses.scheduling.k8s.io'],
    'volumesnapshotclasses.snapshot.storage.k8s.io',
  ].flatMap(readable);
  const OWN = [
    ...[
      'pods',
      'services',
      'configmaps',
      'secrets',
      'persistentvolumeclaims',
      'endpointslices.discovery.k8s.io',
    ],
    ...['ingresses.networking.k8s.io', 'networkpolicies.networking.k8s.io', 'poddisruptionbudgets.policy'],
    'volumesnapshots.snapshot.storage.k8s.io',
  ].flatMap((resource) => [...readable(resource), ...verbs(resource, 'create', 'update', 'patch', 'delete')]);
  const OF_PODS = [
    ...['pods/status', 'pods/ephemeralcontainers', 'pods/resize'].flatMap((name) =>
      verbs(name, 'update', 'patch'),
    ),
    ...['pods/exec', 'pods/attach', 'pods/portforward'].flatMap((name) => verbs(name, 'get', 'create')),
    ...['get pods/log', 'get pods.metrics.k8s.io', 'list pods.metrics.k8s.io'],
    ...readable('events'),
  ];

  it.each(['kube-system', 'default', 'kube-public'])(
    'may do nothing in other namespaces (%s), and of what all share read the listed kinds',
    async (namespace) => {
      expect(await ownRightsOf(CLUSTER, namespace)).toEqual(READS.toSorted());
    },
  );

  it('may do in its namespace what it does for its tenant, and nothing beside it', async () => {
    expect(await ownRightsOf(CLUSTER, place.namespace)).toEqual([...OWN, ...OF_PODS, ...READS].toSorted());
  });

  it.each<[string, Record<string, string>]>([
    ['a node', { verb: 'patch', resource: 'nodes' }],
    ['the kubelet of a node', { verb: 'get', resource: 'nodes', subresource: 'proxy' }],
    ['a volume', { verb: 'create', resource: 'persistentvolumes' }],
    ['a namespace', { verb: 'update', resource: 'namespaces' }],
    ['its own quota', { verb: 'delete', resource: 'resourcequotas' }],
    ['its own role', { verb: 'update', resource: 'roles', group: 'rbac.authorization.k8s.io' }],
    ['a binding', { verb: 'create', resource: 'rolebindings', group: 'rbac.authorization.k8s.io' }],
    ['a token of an account', { verb: 'create', resource: 'serviceaccounts', subresource: 'token' }],
    ['another user', { verb: 'impersonate', resource: 'users' }],
    [
      'a definition',
      { verb: 'create', resource: 'customresourcedefinitions', group: 'apiextensions.k8s.io' },
    ],
    [
      'a webhook',
      { verb: 'create', resource: 'mutatingwebhookconfigurations', group: 'admissionregistration.k8s.io' },
    ],
  ])('is no deputy for who wants %s', async (_, attributes) => {
    expect(await may(CLUSTER, { ...attributes, namespace: place.namespace })).toBe(false);
    expect(await may(CLUSTER, attributes)).toBe(false);
  });

  it('reads and writes where its tenant is, and nowhere else', async () => {
    const secrets = { verb: 'get', resource: 'secrets' };
    expect(await may(CLUSTER, { ...secrets, namespace: place.namespace })).toBe(true);
    expect(await may(CLUSTER, { ...secrets, namespace: 'kube-system' })).toBe(false);
    expect(await may(CLUSTER, secrets)).toBe(false);
  });
});

describe('T7: the account of workloads', () => {
  it('has no right on the host that others have not', async () => {
    const account = await host.client.get<ServiceAccount>(
      SERVICE_ACCOUNTS,
      { namespace: place.namespace, name: `${CLUSTER}-workload` },
      call(),
    );
    expect(account.automountServiceAccountToken).toBe(false);
    expect(await ownRightsOf(`${CLUSTER}-workload`, place.namespace)).toEqual([]);
    expect(await ownRightsOf(`${CLUSTER}-workload`, 'kube-system')).toEqual([]);
  });

  it('is that of every pod, with no token of it', async () => {
    await create(podRunning('worker', 'true', { automountServiceAccountToken: true }));
    const { items } = await eventually(
      async () => {
        const found = await host.client.list<Pod>(PODS, {
          namespace: place.namespace,
          labelSelector: `mayfly.dev/cluster=${CLUSTER}`,
          ...call(),
        });
        return found.items.length > 0 ? found : undefined;
      },
      { what: 'the pod is on the host', timeoutMs: 60_000 },
    );
    for (const { spec } of items) {
      expect(spec).toMatchObject({
        serviceAccountName: `${CLUSTER}-workload`,
        automountServiceAccountToken: false,
      });
      const sources = (spec?.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
      expect(sources.length).toBeGreaterThan(0);
      for (const source of sources) expect(source).not.toHaveProperty('serviceAccountToken');
    }
  });

  it('gives no token to a Secret that a tenant makes to be filled with one', async () => {
    const secret: Secret = {
      metadata: { ...named('filled'), annotations: { 'kubernetes.io/service-account.name': 'default' } },
      type: 'kubernetes.io/service-account-token',
    };
    await eventually(async () => cluster.inside.client.create<Secret>(SECRETS, secret, call()), {
      what: 'the account is there',
      timeoutMs: 20_000,
    });
    await create(
      podRunning('filled', 'true', {
        volumes: [{ name: 'filled', secret: { secretName: 'filled' } }],
      }),
    );
    const token = await eventually(
      async () => (await cluster.inside.client.get<Secret>(SECRETS, named('filled'), call())).data?.token,
      { what: 'it is filled inside', timeoutMs: 20_000 },
    );
    const copy = await eventually(
      async () => {
        const { items } = await host.client.list<Secret>(SECRETS, {
          namespace: place.namespace,
          labelSelector: `mayfly.dev/cluster=${CLUSTER}`,
          ...call(),
        });
        return items.find(
          ({ metadata, data }) =>
            metadata.annotations?.['mayfly.dev/virtual-name'] === 'filled' && data?.token === token,
        );
      },
      { what: 'the host has the token of the virtual cluster', timeoutMs: 20_000 },
    );
    expect(copy.type).toBe('Opaque');
    expect(copy.metadata.annotations).not.toHaveProperty(['kubernetes.io/service-account.name']);
  });

  async function create(pod: Pod): Promise<void> {
    await eventually(async () => cluster.inside.client.create<Pod>(PODS, pod, call()), {
      what: 'the pod is admitted',
      timeoutMs: 20_000,
    });
  }
});

describe('T17: the credentials of a virtual cluster', () => {
  const connectionOf = async ({ kubeconfig }: ClusterAccess) =>
    connectionFromKubeconfig(await readFile(kubeconfig, 'utf8'));

  async function ask(connection: KubeConnection): Promise<string> {
    const client = createKubeClient(createTransport(connection, { process: 'tests' }));
    return client.text('/api/v1/namespaces', call()).finally(() => client.close());
  }

  it('are nobody’s on the host', async () => {
    const [own, { server, ca }] = [await connectionOf(cluster.inside), await connectionOf(host)];
    expect(await ask(own)).toContain('kube-system');
    await expect(ask({ ...own, server, ca })).rejects.toMatchObject({ status: 401 });
  });

  it('are all that there are inside: none of the host, and not its authority', async () => {
    const { ca = '', key = '', server } = await connectionOf(host);
    const { items: maps } = await cluster.inside.client.list<ConfigMap>(CONFIG_MAPS, call());
    const { items: secrets } = await cluster.inside.client.list<Secret>(SECRETS, call());
    const texts = [
      ...maps.flatMap(({ data = {} }) => Object.values(data)),
      ...secrets.flatMap(({ data = {} }) =>
        Object.values(data).map((value) => String(Buffer.from(value, 'base64'))),
      ),
    ];
    const own = await connectionOf(cluster.inside);
    expect(texts.some((text) => text.trim() === own.ca?.trim())).toBe(true);
    for (const text of texts) {
      for (const foreign of [ca.trim(), key.trim(), new URL(server).hostname])
        expect(text).not.toContain(foreign);
    }
  });

  it('end with it, and are nobody’s in one that has its name later', async () => {
    const before = await connectionOf(cluster.inside);
    const request = { audiences: [], expirationSeconds: 3600 };
    const token = await cluster.inside.client.create<
      KubeObject & { spec: object; status?: { token: string } }
    >(
      SERVICE_ACCOUNTS,
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: named('default'),
        spec: request,
      },
      { subresource: 'token', name: 'default', ...call() },
    );
    await cluster.uninstall();
    cluster = await install();
    const now = await connectionOf(cluster.inside);
    expect(await ask(now)).toContain('kube-system');
    const { server, ca } = now;
    expect(ca).not.toBe(before.ca);
    await expect(ask({ ...before, server, ca })).rejects.toMatchObject({ status: 401 });
    await expect(ask({ server, ca, token: () => token.status?.token ?? '' })).rejects.toMatchObject({
      status: 401,
    });
    // Who still trusts the authority before does not even speak with the new cluster.
    await expect(ask({ ...before, server })).rejects.toMatchObject({
      code: 'KubernetesUnreachable',
    });
  });
});
