// T7, T14: what workloads of a virtual cluster reach with the chart's default policies, and what they do not, by packets. Every
// refusal has its counterpart: somebody whom no policy keeps from it reaches the same address at the same time.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ENDPOINT_SLICES, NETWORK_POLICIES, NODES, PODS, SERVICES } from '../../../src/kube/resource.ts';
import { ANNOTATION_NAME } from '../../../src/syncer/names.ts';
import type {
  EndpointSlice,
  NetworkPolicy,
  NetworkPolicySpec,
  Node,
  Pod,
  Service,
} from '../../../src/syncer/objects.ts';
import { type ClusterAccess, clusterAccess } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestNamespace, type TestNamespace } from '../../support/host-cluster.ts';
import { answeringPod, attemptingPod, attempts } from '../../support/reachability.ts';
import { type InstalledVirtualCluster, installVirtualCluster } from '../../support/virtual-cluster.ts';

/** Where clouds tell a machine its secrets, and an address of the internet: on the test host nobody has either. */
const METADATA = '169.254.169.254';
const INTERNET = '203.0.113.7';
const RESPONDER = `for address in ${METADATA} ${INTERNET}; do ip address add $address/32 dev lo; httpd -p $address:80; done
trap 'ip address del ${METADATA}/32 dev lo; ip address del ${INTERNET}/32 dev lo; exit' TERM
touch /ready; sleep 1000000 & wait`;
const PORTS = ['tcp:80', 'udp:5353'];
const call = () => ({ signal: AbortSignal.timeout(30_000) });

/** A cluster with a pod that answers, a Service in front of it and a pod that tries to reach others. */
interface Tenant {
  cluster: InstalledVirtualCluster;
  targets: Record<string, string>;
}

let host: ClusterAccess;
const places: TestNamespace[] = [];
/** `roommate` shares the host namespace of `tenant`; `neighbour` has one of its own. */
const tenants: Record<string, Tenant> = {};
/** Of the host itself. */
let hostTargets: Record<string, string>;
/** A namespace of the host without policies, and in it `server` and `client`. */
let open: TestNamespace;

beforeAll(async () => {
  host = await clusterAccess();
  for (const purpose of ['isolation', 'isolation', 'open']) places.push(await createTestNamespace(purpose));
  const [shared, other, unprotected] = places as [TestNamespace, TestNamespace, TestNamespace];
  open = unprotected;
  const install = async (name: string, { namespace }: TestNamespace) => {
    const cluster = await installVirtualCluster({ host, namespace, name });
    tenants[name] = { cluster, targets: {} };
    await cluster.inside.kubectl(['wait', '--for=create', 'serviceaccount/default', '--timeout=60s']);
    Object.assign(
      tenants[name].targets,
      await makeTargets(cluster.inside, 'default'),
      await controlPlane(cluster),
    );
  };
  await Promise.all([install('tenant', shared), install('neighbour', other), makeHostTargets()]);
  await install('roommate', shared);
}, 300_000);

afterAll(async () => {
  await Promise.all(Object.values(tenants).map(({ cluster }) => cluster.uninstall()));
  // Takes the addresses away again before it ends.
  if (open)
    await host.kubectl([
      '--namespace',
      open.namespace,
      'delete',
      'daemonset',
      '--all',
      '--cascade=foreground',
    ]);
  for (const place of places) await place.remove();
  await host?.client.close();
}, 180_000);

