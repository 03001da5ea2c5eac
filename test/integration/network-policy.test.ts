// NetworkPolicy on the test host, by packets between real pods on two nodes: what is let through and what is not.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { NAMESPACES, NETWORK_POLICIES, PODS, SERVICES } from '../../src/kube/resource.ts';
import type { NetworkPolicy, NetworkPolicySpec, Pod, Service } from '../../src/syncer/objects.ts';
import { startUnit, stopUnit } from '../host/faults.ts';
import { type ClusterAccess, clusterAccess } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { ownHost } from '../support/own-host.ts';
import { answeringPod, attemptingPod, attempts, CONVERSATION, hastyPod } from '../support/reachability.ts';
import { kubectlPath } from '../support/tools.ts';

const HOST = ownHost('policy-test', 2);
const call = () => ({ signal: AbortSignal.timeout(30_000) });

const [NODE_1 = '', NODE_2 = ''] = HOST.nodes.map(({ name }) => name);
const on = (nodeName: string) => ({ nodeName });
const PORTS = ['tcp:80', 'tcp:81', 'tcp:90', 'udp:53', 'udp:5353'];
/** `near` and `far` are on the node of `server` and on the other; `other-server` is on the other node. */
const SERVERS = [
  answeringPod({ namespace: 'alpha', name: 'server', labels: { app: 'server' }, spec: on(NODE_1) }, PORTS, {
    'tcp:80': 'web',
  }),
  answeringPod(
    { namespace: 'alpha', name: 'other-server', labels: { app: 'other-server' }, spec: on(NODE_2) },
    PORTS,
    { 'tcp:90': 'web' },
  ),
];
const CLIENTS = ['alpha', 'beta'].flatMap((namespace) => [
  attemptingPod({ namespace, name: 'near', labels: { role: 'near' }, spec: on(NODE_1) }),
  attemptingPod({ namespace, name: 'far', labels: { role: 'far' }, spec: on(NODE_2) }),
]);
const HOST_CLIENTS = [
  attemptingPod({ namespace: 'alpha', name: 'host-near', spec: { ...on(NODE_1), hostNetwork: true } }),
  attemptingPod({ namespace: 'alpha', name: 'host-far', spec: { ...on(NODE_2), hostNetwork: true } }),
];
const EVERYBODY = ['alpha/near', 'alpha/far', 'beta/near', 'beta/far', 'alpha/host-near', 'alpha/host-far'];

let cluster: ClusterAccess;
/** Addresses by what this test calls them. */
const addresses = new Map<string, string>();

