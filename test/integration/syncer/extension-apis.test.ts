// Cluster-scoped things that users make inside, and the servers behind some of them, which are pods inside: they work as in
// any cluster, and the host's API never hears of them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, createLeaf } from '../../../src/certificates/issue.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  CONFIG_MAPS,
  type KubeObject,
  PODS,
  PRIORITY_CLASSES,
  type ResourceType,
  SECRETS,
  SERVICES,
  STORAGE_CLASSES,
} from '../../../src/kube/resource.ts';
import type { ConfigMap, Pod } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { inventory, leftovers } from '../../support/host-inventory.ts';
import {
  call,
  type SyncedCluster,
  sleeper,
  startSyncedCluster,
  within,
} from '../../support/synced-cluster.ts';

const SERVER = join(import.meta.dirname, '../../support/extension-server.ts');
const SERVICE = { namespace: 'default', name: 'extension' };
const WIDGETS_V1 = resource('example.com', 'widgets', 'Widget', true);
const WIDGETS_V2 = { ...WIDGETS_V1, version: 'v2' };
const LAMPS = resource('lamps.example.com', 'lamps', 'Lamp', true);
const REGISTRATION = 'admissionregistration.k8s.io';
const CLUSTER_ROLES = resource('rbac.authorization.k8s.io', 'clusterroles', 'ClusterRole');

/** What the host is given of a virtual cluster in which pods and Services run. */
const SYNCED = ['configmaps', 'endpoints', 'endpointslices.discovery.k8s.io', 'pods', 'secrets', 'services'];
/** What the names of everything that these tests make inside hold. */
const MADE_INSIDE = /widget|lamp|paint|extension|imagined|urgent|hasty/;

type Widget = KubeObject & { spec: { host?: string; port?: number; address?: string } };

let cluster: SyncedCluster;
let before: Set<string>;
let caBundle: string;

function resource(group: string, plural: string, kind: string, namespaced = false): ResourceType {
  return { group, version: 'v1', plural, kind, namespaced };
}

const named = (name: string) => ({ namespace: 'default', name });
const create = <T extends KubeObject>(type: ResourceType, object: T) =>
  cluster.inside.client.create<T>(type, object, call());
/** How an API server reaches the pod: through its Service. */
const serviceAt = (path: string) => ({ service: { ...SERVICE, path }, caBundle });

/** Runs test/support/extension-server.ts as a pod inside, behind a Service. */
async function startServer(): Promise<void> {
  const validity = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const authority = await createAuthority(
    { name: 'ca', commonName: 'extension', organization: 'tests' },
    validity,
  );
  const leaf = await createLeaf(
    {
      name: 'tls',
      authority: 'ca',
      commonName: 'extension',
      usage: 'server',
      names: ['extension.default.svc'],
    },
    authority,
    validity,
  );
  caBundle = Buffer.from(authority.pem.public).toString('base64');
  const published = await cluster.inside.client.get<ConfigMap>(
    CONFIG_MAPS,
    { namespace: 'kube-system', name: 'extension-apiserver-authentication' },
    call(),
  );
  const files = {
    'server.ts': await readFile(SERVER, 'utf8'),
    'front-proxy-ca.crt': published.data?.['requestheader-client-ca-file'] ?? '',
    'tls.crt': leaf.public,
    'tls.key': leaf.private,
  };
  await create<KubeObject & { stringData: object }>(SECRETS, { metadata: SERVICE, stringData: files });
  await create<KubeObject & { spec: object }>(SERVICES, {
    metadata: SERVICE,
    spec: { selector: { app: SERVICE.name }, ports: [{ port: 443, targetPort: 8443 }] },
  });
  const container = {
    name: 'server',
    image: 'docker.io/mayfly/mayfly:dev',
    imagePullPolicy: 'IfNotPresent',
    command: ['/usr/local/bin/node', '/srv/extension/server.ts'],
    readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
    volumeMounts: [{ name: 'files', mountPath: '/srv/extension' }],
  };
  await create(
    PODS,
    sleeper(SERVICE, {
      containers: [container],
      volumes: [{ name: 'files', secret: { secretName: SERVICE.name } }],
    }),
  );
  await cluster.inside.kubectl(['wait', '--for=condition=Ready', 'pod/extension', '--timeout=60s']);
}

beforeAll(async () => {
  cluster = await startSyncedCluster('extended');
  before = await inventory(cluster.host.client, call().signal);
  await startServer();
});
afterAll(() => cluster?.remove());

describe('a CustomResourceDefinition whose webhook is served by a pod inside', () => {
  const spec = (properties: object) => ({
    served: true,
    schema: {
      openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } },
    },
  });

  test('converts between its versions', async () => {
    await create(resource('apiextensions.k8s.io', 'customresourcedefinitions', 'CustomResourceDefinition'), {
      metadata: { name: 'widgets.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
        versions: [
          {
            name: 'v1',
            storage: true,
            ...spec({ host: { type: 'string' }, port: { type: 'integer' } }),
          },
          { name: 'v2', storage: false, ...spec({ address: { type: 'string' } }) },
        ],
        conversion: {
          strategy: 'Webhook',
          webhook: { conversionReviewVersions: ['v1'], clientConfig: serviceAt('/convert') },
        },
      },
    } as KubeObject);
    await eventually(
      () => create<Widget>(WIDGETS_V1, { metadata: named('old'), spec: { host: 'a.example', port: 80 } }),
      within('the API server serves widgets'),
    );
    await create<Widget>(WIDGETS_V2, { metadata: named('new'), spec: { address: 'b.example:81' } });
    const [read, { items }] = await Promise.all([
      cluster.inside.client.get<Widget>(WIDGETS_V1, named('new'), call()),
      cluster.inside.client.list<Widget>(WIDGETS_V2, { namespace: 'default', ...call() }),
    ]);
    expect(read.spec).toEqual({ host: 'b.example', port: 81 });
    expect(items.map(({ metadata, spec }) => [metadata.name, spec.address])).toEqual([
      ['new', 'b.example:81'],
      ['old', 'a.example:80'],
    ]);
  });
});

