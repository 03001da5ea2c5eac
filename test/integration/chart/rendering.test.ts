// What Helm makes of charts/virtual-cluster, without any cluster.
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { FILES_BY_CONTAINER } from '../../../src/certificates/plan.ts';
import {
  allContainers,
  CHARTS,
  container,
  find,
  helmOnChart,
  podSpec,
  type Rendered,
  render,
} from './rendered-chart.ts';

const HOST_CREDENTIALS = 'host-credentials';
const GIVEN = { certificates: { secretName: 'made-before' } };
const VARIANTS = [
  {},
  GIVEN,
  { isolation: { profile: 'restricted' }, persistence: { type: 'memory' } },
  { isolation: { profile: 'none' }, persistence: { type: 'claim' }, rbac: { hostReads: false } },
  { distribution: 'k3s' },
];

interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

let objects: Rendered[];
beforeAll(async () => {
  objects = await render();
});

test('passes Helm’s own checks', async () => {
  const result = await helmOnChart(['lint', '--strict']);
  expect(result.stdout).toContain('0 chart(s) failed');
});

describe('the pod of the control plane', () => {
  test.each(VARIANTS)('holds the host’s token in the containers of the syncer only (%j)', async (values) => {
    const spec = podSpec(await render(values));
    expect(spec.automountServiceAccountToken).toBe(false);
    const holders = allContainers(spec).filter(({ volumeMounts }) =>
      volumeMounts.some(({ name }) => name === HOST_CREDENTIALS),
    );
    expect(
      holders.map(({ name }) => name).filter((name) => !['certificates', 'syncer'].includes(name)),
    ).toEqual([]);
  });

  test.each(VARIANTS)(
    'drops every privilege but one that the API server’s file carries (%j)',
    async (values) => {
      for (const { name, securityContext } of allContainers(podSpec(await render(values)))) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          capabilities:
            name === 'kube-apiserver' ? { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } : { drop: ['ALL'] },
        });
      }
    },
  );

  test('says all of its resources, so that the namespace’s defaults add nothing', () => {
    for (const { resources } of allContainers(podSpec(objects))) {
      expect(Object.keys(resources.requests).sort()).toEqual(['cpu', 'memory']);
      expect(Object.keys(resources.limits).sort()).toEqual(['cpu', 'memory']);
    }
  });

  test('shows each container only its own files of certificates made beforehand', async () => {
    const spec = podSpec(await render(GIVEN));
    expect(spec.initContainers).toBeUndefined();
    for (const [name, files] of Object.entries(FILES_BY_CONTAINER)) {
      const volume = spec.volumes.find((candidate) => candidate.name === `certificates-${name}`);
      expect(volume?.secret?.secretName).toBe('made-before');
      expect(volume?.secret?.items.map(({ path }) => path)).toEqual(files);
      const mounts = spec.containers.filter(({ volumeMounts }) =>
        volumeMounts.some((mount) => mount.name === volume?.name),
      );
      expect(mounts.map((mount) => mount.name)).toEqual([name]);
    }
  });

  test('has certificates made before it starts when none are given, into folders of the same names', () => {
    const mounts = container(objects, 'certificates').volumeMounts.filter(({ name }) =>
      name.startsWith('certificates-'),
    );
    expect(mounts.map(({ mountPath }) => mountPath).sort()).toEqual(
      Object.keys(FILES_BY_CONTAINER)
        .map((name) => `/etc/mayfly/certificates/${name}`)
        .sort(),
    );
  });

  test('dials pods, kubelets and webhooks through the syncer’s two sockets', () => {
    const { data } = find(objects, 'ConfigMap', 'pr-17-configuration') as unknown as {
      data: Record<string, string>;
    };
    const { egressSelections } = parse(data['egress.yaml'] ?? '') as {
      egressSelections: { name: string; connection: { transport: { uds: { udsName: string } } } }[];
    };
    expect(egressSelections.map(({ name, connection }) => [name, connection.transport.uds.udsName])).toEqual([
      ['cluster', '/run/mayfly/egress-cluster.sock'],
      ['controlplane', '/run/mayfly/egress-controlplane.sock'],
    ]);
    const shared = (name: string) =>
      container(objects, name).volumeMounts.find(({ mountPath }) => mountPath === '/run/mayfly')?.name;
    expect(shared('kube-apiserver')).toBe(shared('syncer'));
  });

  test.each([
    ['memory', { emptyDir: { medium: 'Memory', sizeLimit: '2Gi' } }],
    ['emptyDir', { emptyDir: { sizeLimit: '2Gi' } }],
    ['claim', { persistentVolumeClaim: { claimName: 'pr-17-store' } }],
  ])('keeps the store in %s', async (type, volume) => {
    const rendered = await render({ persistence: { type } });
    expect(podSpec(rendered).volumes.find(({ name }) => name === 'store')).toEqual({
      name: 'store',
      ...volume,
    });
    expect(rendered.some(({ kind }) => kind === 'PersistentVolumeClaim')).toBe(type === 'claim');
  });

  test('runs the version of Kubernetes that is asked for', async () => {
    const exact = await render({ kubernetes: { version: 'v1.33.2', registry: 'mirror.example.com/k8s' } });
    expect(container(exact, 'kube-apiserver').image).toBe('mirror.example.com/k8s/kube-apiserver:v1.33.2');
    const minor = await render({ kubernetes: { version: '1.34' } });
    expect(container(minor, 'kube-controller-manager').image).toMatch(/:v1\.34\.\d+$/);
  });

  test.each<[string, object, string]>([
    ['of the profile', {}, 'memory=512Mi'],
    ['that are given', { isolation: { containerDefaults: { default: { cpu: 2 } } } }, 'cpu=2,memory=512Mi'],
    ['that no LimitRange sets', { isolation: { profile: 'none' } }, ''],
  ])('tells the syncer the default limits %s', async (_, values, limits) => {
    const syncer = container(await render(values), 'syncer');
    expect(syncer.env?.find(({ name }) => name === 'MAYFLY_DEFAULT_LIMITS')?.value ?? '').toBe(limits);
  });

  test.each<[string, object, string]>([
    ['the syncer’s own image', {}, 'docker.io/mayfly/mayfly:1'],
    ['none that workloads could not pull', { imagePullSecrets: [{ name: 'registry' }] }, ''],
    [
      'the image that is given',
      { imagePullSecrets: [{ name: 'registry' }], syncer: { hostsFile: { image: 'example/shell:2' } } },
      'example/shell:2',
    ],
    ['none where it is switched off', { syncer: { hostsFile: { enabled: false } } }, ''],
  ])('has /etc/hosts of pods written by %s', async (_, values, image) => {
    const syncer = container(await render({ image: { tag: '1' }, ...values }), 'syncer');
    expect(syncer.env?.find(({ name }) => name === 'MAYFLY_HOSTS_IMAGE')?.value).toBe(image);
  });
});