async function makeTargets(
  { client, kubectl }: ClusterAccess,
  namespace: string,
): Promise<Record<string, string>> {
  const server = answeringPod({ namespace, name: 'server', labels: { app: 'server' } }, PORTS);
  await client.create<Pod>(PODS, server, call());
  await client.create<Pod>(PODS, attemptingPod({ namespace, name: 'client' }), call());
  const service = await client.create<Service>(
    SERVICES,
    {
      metadata: { namespace, name: 'server' },
      spec: { selector: { app: 'server' }, ports: [{ port: 8000, targetPort: 80 }] },
    },
    call(),
  );
  await kubectl(['--namespace', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s']);
  const { status } = await client.get<Pod>(PODS, { namespace, name: 'server' }, call());
  return {
    pod: `tcp/${status?.podIP}/80`,
    'pod by UDP': `udp/${status?.podIP}/5353`,
    Service: `tcp/${service.spec?.clusterIP}/8000`,
  };
}

async function controlPlane({
  namespace,
  name,
  inside,
}: InstalledVirtualCluster): Promise<Record<string, string>> {
  const pod = await host.client.get<Pod>(PODS, { namespace, name: `${name}-0` }, call());
  const ipOf = async (service: { namespace: string; name: string }) =>
    (await inside.client.get<Service>(SERVICES, service, call())).spec?.clusterIP;
  const api = await ipOf({ namespace: 'default', name: 'kubernetes' });
  const dns = await ipOf({ namespace: 'kube-system', name: 'kube-dns' });
  return {
    API: `tcp/${api}/443`,
    'API at its pod': `tcp/${pod.status?.podIP}/6443`,
    DNS: `udp/${dns}/53`,
    'DNS by TCP': `tcp/${dns}/53`,
    'syncer’s status': `tcp/${pod.status?.podIP}/8081`,
  };
}

async function makeHostTargets(): Promise<void> {
  const { client, kubectl } = host;
  const { namespace } = open;
  await kubectl(['--namespace', namespace, 'wait', '--for=create', 'serviceaccount/default']);
  const responder = { app: `responder-${randomBytes(4).toString('hex')}` };
  const daemonSet = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { namespace, name: 'responder' },
    spec: {
      selector: { matchLabels: responder },
      template: {
        metadata: { labels: responder },
        spec: {
          hostNetwork: true,
          tolerations: [{ operator: 'Exists' }],
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: 'responder',
              image: 'docker.io/library/busybox:1.35.0',
              imagePullPolicy: 'IfNotPresent',
              command: ['sh', '-c', RESPONDER],
              securityContext: { capabilities: { add: ['NET_ADMIN'] } },
              readinessProbe: { exec: { command: ['test', '-e', '/ready'] }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
  await kubectl(['apply', '-f', '-'], { input: JSON.stringify(daemonSet) });
  await kubectl(['--namespace', namespace, 'rollout', 'status', 'daemonset/responder', '--timeout=60s']);
  const ipOf = async (service: { namespace: string; name: string }) =>
    (await client.get<Service>(SERVICES, service, call())).spec?.clusterIP;
  const dns = await ipOf({ namespace: 'kube-system', name: 'kube-dns' });
  const { items: nodes } = await client.list<Node>(NODES, call());
  const addresses = nodes.map(
    ({ status }) => status?.addresses?.find(({ type }) => type === 'InternalIP')?.address,
  );
  const slice = await client.get<EndpointSlice>(
    ENDPOINT_SLICES,
    { namespace: 'default', name: 'kubernetes' },
    call(),
  );
  const served = await makeTargets(host, namespace);
  hostTargets = {
    'API of the host': `tcp/${await ipOf({ namespace: 'default', name: 'kubernetes' })}/443`,
    'API of the host at its node': `tcp/${slice.endpoints?.[0]?.addresses[0]}/${slice.ports?.[0]?.port}`,
    'DNS of the host': `udp/${dns}/53`,
    'DNS of the host by TCP': `tcp/${dns}/53`,
    metadata: `tcp/${METADATA}/80`,
    ...Object.fromEntries(
      addresses.map((address, index) => [`kubelet ${index + 1}`, `tcp/${address}/10250`]),
    ),
    ...Object.fromEntries(Object.entries(served).map(([name, target]) => [`${name} of the host`, target])),
  };
}

/** Which of the named targets a client gets an answer from. */
async function reached(
  { kubectl }: ClusterAccess,
  namespace: string,
  client: string,
  targets: Readonly<Record<string, string>>,
): Promise<string[]> {
  const output = await kubectl(['--namespace', namespace, ...attempts(client, Object.values(targets))]);
  const answered = new Set(output.split('\n'));
  return Object.keys(targets).filter((name) => answered.has(targets[name] ?? ''));
}

function tenant(name: string): Tenant {
  const found = tenants[name];
  if (!found) throw new Error(`there is no ${name}`);
  return found;
}

const inside = (name: string, targets: Readonly<Record<string, string>>) =>
  reached(tenant(name).cluster.inside, 'default', 'client', targets);
const fromOpen = (targets: Readonly<Record<string, string>>) =>
  reached(host, open.namespace, 'client', targets);

/** All of them, in spite of a busy machine and of a Service that was just made. */
async function expectAll(
  attempt: (targets: Readonly<Record<string, string>>) => Promise<string[]>,
  targets: Readonly<Record<string, string>>,
): Promise<void> {
  let seen: string[] = [];
  await eventually(
    async () => {
      seen = await attempt(targets);
      return seen.length === Object.keys(targets).length ? true : undefined;
    },
    { what: 'everything answers', timeoutMs: 20_000 },
  ).catch(() => undefined);
  expect(seen).toEqual(Object.keys(targets));
}

/** Everything of a tenant that its own workloads may reach. */
function own(name: string): Record<string, string> {
  const { 'syncer’s status': _, ...targets } = tenant(name).targets;
  return targets;
}

const NAMES = ['tenant', 'roommate', 'neighbour'];

describe.each(NAMES)('workloads of %s', (name) => {
  it('reach each other, their Services, their DNS and their API', async () => {
    await expectAll((targets) => inside(name, targets), own(name));
  });

  it('reach the internet', async () => {
    await expectAll((targets) => inside(name, targets), { internet: `tcp/${INTERNET}/80` });
  });

  it('find their own names and not those of the host', async () => {
    const { kubectl } = tenant(name).cluster.inside;
    const lookUp = (host: string) => kubectl(['exec', 'client', '--', 'getent', 'hosts', host]);
    expect(await lookUp('server.default.svc.cluster.local')).toContain(
      tenant(name).targets.Service?.split('/')[1],
    );
    await expect(lookUp(`server.${open.namespace}.svc.cluster.local`)).rejects.toThrow();
  });

  it('reach nothing else of their control plane', async () => {
    const status = { status: tenant(name).targets['syncer’s status'] ?? '' };
    expect(await inside(name, status)).toEqual([]);
  });

  it.each(NAMES.filter((other) => other !== name))('reach nothing of %s', async (other) => {
    expect(await inside(name, tenant(other).targets)).toEqual([]);
    await expectAll((targets) => inside(other, targets), own(other));
  });

  it('reach nothing of the host: its API, kubelets, DNS, pods and Services, and the metadata of its machines', async () => {
    expect(await inside(name, hostTargets)).toEqual([]);
    await expectAll(fromOpen, hostTargets);
  });

  it('are not reached from other namespaces of the host, and neither is their control plane', async () => {
    expect(await fromOpen(tenant(name).targets)).toEqual([]);
  });
});

describe('a policy that a tenant makes', () => {
  const policies = (spec: NetworkPolicySpec) =>
    tenant('tenant').cluster.inside.client.create<NetworkPolicy>(
      NETWORK_POLICIES,
      { metadata: { namespace: 'default', name: 'tested' }, spec },
      call(),
    );
  afterEach(() => tenant('tenant').cluster.inside.kubectl(['delete', 'networkpolicy', '--all']));
  const attempt = (targets: Readonly<Record<string, string>>) => inside('tenant', targets);

  it('takes away what its workloads reach of each other, until it is gone', async () => {
    const { pod = '', Service = '', API = '' } = tenant('tenant').targets;
    await policies({ podSelector: { matchLabels: { app: 'server' } }, policyTypes: ['Ingress'] });
    const seen = async () => ((await attempt({ pod, Service, API })).join() === 'API' ? true : undefined);
    await eventually(seen, { what: 'only the API answers', timeoutMs: 20_000 });
    await tenant('tenant').cluster.inside.kubectl(['delete', 'networkpolicy', 'tested']);
    await expectAll(attempt, { pod, Service, API });
  });

  it('opens nothing that the chart keeps shut', async () => {
    await policies({ podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [{}], egress: [{}] });
    await eventually(async () => ((await copies()).length > 0 ? true : undefined), {
      what: 'the policy is on the host',
      timeoutMs: 20_000,
    });
    expect(await attempt(hostTargets)).toEqual([]);
    expect(await attempt(tenant('roommate').targets)).toEqual([]);
    expect(await fromOpen(tenant('tenant').targets)).toEqual([]);
    await expectAll(attempt, own('tenant'));
  });

  async function copies(): Promise<NetworkPolicy[]> {
    const { namespace } = tenant('tenant').cluster;
    const { items } = await host.client.list<NetworkPolicy>(NETWORK_POLICIES, { namespace, ...call() });
    return items.filter(({ metadata }) => metadata.annotations?.[ANNOTATION_NAME] === 'tested');
  }
});

describe('the control plane', () => {
  it.each(NAMES)('of %s reaches no metadata', async (name) => {
    const { namespace } = tenant(name).cluster;
    const attempt = async (targets: Readonly<Record<string, string>>) => {
      const [, address, port] = Object.values(targets)[0]?.split('/') ?? [];
      const script = `require('net').connect(${port}, '${address}').on('connect', () => { console.log('reached'); process.exit() }).on('error', () => {}); setTimeout(() => process.exit(), 1000)`;
      const output = await host.kubectl([
        ...['--namespace', namespace, 'exec', `${name}-0`, '--container=syncer', '--'],
        ...['/usr/local/bin/node', '-e', script],
      ]);
      return output.includes('reached') ? Object.keys(targets) : [];
    };
    expect(await attempt({ metadata: `tcp/${METADATA}/80` })).toEqual([]);
    await expectAll(attempt, { internet: `tcp/${INTERNET}/80` });
  });
});