describe('an APIService whose server is a pod inside', () => {
  test('answers clients, and is told by the front proxy who they are', async () => {
    await create(resource('apiregistration.k8s.io', 'apiservices', 'APIService'), {
      metadata: { name: 'v1.lamps.example.com' },
      spec: {
        group: LAMPS.group,
        version: LAMPS.version,
        groupPriorityMinimum: 1000,
        versionPriority: 15,
        service: SERVICE,
        caBundle,
      },
    } as KubeObject);
    const { items } = await eventually(
      () => cluster.inside.client.list(LAMPS, { namespace: 'default', ...call() }),
      within('the aggregated API is available'),
    );
    expect(items[0]?.metadata).toMatchObject({ name: 'desk', annotations: { user: 'mayfly:admin' } });
    const listed = await eventually(
      () => cluster.inside.kubectl(['get', 'lamps', '--output', 'name']),
      within('discovery has it'),
    );
    expect(listed.trim()).toBe('lamp.lamps.example.com/desk');
  });
});

describe('admission webhooks served by a pod inside', () => {
  const webhook = (name: string, path: string) => ({
    metadata: { name },
    webhooks: [
      {
        name: `${name}.example.com`,
        clientConfig: serviceAt(path),
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
        // The config maps of the control plane are none of its business.
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  });

  test('change what is created, and refuse it', async () => {
    await create<KubeObject>(
      resource(REGISTRATION, 'mutatingwebhookconfigurations', 'MutatingWebhookConfiguration'),
      webhook('stamp', '/mutate'),
    );
    await create<KubeObject>(
      resource(REGISTRATION, 'validatingwebhookconfigurations', 'ValidatingWebhookConfiguration'),
      webhook('taste', '/validate'),
    );
    let attempts = 0;
    await eventually(async () => {
      attempts += 1;
      const made = await create<ConfigMap>(CONFIG_MAPS, { metadata: named(`paint-${attempts}`) });
      return made.data?.stamped === 'yes' ? made : undefined;
    }, within('the mutating webhook is asked'));
    await eventually(async () => {
      attempts += 1;
      const paint = { metadata: named(`paint-${attempts}`), data: { color: 'beige' } };
      const said = await create<ConfigMap>(CONFIG_MAPS, paint).catch((error: Error) => error.message);
      return typeof said === 'string' && said.includes('beige is not a color') ? said : undefined;
    }, within('the validating webhook refuses'));
  });
});

describe('classes and roles made inside', () => {
  test('are for users inside, and a pod of such a priority runs', async () => {
    await create<KubeObject>(CLUSTER_ROLES, {
      metadata: { name: 'widget-reader' },
      rules: [{ apiGroups: ['example.com'], resources: ['widgets'], verbs: ['list'] }],
    } as KubeObject);
    await create<KubeObject>(CLUSTER_ROLE_BINDINGS, {
      metadata: { name: 'widget-reader' },
      roleRef: { apiGroup: CLUSTER_ROLES.group, kind: 'ClusterRole', name: 'widget-reader' },
      subjects: [{ kind: 'ServiceAccount', ...named('default') }],
    } as KubeObject);
    await create<KubeObject>(STORAGE_CLASSES, {
      metadata: { name: 'imagined' },
      provisioner: 'example.com/nothing',
    } as KubeObject);
    await create<KubeObject>(PRIORITY_CLASSES, { metadata: { name: 'urgent' }, value: 1000 } as KubeObject);
    const may = ['auth', 'can-i', 'list', 'widgets', '--as', 'system:serviceaccount:default:default'];
    expect((await cluster.inside.kubectl(may)).trim()).toBe('yes');
    await create<Pod>(PODS, sleeper(named('hasty'), { priorityClassName: 'urgent' }));
    await cluster.inside.kubectl(['wait', '--for=condition=Ready', 'pod/hasty', '--timeout=60s']);
    const { spec } = await cluster.inside.client.get<Pod>(PODS, named('hasty'), call());
    expect(spec?.priority).toBe(1000);
  });
});

test('nothing of it reaches the host’s API', async () => {
  const after = leftovers(before, await inventory(cluster.host.client, call().signal));
  // Other tests may be at work on the host.
  const strangers = after.filter((entry) => {
    const [type = '', key = ''] = entry.split(' ');
    if (key.startsWith(`${cluster.hostNamespace}/`)) return !SYNCED.includes(type);
    return key.includes(cluster.hostNamespace) || MADE_INSIDE.test(key);
  });
  expect(strangers).toEqual([]);
  expect(after.filter((entry) => entry.startsWith(`pods ${cluster.hostNamespace}/`))).toHaveLength(2);
});

test('a dead server of conversions stops its own kind and nothing else (F27)', async () => {
  await cluster.inside.client.delete(PODS, SERVICE, { gracePeriodSeconds: 1, ...call() });
  await eventually(async () => {
    const read = cluster.inside.client.get(WIDGETS_V2, named('old'), call());
    return read.then(
      () => undefined,
      (error: Error) => /conversion webhook/.test(error.message) || undefined,
    );
  }, within('conversions fail'));
  await create<Pod>(PODS, sleeper(named('undisturbed')));
  await cluster.inside.kubectl(['wait', '--for=condition=Ready', 'pod/undisturbed', '--timeout=60s']);
});