beforeAll(async () => {
  await HOST.up();
  cluster = await clusterAccess(HOST.kubeconfig);
  const { client } = cluster;
  for (const name of ['alpha', 'beta']) {
    await client.create(NAMESPACES, { metadata: { name, labels: { team: name } } }, call());
    // A pod is refused until its namespace has this.
    await cluster.kubectl(['--namespace', name, 'wait', '--for=create', 'serviceaccount/default']);
  }
  for (const pod of [...SERVERS, ...CLIENTS, ...HOST_CLIENTS]) await client.create<Pod>(PODS, pod, call());
  const service = await client.create<Service>(
    SERVICES,
    {
      metadata: { namespace: 'alpha', name: 'server' },
      spec: { selector: { app: 'server' }, ports: [{ port: 8000, targetPort: 'web' }] },
    },
    call(),
  );
  for (const namespace of ['alpha', 'beta']) {
    await cluster.kubectl([
      ...['--namespace', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s'],
    ]);
    const { items } = await client.list<Pod>(PODS, { namespace, ...call() });
    for (const { metadata, status } of items) addresses.set(`${metadata.name}`, status?.podIP ?? '');
  }
  addresses.set('service', service.spec?.clusterIP ?? '');
  addresses.set('api', HOST.kubernetesServiceIp);
  addresses.set('node-1', HOST.nodes[0]?.address ?? '');
  addresses.set('node-2', HOST.nodes[1]?.address ?? '');
  await eventually(
    async () => ((await reached('alpha/near', ['service:tcp:8000'])).length > 0 ? true : undefined),
    {
      what: 'the Service answers',
      timeoutMs: 20_000,
    },
  );
});

afterEach(async () => {
  for (const namespace of ['alpha', 'beta']) {
    await cluster.kubectl(['--namespace', namespace, 'delete', 'networkpolicy', '--all']);
  }
});

afterAll(async () => {
  await cluster?.client.close();
  await HOST.down();
});

/** Which of the targets, `<name>:<protocol>:<port>`, a pod gets an answer from. */
async function reached(client: string, targets: readonly string[]): Promise<string[]> {
  const [namespace = '', name = ''] = client.split('/');
  const byAddress = new Map(
    targets.map((target) => {
      const [host = '', protocol, port] = target.split(':');
      return [`${protocol}/${addresses.get(host)}/${port}`, target];
    }),
  );
  const output = await cluster.kubectl(['--namespace', namespace, ...attempts(name, [...byAddress.keys()])]);
  return output
    .split('\n')
    .flatMap((line) => byAddress.get(line) ?? [])
    .sort();
}

/** Expects, once rules had a moment to arrive, that each client reaches these of the targets and no others. */
async function expectReached(
  targets: readonly string[],
  expected: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const sorted = Object.fromEntries(
    Object.entries(expected).map(([client, list]) => [client, [...list].sort()]),
  );
  let seen: Record<string, string[]> = {};
  const attempt = async () => {
    const results = Object.keys(expected).map(async (client) => [client, await reached(client, targets)]);
    seen = Object.fromEntries(await Promise.all(results));
    expect(seen).toEqual(sorted);
    return true;
  };
  await eventually(attempt, { what: 'packets go where they should', timeoutMs: 8_000, intervalMs: 50 }).catch(
    () => expect(seen).toEqual(sorted),
  );
}

const everybody = (targets: readonly string[]) =>
  Object.fromEntries(EVERYBODY.map((client) => [client, targets]));

async function apply(spec: NetworkPolicySpec, name = 'tested', namespace = 'alpha'): Promise<void> {
  await cluster.client.create<NetworkPolicy>(
    NETWORK_POLICIES,
    { metadata: { namespace, name }, spec },
    call(),
  );
}

const SERVER = { matchLabels: { app: 'server' } };
const OWN_NODE = 'alpha/host-near';

describe('ingress', () => {
  const targets = PORTS.map((port) => `server:${port}`);
  const web = ['server:tcp:80'];
  type Case = [string, NonNullable<NetworkPolicySpec['ingress']>, Record<string, readonly string[]>];
  const none = { ...everybody([]), [OWN_NODE]: targets };
  const cases: Case[] = [
    ['nothing is allowed by a policy without rules, but for the own node', [], none],
    ['a rule without peers and ports allows everything', [{}], everybody(targets)],
    ['an empty list of peers means everybody', [{ from: [] }], everybody(targets)],
    [
      'a pod selector means pods of the same namespace',
      [{ from: [{ podSelector: { matchLabels: { role: 'far' } } }] }],
      { ...none, 'alpha/far': targets },
    ],
    [
      'an empty pod selector means the whole namespace, and no pod of the node’s network',
      [{ from: [{ podSelector: {} }] }],
      { ...none, 'alpha/near': targets, 'alpha/far': targets },
    ],
    [
      'a namespace selector means all pods of the namespaces',
      [{ from: [{ namespaceSelector: { matchLabels: { team: 'beta' } } }] }],
      { ...none, 'beta/near': targets, 'beta/far': targets },
    ],
    [
      'both selectors in one peer must match',
      [
        {
          from: [
            {
              namespaceSelector: { matchLabels: { team: 'beta' } },
              podSelector: { matchLabels: { role: 'near' } },
            },
          ],
        },
      ],
      { ...none, 'beta/near': targets },
    ],
    [
      'one of several peers must match',
      [
        {
          from: [
            { namespaceSelector: { matchLabels: { team: 'beta' } } },
            { podSelector: { matchExpressions: [{ key: 'role', operator: 'NotIn', values: ['near'] }] } },
          ],
        },
      ],
      { ...none, 'beta/near': targets, 'beta/far': targets, 'alpha/far': targets },
    ],
    [
      'an address block means its addresses without the exceptions',
      [{ from: [{ ipBlock: { cidr: HOST.podRange, except: [HOST.nodes[1]?.podRange ?? ''] } }] }],
      { ...none, 'alpha/near': targets, 'beta/near': targets },
    ],
    [
      'an address block of a node lets its own processes in',
      [{ from: [{ ipBlock: { cidr: `${HOST.nodes[1]?.address}/32` } }] }],
      { ...none, 'alpha/host-far': targets },
    ],
    [
      'a port without peers is open to everybody',
      [{ ports: [{ port: 80 }] }],
      { ...everybody(web), [OWN_NODE]: targets },
    ],
    [
      'a named port is that of the pod',
      [{ ports: [{ port: 'web' }] }],
      { ...everybody(web), [OWN_NODE]: targets },
    ],
    ['a named port of another protocol is none', [{ ports: [{ port: 'web', protocol: 'UDP' }] }], none],
    [
      'a range of ports includes both ends',
      [{ ports: [{ port: 80, endPort: 81 }] }],
      { ...everybody(['server:tcp:80', 'server:tcp:81']), [OWN_NODE]: targets },
    ],
    [
      'a protocol without a port means all its ports',
      [{ ports: [{ protocol: 'UDP' }] }],
      { ...everybody(['server:udp:53', 'server:udp:5353']), [OWN_NODE]: targets },
    ],
    [
      'DNS over UDP can be all there is',
      [{ ports: [{ protocol: 'UDP', port: 53 }] }],
      { ...everybody(['server:udp:53']), [OWN_NODE]: targets },
    ],
    [
      'peers and ports of a rule must both match, and rules add up',
      [
        { from: [{ podSelector: { matchLabels: { role: 'near' } } }], ports: [{ port: 80 }] },
        { from: [{ namespaceSelector: {} }], ports: [{ port: 90 }, { port: 53, protocol: 'UDP' }] },
      ],
      {
        ...none,
        'alpha/near': ['server:tcp:80', 'server:tcp:90', 'server:udp:53'],
        'alpha/far': ['server:tcp:90', 'server:udp:53'],
        'beta/near': ['server:tcp:90', 'server:udp:53'],
        'beta/far': ['server:tcp:90', 'server:udp:53'],
      },
    ],
  ];
  it.each(cases)('%s', async (_, ingress, expected) => {
    await apply({ podSelector: SERVER, policyTypes: ['Ingress'], ingress });
    await expectReached(targets, expected);
  });

  it('adds up what several policies allow', async () => {
    await apply({ podSelector: {}, policyTypes: ['Ingress'] }, 'nothing');
    await apply({ podSelector: SERVER, ingress: [{ ports: [{ port: 80 }] }] }, 'web');
    await apply(
      {
        podSelector: SERVER,
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'beta' } } }] }],
      },
      'beta',
    );
    await expectReached(targets, {
      'alpha/near': web,
      'alpha/far': web,
      'beta/near': targets,
      'beta/far': targets,
    });
  });

  it('leaves pods alone that no policy selects, and those that only an egress policy does', async () => {
    await apply({ podSelector: { matchLabels: { app: 'nobody' } }, policyTypes: ['Ingress'] });
    await apply({ podSelector: SERVER, policyTypes: ['Egress'] }, 'egress');
    await expectReached(targets, everybody(targets));
  });

  it('flows again when the policy is gone, and follows labels', async () => {
    const relabel = (label: string) =>
      cluster.kubectl(['--namespace=alpha', 'label', '--overwrite', 'pod/far', label]);
    await apply({
      podSelector: SERVER,
      ingress: [{ from: [{ podSelector: { matchLabels: { friend: 'yes' } } }] }],
    });
    await expectReached(web, { 'alpha/far': [] });
    await relabel('friend=yes');
    await expectReached(web, { 'alpha/far': web, 'alpha/near': [] });
    await relabel('friend-');
    await expectReached(web, { 'alpha/far': [] });
    await cluster.kubectl(['--namespace=alpha', 'delete', 'networkpolicy', 'tested']);
    await expectReached(web, { 'alpha/far': web, 'alpha/near': web });
  });
});

