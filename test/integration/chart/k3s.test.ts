// The chart with `distribution: k3s`, which the test host cannot run: every flag is one that k3s documents, and the process is
// what the containers are that it replaces.
import { beforeAll, describe, expect, test } from 'vitest';
import { createCertificates } from '../../../src/certificates/certificates.ts';
import { k3sFiles } from '../../../src/certificates/k3s.ts';
import { container, podSpec, type Rendered, render } from './rendered-chart.ts';

/** From "K3s Server CLI Help" at https://docs.k3s.io/cli/server (k3s-io/docs, docs/cli/server.md): those that take a value. */
const WITH_VALUE = [
  'advertise-address',
  'config',
  'data-dir',
  'datastore-cafile',
  'datastore-certfile',
  'datastore-endpoint',
  'datastore-keyfile',
  'disable',
  'egress-selector-mode',
  'flannel-backend',
  'https-listen-port',
  'kube-apiserver-arg',
  'kube-controller-manager-arg',
  'service-cidr',
  'token-file',
  'write-kubeconfig',
];
/** And those that take none. */
const SWITCHES = [
  'disable-agent',
  'disable-cloud-controller',
  'disable-helm-controller',
  'disable-kube-proxy',
  'disable-network-policy',
  'disable-scheduler',
];
/** What `--disable` accepts. */
const COMPONENTS = ['coredns', 'servicelb', 'traefik', 'local-storage', 'metrics-server', 'runtimes'];
/** From "Using Custom CA Certificates" at https://docs.k3s.io/cli/certificate. */
const REQUIRED_AUTHORITY_FILES = [
  'server-ca.crt',
  'server-ca.key',
  'client-ca.crt',
  'client-ca.key',
  'request-header-ca.crt',
  'request-header-ca.key',
  'etcd/peer-ca.crt',
  'etcd/peer-ca.key',
  'etcd/server-ca.crt',
  'etcd/server-ca.key',
  'service.key',
];

const ETCD = {
  type: 'etcd',
  etcd: { endpoints: ['https://a.example.com:2379', 'https://b.example.com:2379'], secretName: 'etcd' },
};

let objects: Rendered[];
let withEtcd: Rendered[];
beforeAll(async () => {
  objects = await render({ distribution: 'k3s' });
  withEtcd = await render({ distribution: 'k3s', store: ETCD });
});

const argumentsOf = (rendered: Rendered[]) => container(rendered, 'k3s').args ?? [];

describe('k3s', () => {
  test('is one process beside the syncer', () => {
    expect(podSpec(objects).containers.map(({ name }) => name)).toEqual(['k3s', 'syncer']);
    expect(container(objects, 'k3s').image).toBe('docker.io/rancher/k3s:v1.34.4-k3s1');
    expect(container(objects, 'k3s').command).toEqual(['/bin/k3s']);
  });

  test('is given flags that it documents, each in its documented form', () => {
    for (const [subcommand, ...flags] of [argumentsOf(objects), argumentsOf(withEtcd)]) {
      expect(subcommand).toBe('server');
      for (const flag of flags) {
        const [, name = '', value] = /^--([a-z0-9-]+)(?:=(.+))?$/.exec(flag) ?? [];
        expect(value === undefined ? SWITCHES : WITH_VALUE).toContain(name);
      }
    }
  });

  test('runs nothing but an API server and a controller manager', () => {
    const flags = argumentsOf(objects);
    expect(flags).toEqual(expect.arrayContaining(SWITCHES.map((name) => `--${name}`)));
    expect(flags).toEqual(expect.arrayContaining(COMPONENTS.map((name) => `--disable=${name}`)));
    expect(flags).toContain('--flannel-backend=none');
  });

  test('dials through the syncer, and has the controllers of nodes and volumes off', () => {
    const flags = argumentsOf(objects);
    expect(flags).toContain('--egress-selector-mode=disabled');
    expect(flags).toContain(
      '--kube-apiserver-arg=egress-selector-config-file=/etc/mayfly/configuration/egress.yaml',
    );
    const controllers = flags.find((flag) => flag.startsWith('--kube-controller-manager-arg=controllers='));
    expect(controllers).toContain('-node-lifecycle-controller');
    const sockets = container(objects, 'k3s').volumeMounts.find(
      ({ mountPath }) => mountPath === '/run/mayfly',
    );
    expect(sockets?.name).toBe('egress-sockets');
  });

  test('keeps its store in its database, or in the etcd that is named', () => {
    const mountOf = (rendered: Rendered[]) =>
      container(rendered, 'k3s').volumeMounts.find(({ name }) => name === 'store')?.mountPath;
    expect(mountOf(objects)).toBe('/var/lib/rancher/k3s/server/db');
    expect(mountOf(withEtcd)).toBeUndefined();
    expect(argumentsOf(withEtcd)).toContain(
      '--datastore-endpoint=https://a.example.com:2379,https://b.example.com:2379',
    );
  });

  test('finds the authorities of the cluster where it looks for them', async () => {
    const files = k3sFiles(
      await createCertificates({
        cluster: 'pr-17',
        namespace: 'previews',
        serviceIps: ['10.96.3.4'],
        extraNames: [],
        now: new Date(),
        lifetimeMs: 86_400_000,
      }),
    );
    expect(Object.keys(files)).toEqual(expect.arrayContaining(REQUIRED_AUTHORITY_FILES));
    expect(files['config.yaml']).toContain('10.96.3.4');
    const mounted = (name: string) =>
      container(objects, name).volumeMounts.find((mount) => mount.name === 'certificates-k3s')?.mountPath;
    expect(mounted('k3s')).toBe('/var/lib/rancher/k3s/server/tls');
    expect(mounted('certificates')).toBe('/etc/mayfly/certificates/k3s');
    expect(mounted('syncer')).toBeUndefined();
  });
});