describe('the store', () => {
  const ETCD = {
    store: { type: 'etcd', etcd: { endpoints: ['https://a.example.com:2379'], secretName: 'etcd' } },
  };

  test('may be an etcd of the operator’s, and then needs no database and no volume', async () => {
    const rendered = await render({ ...ETCD, persistence: { type: 'claim' } });
    const spec = podSpec(rendered);
    expect(spec.containers.map(({ name }) => name)).toEqual([
      'kube-apiserver',
      'kube-controller-manager',
      'syncer',
    ]);
    expect(spec.volumes.map(({ name }) => name)).not.toContain('store');
    expect(rendered.some(({ kind }) => kind === 'PersistentVolumeClaim')).toBe(false);
    expect(container(rendered, 'kube-apiserver').args).toEqual(
      expect.arrayContaining([
        '--etcd-servers=https://a.example.com:2379',
        '--etcd-prefix=/mayfly/previews/pr-17',
        '--etcd-cafile=/etc/mayfly/etcd/ca.crt',
        '--etcd-certfile=/etc/mayfly/etcd/tls.crt',
        '--etcd-keyfile=/etc/mayfly/etcd/tls.key',
      ]),
    );
  });

  test('may be an etcd without TLS', async () => {
    const plain = { type: 'etcd', etcd: { endpoints: ['http://a.example.com:2379'] } };
    const { args = [] } = container(await render({ store: plain }), 'kube-apiserver');
    expect(args.filter((argument) => /^--etcd-(ca|cert|key)file/.test(argument))).toEqual([]);
  });
});