describe('egress', () => {
  const targets = [
    ...['server:tcp:80', 'server:tcp:90', 'other-server:tcp:80', 'other-server:tcp:90', 'server:udp:5353'],
    ...['service:tcp:8000', 'node-1:tcp:10250', 'node-2:tcp:10250', 'node-1:tcp:6443', 'api:tcp:443'],
  ];
  const clients = ['alpha/near', 'alpha/far'];
  const both = (list: readonly string[]) => Object.fromEntries(clients.map((client) => [client, list]));
  const SOURCES = { matchExpressions: [{ key: 'role', operator: 'In' as const, values: ['near', 'far'] }] };
  type Case = [string, NonNullable<NetworkPolicySpec['egress']>, Record<string, readonly string[]>];
  const cases: Case[] = [
    ['nothing is allowed by a policy without rules', [], both([])],
    ['a rule without peers and ports allows everything', [{}], both(targets)],
    [
      'a pod selector means the pods, also behind a Service',
      [{ to: [{ podSelector: SERVER }] }],
      both(['server:tcp:80', 'server:tcp:90', 'server:udp:5353', 'service:tcp:8000']),
    ],
    [
      'the port of a Service is that of the pod behind it',
      [{ ports: [{ port: 80 }] }],
      both(['server:tcp:80', 'other-server:tcp:80', 'service:tcp:8000']),
    ],
    ['the port of a Service is not its own', [{ ports: [{ port: 8000 }] }], both([])],
    [
      'a named port is that of each pod',
      [{ to: [{ podSelector: {} }], ports: [{ port: 'web' }] }],
      both(['server:tcp:80', 'other-server:tcp:90', 'service:tcp:8000']),
    ],
    [
      'an address block means its addresses without the exceptions, whatever Service leads there',
      [{ to: [{ ipBlock: { cidr: '0.0.0.0/0', except: [HOST.nodes[0]?.podRange ?? ''] } }] }],
      both(targets.filter((target) => !/^(server|service)/.test(target))),
    ],
    [
      'an address block and a port mean the API of the host, also behind its Service',
      [{ to: [{ ipBlock: { cidr: `${HOST.nodes[0]?.address}/32` } }], ports: [{ port: 6443 }] }],
      both(['node-1:tcp:6443', 'api:tcp:443']),
    ],
    [
      'an address block of Services means nothing',
      [{ to: [{ ipBlock: { cidr: HOST.serviceRange } }] }],
      both([]),
    ],
  ];
  it.each(cases)('%s', async (_, egress, expected) => {
    await apply({ podSelector: SOURCES, policyTypes: ['Egress'], egress });
    await expectReached(targets, { ...expected, 'beta/near': targets, 'alpha/host-near': targets });
  });
});

