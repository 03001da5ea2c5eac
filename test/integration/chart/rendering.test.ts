import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { FILES_BY_CONTAINER } from '../../../src/certificates/plan.ts';
import {
  allContainers,
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