describe('isolation', () => {
  const kinds = (rendered: readonly Rendered[]) => new Set(rendered.map(({ kind }) => kind));

  test('limits nothing with the profile none', async () => {
    const rendered = kinds(await render({ isolation: { profile: 'none' } }));
    for (const kind of ['ResourceQuota', 'LimitRange', 'NetworkPolicy']) expect(rendered).not.toContain(kind);
  });

  test.each(['baseline', 'restricted'])(
    'limits workloads, objects and the network with %s',
    async (profile) => {
      const rendered = await render({ isolation: { profile } });
      expect(find(rendered, 'ResourceQuota', 'pr-17-workloads').spec.scopes).toEqual(['Terminating']);
      expect(kinds(rendered)).toContain('LimitRange');
      expect(rendered.filter(({ kind }) => kind === 'NetworkPolicy')).toHaveLength(4);
    },
  );

  test('puts each limit of the operator’s where a quota can count it', async () => {
    const quota = { pods: '7', 'requests.nvidia.com/gpu': '1', 'count/secrets': '9' };
    const rendered = await render({ isolation: { quota } });
    expect(find(rendered, 'ResourceQuota', 'pr-17-workloads').spec.hard).toMatchObject({
      pods: '7',
      'requests.cpu': '4',
    });
    expect(find(rendered, 'ResourceQuota', 'pr-17-objects').spec.hard).toMatchObject({
      'requests.nvidia.com/gpu': '1',
      'count/secrets': '9',
    });
  });

  test('keeps workloads from the metadata address and from private networks', () => {
    const { egress } = find(objects, 'NetworkPolicy', 'pr-17-open-egress').spec as {
      egress: { to: { ipBlock?: { cidr: string; except: string[] } }[] }[];
    };
    const blocks = egress.flatMap(({ to }) => to).flatMap(({ ipBlock }) => ipBlock ?? []);
    expect(blocks.find(({ cidr }) => cidr === '0.0.0.0/0')?.except).toEqual(
      expect.arrayContaining(['169.254.0.0/16', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']),
    );
  });

  test('leaves to policies inside what they may take away, and nothing else', async () => {
    const extra = { to: [{ ipBlock: { cidr: '10.9.0.1/32' } }], ports: [{ port: 5432 }] };
    const rendered = await render({ isolation: { networkPolicy: { extraEgress: [extra] } } });
    const specOf = (name: string) => find(rendered, 'NetworkPolicy', name).spec as Record<string, object>;
    const all = { 'mayfly.dev/cluster': 'pr-17' };
    const controlPlane = {
      'app.kubernetes.io/name': 'virtual-cluster',
      'app.kubernetes.io/instance': 'pr-17',
    };
    expect(specOf('pr-17-workloads')).toEqual({
      podSelector: { matchLabels: all },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [{ podSelector: { matchLabels: controlPlane } }] }],
      egress: [extra],
    });
    expect(specOf('pr-17-open-ingress')).toEqual({
      podSelector: { matchLabels: { ...all, 'mayfly.dev/open-ingress': 'true' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: all } }] }],
    });
    expect(specOf('pr-17-open-egress')).toMatchObject({
      podSelector: { matchLabels: { ...all, 'mayfly.dev/open-egress': 'true' } },
      policyTypes: ['Egress'],
    });
  });

  test.each([
    ['on', {}],
    ['off', { isolation: { profile: 'none' } }],
    ['off', { isolation: { networkPolicy: { enabled: false } } }],
  ])('tells the syncer that its policies are %s', async (expected, values) => {
    const rendered = await render(values);
    const { env } = container(rendered, 'syncer') as unknown as { env: { name: string; value: string }[] };
    const variableOf = (name: string) => env.find((variable) => variable.name === name)?.value;
    expect(variableOf('MAYFLY_NETWORK_ISOLATION')).toBe(expected);
    expect(variableOf('MAYFLY_DENIED_CIDRS')).toContain('169.254.0.0/16,168.63.129.16/32,10.0.0.0/8');
  });

  test('lets the syncer ask the servers of stub domains, on whatever port they are', async () => {
    const servers = ['192.0.2.53', '192.0.2.53:5353', '2001:db8::53', '[2001:db8::53]:5354'];
    const rendered = await render({ dns: { stubDomains: { 'corp.example.com': servers } } });
    const { egress } = find(rendered, 'NetworkPolicy', 'pr-17-control-plane').spec as {
      egress: { to?: object; ports?: { protocol: string; port: number }[] }[];
    };
    const ports = egress.filter(({ to }) => !to).flatMap((rule) => rule.ports ?? []);
    expect(ports.filter(({ protocol }) => protocol === 'UDP').map(({ port }) => port)).toEqual([
      53, 5353, 5354,
    ]);
  });

  test('lets in the clients that the operator names', async () => {
    const client = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mayfly' } } };
    const rendered = await render({ isolation: { networkPolicy: { clients: [client] } } });
    for (const name of ['pr-17-workloads', 'pr-17-control-plane']) {
      const { ingress } = find(rendered, 'NetworkPolicy', name).spec as { ingress: { from: object[] }[] };
      expect(ingress.flatMap(({ from }) => from)).toContainEqual(client);
    }
  });
});