describe('a connection', () => {
  it('goes on when a policy forbids new ones, and its answers need no rule', async () => {
    const target = `tcp/${addresses.get('server')}/80`;
    const args = ['--namespace=alpha', 'exec', '--stdin', 'far', '--', 'bash', '-c', CONVERSATION, target];
    const conversation = spawn(await kubectlPath(), ['--kubeconfig', HOST.kubeconfig, ...args]);
    const ended = once(conversation, 'exit');
    const lines = createInterface(conversation.stdout)[Symbol.asyncIterator]();
    const say = async (text: string) => {
      conversation.stdin.write(`${text}\n`);
      return (await lines.next()).value;
    };
    try {
      expect((await lines.next()).value).toBe('server');
      await apply({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
      await expectReached(['server:tcp:80'], { 'alpha/far': [] });
      expect(await say('still there?')).toBe('still there?');
    } finally {
      conversation.stdin.end();
      await ended;
    }
  });

  it('of a pod with itself through its Service is nobody’s business', async () => {
    await apply({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    await expectReached(['service:tcp:8000'], { 'alpha/server': ['service:tcp:8000'], 'alpha/near': [] });
  });

  it('over link-local addresses is none', async () => {
    const target = await cluster.kubectl([
      ...['--namespace=alpha', 'exec', 'server', '--'],
      ...['perl', '-ne', 'print join(":", $1 =~ /(.{4})/g) if /^(fe80\\S+) .* eth0$/', '/proc/net/if_inet6'],
    ]);
    await cluster.client.create<Pod>(
      PODS,
      {
        metadata: { namespace: 'beta', name: 'link-local' },
        spec: {
          nodeName: NODE_1,
          restartPolicy: 'Never',
          containers: [
            // The first seconds go by before the pod may use its own link-local address.
            { name: 'ping', image: 'busybox:1.35.0', command: ['ping6', '-c4', '-W1', '-I', 'eth0', target] },
          ],
        },
      },
      call(),
    );
    expect(target).toMatch(/^fe80:/);
    await cluster.kubectl([
      ...[
        '--namespace=beta',
        'wait',
        '--for=jsonpath={.status.phase}=Failed',
        'pod/link-local',
        '--timeout=30s',
      ],
    ]);
  });
});

describe('an enforcer that is away', () => {
  it('leaves its rules, and makes up for what it missed', async () => {
    const [node] = HOST.nodes;
    if (!node) throw new Error('the host has no node');
    const web = ['server:tcp:80'];
    await apply({ podSelector: SERVER, policyTypes: ['Ingress'] });
    await expectReached(web, { 'alpha/far': [] });
    await stopUnit(node, 'network-policy');
    try {
      await cluster.kubectl(['--namespace=alpha', 'delete', 'networkpolicy', 'tested']);
      expect(await reached('alpha/far', web)).toEqual([]);
    } finally {
      await startUnit(node, 'network-policy');
    }
    await expectReached(web, { 'alpha/far': web });
  });
});

describe('a new pod', () => {
  const phaseOf = async (name: string) => {
    const ended = async () => {
      const { status } = await cluster.client.get<Pod>(PODS, { namespace: 'alpha', name }, call());
      return status?.phase === 'Succeeded' || status?.phase === 'Failed' ? status.phase : undefined;
    };
    return eventually(ended, { what: `${name} ends`, timeoutMs: 30_000 });
  };

  it('is under its policies, and is what others allow, from its first packet', async () => {
    await apply(
      { podSelector: SERVER, ingress: [{ from: [{ podSelector: { matchLabels: { friend: 'yes' } } }] }] },
      'friends',
    );
    await apply({ podSelector: { matchLabels: { quiet: 'yes' } }, policyTypes: ['Egress'] }, 'quiet');
    await expectReached(['server:tcp:80'], { 'alpha/near': [] });
    const target = `tcp/${addresses.get('server')}/80`;
    const hasty: {
      name: string;
      labels: Record<string, string>;
      spec: { nodeName: string };
      phase: string;
    }[] = [
      { name: 'friend-near', labels: { friend: 'yes' }, spec: on(NODE_1), phase: 'Succeeded' },
      { name: 'friend-far', labels: { friend: 'yes' }, spec: on(NODE_2), phase: 'Succeeded' },
      { name: 'stranger', labels: {}, spec: on(NODE_1), phase: 'Failed' },
      { name: 'quiet-friend', labels: { friend: 'yes', quiet: 'yes' }, spec: on(NODE_2), phase: 'Failed' },
    ];
    for (const options of hasty) {
      await cluster.client.create<Pod>(PODS, hastyPod({ namespace: 'alpha', ...options }, target), call());
    }
    for (const { name, phase } of hasty) expect([name, await phaseOf(name)]).toEqual([name, phase]);
  });

  it('is probed by its kubelet whatever its policies say', async () => {
    await apply({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    const probed = answeringPod({ namespace: 'alpha', name: 'probed', spec: on(NODE_2) }, ['tcp:80']);
    const [container] = probed.spec?.containers ?? [];
    if (container) container.readinessProbe = { tcpSocket: { port: 80 }, periodSeconds: 1 };
    await cluster.client.create<Pod>(PODS, probed, call());
    await cluster.kubectl([
      '--namespace=alpha',
      'wait',
      '--for=condition=Ready',
      'pod/probed',
      '--timeout=30s',
    ]);
  });
});
