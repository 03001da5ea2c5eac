// What pods must not get of the host, whatever they ask for. Each is refused inside by the name of its field, and again by the
// host's own Pod Security, which is out of a tenant's reach; where a pod may run is the host's to say.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NAMESPACES, PODS, RUNTIME_CLASSES } from '../../../src/kube/resource.ts';
import type { Container, Pod, PodSpec, RuntimeClass } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  call,
  createVirtualWorkloads,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

type Wishes = Partial<PodSpec> & { container?: Partial<Container> };
type SecurityContext = NonNullable<Container['securityContext']>;

let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads('threats');
  await declare(work.host, work.hostNamespace, 'baseline');
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside.client;

async function declare({ client }: VirtualWorkloads['host'], name: string, level: string): Promise<void> {
  const body = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': level } } };
  await client.patch(NAMESPACES, { name }, { type: 'merge', body }, call());
}

const withContext = (securityContext: SecurityContext): Wishes => ({ container: { securityContext } });
const ofContainer = (field: string) => `spec.containers[0].securityContext.${field}`;
const probing = { httpGet: { host: '169.254.169.254', port: 80 } };
const early = { name: 'early', image: 'docker.io/library/busybox:1.35.0', command: ['true'] };

const FORBIDDEN: [string, Wishes, string][] = [
  ['privileged', withContext({ privileged: true }), ofContainer('privileged')],
  [
    'privileged before it starts',
    { initContainers: [{ ...early, securityContext: { privileged: true } }] },
    'spec.initContainers[0].securityContext.privileged',
  ],
  [
    'with a folder of the node',
    { volumes: [{ name: 'root', hostPath: { path: '/' } }] },
    'spec.volumes[0].hostPath',
  ],
  ['in the network of the node', { hostNetwork: true }, 'spec.hostNetwork'],
  ['among the processes of the node', { hostPID: true }, 'spec.hostPID'],
  ['with the shared memory of the node', { hostIPC: true }, 'spec.hostIPC'],
  [
    'on a port of the node',
    { container: { ports: [{ containerPort: 80, hostPort: 10_080 }] } },
    'spec.containers[0].ports[0].hostPort',
  ],
  [
    'with a further capability',
    withContext({ capabilities: { add: ['CHOWN', 'SYS_ADMIN'] } }),
    ofContainer('capabilities.add[1]'),
  ],
  [
    'without seccomp',
    { securityContext: { seccompProfile: { type: 'Unconfined' } } },
    'spec.securityContext.seccompProfile.type',
  ],
  [
    'with a container without seccomp',
    withContext({ seccompProfile: { type: 'Unconfined' } }),
    ofContainer('seccompProfile.type'),
  ],
  [
    'without AppArmor',
    { securityContext: { appArmorProfile: { type: 'Unconfined' } } },
    'spec.securityContext.appArmorProfile.type',
  ],
  [
    'that unmasks /proc',
    { hostUsers: false, ...withContext({ procMount: 'Unmasked' }) },
    ofContainer('procMount'),
  ],
  [
    'with a label of another kind of process',
    withContext({ seLinuxOptions: { type: 'spc_t' } }),
    ofContainer('seLinuxOptions.type'),
  ],
  [
    'with parameters of the kernel',
    { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
    'spec.securityContext.sysctls[0].name',
  ],
  [
    'probed where it chooses',
    { container: { readinessProbe: probing } },
    'spec.containers[0].readinessProbe.httpGet.host',
  ],
];

describe('T1: a pod', () => {
  it('that asks for nothing special runs, whatever the host’s Pod Security asks', async () => {
    await work.create(podRunning('plain'));
    await work.running('plain');
  });

  it.each(FORBIDDEN)('%s never reaches the host, by two guards', async (title, wishes, field) => {
    const name = title.replaceAll(/[^a-z]+/gi, '-').toLowerCase();
    const pod = podRunning(name, 'true', wishes);
    await work.create(pod);
    const [told] = await work.warnings(name);
    expect(told?.reason).toBe('SyncRefused');
    expect(told?.message?.slice(0, field.length + 2)).toBe(`${field}: `);
    expect(await work.onHost(PODS, name)).toBeUndefined();
    // Had the syncer let it through, or somebody its credentials:
    const there = { ...pod, metadata: { namespace: work.hostNamespace, name } };
    await expect(work.host.client.create<Pod>(PODS, there, call())).rejects.toThrow(
      /violates PodSecurity "baseline/,
    );
  });

  it('gets no further in a namespace that its tenant declares privileged', async () => {
    await declare(work.cluster.inside, 'default', 'privileged');
    await work.create(podRunning('declared', 'true', { hostPID: true }));
    expect(await work.warnings('declared')).toMatchObject([{ reason: 'SyncRefused' }]);
    expect(await work.onHost(PODS, 'declared')).toBeUndefined();
  });
});

describe('T3: the status of a pod', () => {
  it('that a tenant writes is put back, and is nothing on the host', async () => {
    const before = await work.running('plain');
    const ofHost = (await work.onHost<Pod>(PODS, 'plain'))?.status;
    const address = '169.254.169.254';
    const status = {
      phase: 'Succeeded',
      hostIP: address,
      hostIPs: [{ ip: address }],
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'False' }],
    };
    const { metadata } = await inside().patch<Pod>(
      PODS,
      { namespace: 'default', name: 'plain' },
      { type: 'merge', body: { status } },
      { ...call(), subresource: 'status' },
    );
    const after = await work.podWhere(
      'plain',
      'has its status again',
      (pod) => pod.metadata.resourceVersion !== metadata.resourceVersion && pod.status?.phase === 'Running',
    );
    expect(after.status).toMatchObject({ podIP: before.status?.podIP, hostIP: before.status?.hostIP });
    const copy = await work.onHost<Pod>(PODS, 'plain');
    expect(copy?.status).toEqual(ofHost);
    expect(JSON.stringify(copy)).not.toContain(address);
  });
});

