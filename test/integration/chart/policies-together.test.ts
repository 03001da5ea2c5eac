// Policies of tenants and the chart's own, together: hundreds of sets of policies that a tenant might write, each compared with
// what it would mean in a cluster of its own.
import { beforeAll, expect, test } from 'vitest';
import type { TranslationContext } from '../../../src/syncer/kind.ts';
import { networkPolicies } from '../../../src/syncer/kinds/network-policies/kind.ts';
import { openLabels } from '../../../src/syncer/kinds/network-policies/open-pods.ts';
import { placeLabels } from '../../../src/syncer/names.ts';
import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  Pod,
} from '../../../src/syncer/objects.ts';
import { hostLabels } from '../../../src/syncer/selectors.ts';
import {
  type End,
  isConnected,
  isLetOut,
  type Target,
  type World,
} from '../../support/network-policy-model.ts';
import { translationContext } from '../../support/translation-context.ts';
import { find, render } from './rendered-chart.ts';

const CLUSTER = 'pr-17';
const HOST_NAMESPACE = 'previews';
const POLICIES = ['workloads', 'open-ingress', 'open-egress', 'control-plane'];
const CONTROL_PLANE_ADDRESS = '10.244.9.9';
const CLIENT = { ipBlock: { cidr: '198.51.100.7/32' } };
const DENIED = ['169.254.0.0/16', '10.0.0.0/8'];
const ROUNDS = 200;

const NAMESPACES = {
  team: { 'kubernetes.io/metadata.name': 'team' },
  shop: { 'kubernetes.io/metadata.name': 'shop', tier: 'shop' },
  'kube-system': { 'kubernetes.io/metadata.name': 'kube-system' },
};
const PODS: Pod[] = [
  ['team', 'a', '10.244.1.1'],
  ['team', 'b', '10.244.1.2'],
  ['shop', 'a', '10.244.2.1'],
  ['shop', 'b', '203.0.113.9'],
].map(([namespace = '', app = '', ip = '']) => ({
  metadata: { namespace, name: app, labels: { app } },
  status: { podIPs: [{ ip }] },
}));
const TARGETS: Target[] = [
  { protocol: 'TCP', port: 80, name: 'http' },
  { protocol: 'TCP', port: 8443 },
  { protocol: 'UDP', port: 53 },
];
const DNS: Target[] = [
  { protocol: 'UDP', port: 53, name: 'dns' },
  { protocol: 'TCP', port: 53, name: 'dns-tcp' },
];
const API: Target = { protocol: 'TCP', port: 6443, name: 'https' };
const BLOCKS = [
  { cidr: '0.0.0.0/0' },
  { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '192.0.2.0/24'] },
  { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] },
  { cidr: '10.244.1.1/32' },
  { cidr: '10.244.9.0/24' },
  { cidr: '10.96.0.10/32' },
  { cidr: '203.0.113.0/24' },
  { cidr: '169.254.169.254/32' },
  { cidr: '8.0.0.0/5' },
];

let ofChart: NetworkPolicy[];
beforeAll(async () => {
  const networkPolicy = { clients: [CLIENT], deniedCIDRs: DENIED };
  const rendered = await render({ isolation: { networkPolicy } });
  ofChart = POLICIES.map(
    (name) => find(rendered, 'NetworkPolicy', `${CLUSTER}-${name}`) as unknown as NetworkPolicy,
  );
});

/** Numbers that look random and are the same in every run (Lehmer). */
function createDice(seed: number) {
  let state = seed;
  const roll = (sides: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % sides;
  };
  return {
    roll,
    pick: <T>(values: readonly T[]) => values[roll(values.length)] as T,
    some: <T>(make: () => T, most: number) => Array.from({ length: roll(most + 1) }, make),
  };
}
type Dice = ReturnType<typeof createDice>;

function anyPolicy({ roll, pick, some }: Dice): NetworkPolicy {
  const podSelector = () => pick([{}, { matchLabels: { app: pick(['a', 'b', 'none']) } }]);
  const peer = (): NetworkPolicyPeer => {
    const namespaceSelector = pick([
      {},
      { matchLabels: { tier: 'shop' } },
      { matchLabels: { tier: 'none' } },
      {
        matchExpressions: [
          { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['kube-system', 'team'] },
        ],
      },
    ]);
    return pick<() => NetworkPolicyPeer>([
      () => ({ podSelector: podSelector() }),
      () => ({ namespaceSelector }),
      () => ({
        namespaceSelector,
        podSelector: pick([podSelector(), { matchLabels: { 'k8s-app': 'kube-dns' } }]),
      }),
      () => ({ ipBlock: pick(BLOCKS) }),
    ])();
  };
  const port = (): NetworkPolicyPort =>
    pick([
      { protocol: 'TCP', port: 80 },
      { protocol: 'TCP', port: 'http' },
      { protocol: 'TCP', port: 1, endPort: 9_000 },
      { protocol: 'UDP' },
      { protocol: 'UDP', port: 'dns' },
    ]);
  return {
    metadata: { namespace: pick(['team', 'shop']), name: `policy-${roll(1e9)}` },
    spec: {
      podSelector: podSelector(),
      policyTypes: pick([['Ingress'], ['Egress'], ['Ingress', 'Egress']]),
      ingress: some(() => ({ from: some(peer, 2), ports: some(port, 2) }), 2),
      egress: some(() => ({ to: some(peer, 2), ports: some(port, 2) }), 2),
    },
  };
}