test('tells the syncer what to sync by option, in what it can read', async () => {
  const sync = {
    ingresses: { annotations: ['cert-manager.io/cluster-issuer'], hosts: ['*.preview.example.com'] },
    ingressClasses: ['public'],
    runtimeClasses: ['gvisor'],
    priorityClasses: [],
    serviceAccounts: { enabled: true, annotations: ['eks.amazonaws.com/role-arn'] },
  };
  for (const [values, expected] of [
    [{ sync }, sync],
    [{}, { ingressClasses: ['*'], runtimeClasses: [], serviceAccounts: { enabled: false, annotations: [] } }],
  ]) {
    const { env } = container(await render(values), 'syncer');
    const told = env?.find(({ name }) => name === 'MAYFLY_SYNC')?.value;
    expect(JSON.parse(told ?? '')).toMatchObject(expected ?? {});
  }
});

describe('rights', () => {
  const rulesOf = (object: Rendered) => object.rules as PolicyRule[];

  test('names every right of the syncer, and none outside its namespace but reading', () => {
    const role = rulesOf(find(objects, 'Role', 'pr-17'));
    expect(
      role.flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs]),
    ).not.toContain('*');
    const clusterRole = rulesOf(find(objects, 'ClusterRole', 'mayfly:previews:pr-17'));
    expect(new Set(clusterRole.flatMap(({ verbs }) => verbs))).toEqual(new Set(['get', 'list', 'watch']));
    expect(clusterRole.flatMap(({ resources }) => resources)).not.toContain('secrets');
  });

  test('reach ServiceAccounts by option only', async () => {
    const kindsOf = (rendered: readonly Rendered[]) =>
      rulesOf(find(rendered, 'Role', 'pr-17')).flatMap(({ resources }) => resources);
    expect(kindsOf(objects)).not.toContain('serviceaccounts');
    const asked = await render({ sync: { serviceAccounts: { enabled: true } } });
    expect(kindsOf(asked)).toContain('serviceaccounts');
  });

  test('reach what the operator lists and nothing beside it', async () => {
    const kind = { group: 'example.com', version: 'v1', kind: 'Any' };
    const rendered = await render({
      sync: {
        customResources: [
          { ...kind, plural: 'backups', direction: 'toHost' },
          { ...kind, plural: 'stores', direction: 'fromHost' },
          { ...kind, plural: 'recipes', direction: 'fromHost', namespace: { from: 'infra', to: 'recipes' } },
        ],
        fromHost: {
          configMaps: [{ from: 'other/settings', to: 'default/settings' }],
          secrets: [{ from: 'infra/login', to: 'default/registry' }],
        },
      },
      dns: { hostServices: [{ name: 'db.shared.svc.cluster.local', service: 'infra/db' }] },
    });
    const added = (object: Rendered, before: readonly Rendered[]) => {
      const known = before.find(
        ({ kind: ofKind, metadata }) => ofKind === object.kind && metadata.name === object.metadata.name,
      );
      return [...triples(rulesOf(object))].filter((right) => !known || !triples(rulesOf(known)).has(right));
    };
    const own = added(find(rendered, 'Role', 'pr-17'), objects);
    expect(new Set(own.map((right) => right.split(' ').slice(1).join(' ')))).toEqual(
      new Set(['backups of example.com']),
    );
    expect(added(find(rendered, 'ClusterRole', 'mayfly:previews:pr-17'), objects)).toEqual([
      'get customresourcedefinitions of apiextensions.k8s.io',
      'get stores of example.com',
      'list stores of example.com',
      'watch stores of example.com',
    ]);
    const elsewhere = rendered.filter(
      ({ kind: ofKind, metadata }) => ofKind === 'Role' && metadata.namespace !== 'previews',
    );
    const named = elsewhere.map(({ metadata, rules }) => [
      metadata.namespace,
      (rules as (PolicyRule & { resourceNames?: string[] })[]).map(
        ({ resources, resourceNames = ['*'] }) => `${resources} ${resourceNames}`,
      ),
    ]);
    expect(Object.fromEntries(named)).toEqual({
      other: ['configmaps settings'],
      infra: ['secrets login', 'services db', 'recipes *'],
    });
  });

  test('grants workloads nothing', () => {
    const bindings = objects.filter(({ kind }) => kind.endsWith('RoleBinding'));
    const subjects = bindings.flatMap(({ subjects: names }) => names as { name: string }[]);
    expect(subjects.map(({ name }) => name)).toEqual(['pr-17', 'pr-17']);
  });

  test('makes nothing outside the namespace without hostReads', async () => {
    const rendered = await render({ rbac: { hostReads: false } });
    expect(rendered.filter(({ metadata }) => metadata.namespace === undefined)).toEqual([]);
  });

  describe('in environments of the service', () => {
    const resource = { group: 'example.com', version: 'v1', kind: 'Any' };
    const customResources = [
      { ...resource, plural: 'backups', direction: 'toHost' },
      { ...resource, plural: 'regions', direction: 'fromHost' },
      { ...resource, plural: 'quotes', direction: 'fromHost', namespace: { from: 'shared', to: 'shared' } },
    ];
    const virtualCluster = { sync: { customResources } };
    let service: Rendered[];
    let alone: Rendered[];
    beforeAll(async () => {
      const values = {
        publicUrl: 'https://mayfly.example.com',
        previewUrl: 'https://preview.example.com',
        environments: { virtualCluster },
      };
      [service, alone] = await Promise.all([
        render(values, { name: 'mayfly', namespace: 'mayfly' }, join(CHARTS, 'mayfly')),
        render(virtualCluster),
      ]);
    });

    test('are all held by the worker, which could not grant them otherwise', () => {
      const held = triples(rulesOf(find(service, 'ClusterRole', 'mayfly-environment')));
      const granted = triples(rulesOf(find(alone, 'Role', 'pr-17')));
      expect([...granted].filter((right) => !held.has(right))).toEqual([]);
    });

    test('are the same beyond the namespace as a cluster that stands alone has', () => {
      const ofService = rulesOf(find(service, 'ClusterRole', 'mayfly-environment-reads'));
      expect(ofService).toEqual(rulesOf(find(alone, 'ClusterRole', 'mayfly:previews:pr-17')));
      expect(JSON.stringify(ofService)).toContain('regions.example.com');
    });
  });

  function triples(rules: readonly PolicyRule[]): Set<string> {
    return new Set(
      rules.flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource} of ${group || 'core'}`)),
        ),
      ),
    );
  }
});

describe('refuses', () => {
  test.each([
    ['a value that nobody knows', { persistance: { type: 'memory' } }, /additional properties 'persistance'/],
    ['all runtime classes at once', { sync: { runtimeClasses: ['*'] } }, /runtimeClasses/],
    ['a host that is none', { sync: { ingresses: { hosts: ['https://x'] } } }, /hosts/],
    ['nodes by labels without any', { sync: { nodes: { mode: 'selector' } } }, /selector/],
    [
      'a custom resource that goes nowhere',
      { sync: { customResources: [{ group: 'example.com', version: 'v1', plural: 'as', kind: 'A' }] } },
      /direction/,
    ],
    [
      'a mapping of everything',
      { sync: { fromHost: { secrets: [{ from: 'infra/*', to: 'a/b' }] } } },
      /from/,
    ],
    ['a server that is no address', { dns: { stubDomains: { 'corp.example.com': ['ns1'] } } }, /stubDomains/],
    ['an unknown profile', { isolation: { profile: 'privileged' } }, /isolation\/profile/],
    ['a range that is none', { serviceCIDR: '10.96.0.0' }, /serviceCIDR/],
    [
      'limits that leave room for the namespace’s',
      { resources: { kine: { limits: { memory: null } } } },
      /memory/,
    ],
    ['an etcd that is nowhere', { store: { type: 'etcd' } }, /store.etcd.endpoints/],
    [
      'to give k3s a Secret in which it cannot write',
      { distribution: 'k3s', certificates: { secretName: 'made-before' } },
      /certificates.secretName/,
    ],
    ['a minor version that was not tested', { kubernetes: { version: '1.20' } }, /name one in full/],
  ])('%s', async (_, values, message) => {
    await expect(render(values)).rejects.toThrow(message);
  });

  test.each(['a'.repeat(41), '1abc'])('the release name %s, which names no cluster', async (name) => {
    await expect(render({}, { name, namespace: 'previews' })).rejects.toThrow(/names the cluster/);
  });
});