describe('T4: a pod', () => {
  /** What no node has. */
  const unicorns = { limits: { 'example.com/unicorns': '1' }, requests: { 'example.com/unicorns': '1' } };
  const isUnschedulable = ({ status }: Pod) =>
    Boolean(status?.conditions?.some(({ reason }) => reason === 'Unschedulable'));
  const copyOf = (name: string) =>
    eventually(() => work.onHost<Pod>(PODS, name), { what: `${name} is on the host`, timeoutMs: 30_000 });

  it('gets past the host’s scheduler by no node name', async () => {
    const { spec } = await work.running('plain');
    await work.create(
      podRunning('pinned', 'true', { nodeName: spec?.nodeName, container: { resources: unicorns } }),
    );
    const pinned = await work.podWhere('pinned', 'waits for the scheduler', isUnschedulable);
    expect(pinned.status?.phase).toBe('Pending');
    expect((await copyOf('pinned')).spec).not.toHaveProperty('nodeName');
    await work.create(podRunning('placed', 'true', { nodeName: spec?.nodeName }));
    expect((await work.running('placed')).spec?.nodeName).toBe(spec?.nodeName);
  });

  it('tolerates no taint of a control plane, and none of which it does not know the name', async () => {
    await work.create(
      podRunning('tolerant', 'true', {
        tolerations: [
          { operator: 'Exists' },
          { operator: 'Exists', effect: 'NoSchedule' },
          { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' },
          { key: 'node-role.kubernetes.io/master', operator: 'Exists', effect: 'NoSchedule' },
          { key: 'example.com/dedicated', operator: 'Exists', effect: 'NoSchedule' },
        ],
      }),
    );
    await work.running('tolerant');
    const { spec } = await copyOf('tolerant');
    expect(spec?.tolerations?.map(({ key }) => key).toSorted()).toEqual([
      'example.com/dedicated',
      'node.kubernetes.io/not-ready',
      'node.kubernetes.io/unreachable',
    ]);
    const told = await work.warnings('tolerant');
    expect(told.map(({ reason, message }) => `${reason} ${message?.split(':')[0]}`).toSorted()).toEqual(
      [0, 1, 2, 3].map((index) => `TolerationDropped spec.tolerations[${index}]`),
    );
  });

  it('outranks nobody on the host, and has none of its schedulers but the default', async () => {
    await work.create(
      podRunning('grand', 'true', {
        priorityClassName: 'system-node-critical',
        schedulerName: 'of-the-landlord',
      }),
    );
    expect((await work.running('grand')).spec?.priority).toBe(2_000_001_000);
    const { spec } = await copyOf('grand');
    expect(spec).toMatchObject({ schedulerName: 'default-scheduler' });
    expect(spec).not.toHaveProperty('priorityClassName');
    expect(spec?.priority ?? 0).toBe(0);
  });

  it('has no runtime of the host that the operator did not list, whatever it is called inside', async () => {
    const own: RuntimeClass = { metadata: { name: 'own' }, handler: 'runc' };
    await inside().create(RUNTIME_CLASSES, own, call());
    // The API server’s own copy of the classes may be behind for a moment.
    await eventually(async () => work.create(podRunning('sandboxed', 'true', { runtimeClassName: 'own' })), {
      what: 'the class may be used',
      timeoutMs: 20_000,
    });
    const [told] = await work.warnings('sandboxed');
    expect(told).toMatchObject({
      reason: 'SyncRefused',
      message: expect.stringMatching(/^spec\.runtimeClassName: /),
    });
    expect(await work.onHost(PODS, 'sandboxed')).toBeUndefined();
  });

  it('neither finds nor avoids pods of others by their labels', async () => {
    const labels = { app: 'landlord' };
    const theirs = {
      ...podRunning('landlord'),
      metadata: { namespace: work.hostNamespace, name: 'landlord', labels },
    };
    await work.host.client.create<Pod>(PODS, theirs, call());
    await work.host.kubectl([
      ...[
        '--namespace',
        work.hostNamespace,
        'wait',
        '--for=condition=Ready',
        'pod/landlord',
        '--timeout=60s',
      ],
    ]);
    const labelled = (operator: string) => ({
      topologyKey: 'kubernetes.io/os',
      namespaceSelector: {},
      labelSelector: { matchExpressions: [{ key: 'app', operator, values: ['landlord'] }] },
    });
    const required = (operator: string) => ({
      requiredDuringSchedulingIgnoredDuringExecution: [labelled(operator)],
    });
    await work.create(podRunning('avoids', 'true', { affinity: { podAntiAffinity: required('In') } }));
    await work.create(podRunning('seeks', 'true', { affinity: { podAffinity: required('In') } }));
    await work.running('avoids');
    await work.podWhere('seeks', 'finds nobody', isUnschedulable);
  });
});