function endsOf(
  pods: readonly Pod[],
  labelsOf: (pod: Pod) => Record<string, string>,
  namespace?: string,
): End[] {
  return pods.map((pod) => ({
    name: `${pod.metadata.namespace}/${pod.metadata.name}`,
    addresses: (pod.status?.podIPs ?? []).map(({ ip }) => ip),
    pod: { namespace: namespace ?? pod.metadata.namespace ?? '', labels: labelsOf(pod) },
  }));
}

/** Who is there besides the tenant's pods, as the host sees them. */
const OUTSIDE: Record<'site' | 'metadata' | 'hostApi' | 'otherTenant' | 'client', End> = {
  site: { name: 'a site', addresses: ['93.184.216.34'] },
  metadata: { name: 'metadata', addresses: ['169.254.169.254'] },
  hostApi: { name: 'the API of the host', addresses: ['10.0.0.4'] },
  otherTenant: {
    name: 'another tenant',
    addresses: ['10.244.7.7'],
    pod: { namespace: HOST_NAMESPACE, labels: placeLabels('pr-18', 'team') },
  },
  client: { name: 'a client', addresses: ['198.51.100.7'] },
};

function worldsOf(policies: readonly NetworkPolicy[]) {
  const network = {
    isolated: true,
    deniedCidrs: DENIED,
    controlPlaneAddresses: [CONTROL_PLANE_ADDRESS],
  };
  const context: TranslationContext = translationContext(
    {
      networkPolicies: policies,
      namespaces: Object.entries(NAMESPACES).map(([name, labels]) => ({ metadata: { name, labels } })),
      workloadAddresses: PODS.flatMap(({ status }) => status?.podIPs?.map(({ ip }) => ip) ?? []),
    },
    { cluster: CLUSTER, network },
  );
  const synced = policies.flatMap((policy) => {
    const copy = networkPolicies.toHost(policy, context);
    return copy ? [{ ...copy, metadata: { ...copy.metadata, namespace: HOST_NAMESPACE } }] : [];
  });
  const addresses = [CONTROL_PLANE_ADDRESS, context.api.clusterIp, context.dns.clusterIp];
  const own: World = { policies, namespaces: NAMESPACES };
  const host: World = { policies: [...ofChart, ...synced], namespaces: {} };
  return {
    own,
    host,
    ownEnds: endsOf(PODS, ({ metadata }) => metadata.labels ?? {}),
    hostEnds: endsOf(
      PODS,
      (pod) => ({
        ...hostLabels(pod.metadata.labels),
        ...placeLabels(CLUSTER, pod.metadata.namespace),
        ...openLabels(pod, context),
      }),
      HOST_NAMESPACE,
    ),
    controlPlane: {
      dnsInside: {
        name: 'DNS',
        addresses,
        pod: { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } },
      },
      apiInside: { name: 'API', addresses },
      onHost: {
        name: 'the control plane',
        addresses: [CONTROL_PLANE_ADDRESS],
        pod: {
          namespace: HOST_NAMESPACE,
          labels: { 'app.kubernetes.io/name': 'virtual-cluster', 'app.kubernetes.io/instance': CLUSTER },
        },
      },
    },
  };
}

test('mean for a tenant what they would in a cluster of his own, and never more than the operator allows', () => {
  const dice = createDice(17);
  const seen = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const policies = dice.some(() => anyPolicy(dice), 3);
    const { own, host, ownEnds, hostEnds, controlPlane } = worldsOf(policies);
    const check = (what: string, actual: boolean, expected: boolean) => {
      seen.add(`${what.split(' ')[0]} ${expected}`);
      if (actual !== expected) expect.fail(`${what}: ${actual}, with ${JSON.stringify(policies)}`);
    };
    PODS.forEach((_, at) => {
      const [inside, onHost] = [ownEnds[at], hostEnds[at]];
      if (!inside || !onHost) return;
      for (const target of TARGETS) {
        const to = `${onHost.name} at ${target.port}`;
        hostEnds.forEach((peer, index) => {
          const expected = isConnected(own, ownEnds[index] as End, inside, target);
          check(`pod ${peer.name} to ${to}`, isConnected(host, peer, onHost, target), expected);
        });
        for (const outsider of [OUTSIDE.site, OUTSIDE.hostApi, OUTSIDE.otherTenant])
          check(`outsider ${outsider.name} to ${to}`, isConnected(host, outsider, onHost, target), false);
        check(`client to ${to}`, isConnected(host, OUTSIDE.client, onHost, target), true);
        check(`proxy to ${to}`, isConnected(host, controlPlane.onHost, onHost, target), true);
        for (const denied of [OUTSIDE.metadata, OUTSIDE.hostApi, OUTSIDE.otherTenant])
          check(`denied ${denied.name} from ${to}`, isLetOut(host, onHost, denied, target), false);
        const mayLeave = isLetOut(own, inside, OUTSIDE.site, target);
        check(`site from ${to}`, isLetOut(host, onHost, OUTSIDE.site, target), mayLeave);
      }
      for (const target of DNS) {
        const expected = isLetOut(own, inside, controlPlane.dnsInside, target);
        check(`dns from ${onHost.name}`, isConnected(host, onHost, controlPlane.onHost, target), expected);
      }
      const expected = isLetOut(own, inside, controlPlane.apiInside, API);
      check(`api from ${onHost.name}`, isConnected(host, onHost, controlPlane.onHost, API), expected);
      const status = { protocol: 'TCP', port: 8081 };
      check(`status from ${onHost.name}`, isConnected(host, onHost, controlPlane.onHost, status), false);
    });
  }
  // Both answers came up wherever both can.
  for (const what of ['pod', 'site', 'dns', 'api']) {
    expect(seen).toContain(`${what} true`);
    expect(seen).toContain(`${what} false`);
  }
});
