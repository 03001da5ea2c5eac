// From policies, namespaces and pods to the nftables rules of one node. Pure: what they mean is decided here and nowhere else.
import { createHash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '../../../src/syncer/objects.ts';
import { matchesSelector } from '../../../src/syncer/selectors.ts';
import type { Direction, Labels, NetworkedPod } from './networked-pod.ts';

export interface Cluster {
  readonly pods: readonly NetworkedPod[];
  /** Labels of each namespace by its name. */
  readonly namespaces: ReadonlyMap<string, Labels>;
  readonly policies: readonly NetworkPolicy[];
}

export interface RulesOptions {
  /** The node whose pods are protected. */
  readonly node: string;
  /** Bridge that the node's pods are on. */
  readonly bridge: string;
}

/** A rule of either direction: whom it lets through and on which ports. No peers: everybody; no ports: all. */
interface Allowance {
  readonly namespace: string;
  readonly peers: readonly NetworkPolicyPeer[];
  readonly ports: readonly NetworkPolicyPort[];
}

const TABLE = 'network_policy';
const ANY = '';

/** Packets of IPv4 and IPv6 have tables of their own. */
interface Family {
  readonly protocol: 'ip' | 'ip6';
  readonly addressType: 'ipv4_addr' | 'ipv6_addr';
  has(address: string): boolean;
  /** What no policy decides. */
  readonly exempt: readonly string[];
}

const FAMILIES: readonly Family[] = [
  { protocol: 'ip', addressType: 'ipv4_addr', has: isIPv4, exempt: [] },
  {
    protocol: 'ip6',
    addressType: 'ipv6_addr',
    has: isIPv6,
    // Without these, which are to IPv6 what ARP is to IPv4, nobody finds anybody.
    exempt: ['icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'],
  },
];

/** A transaction that replaces whatever rules were there. */
export function compileRules(cluster: Cluster, options: RulesOptions): string {
  return FAMILIES.map((family) => compileTable(family, cluster, options)).join('');
}

/**
 * Each isolated pod has a verdict map's entry per direction that leads to a chain. A chain holds what all policies of its
 * pods allow, returning to the base chain when something matches, so that the other direction is looked at next, and
 * dropping at its end. Pods under the same policies share chains.
 */
function compileTable(family: Family, cluster: Cluster, { node, bridge }: RulesOptions): string {
  const { protocol, addressType, exempt } = family;
  const local = cluster.pods.flatMap((pod) => (pod.node === node ? addressed(pod, family) : []));
  const sets = createSets(cluster, family);
  const chains = new Map<string, string>();
  const verdicts = { ingress: [] as string[], egress: [] as string[] };
  for (const pod of local) {
    const own = cluster.policies.filter((policy) => selects(policy, pod));
    for (const direction of ['ingress', 'egress'] as const) {
      const isolating = own.filter((policy) => isolates(policy, direction));
      if (isolating.length === 0) continue;
      const name = `${direction}_${hashOf(isolating.map(({ metadata, spec }) => [metadata.namespace, spec]))}`;
      if (!chains.has(name)) chains.set(name, chainText(name, isolating, direction, sets, family));
      verdicts[direction].push(`${pod.address} : jump ${name}`);
    }
  }
  const addresses = local.map((pod) => pod.address);
  return `table ${protocol} ${TABLE}
delete table ${protocol} ${TABLE}
table ${protocol} ${TABLE} {
${[
  setText('pods', addressType, addresses),
  setText(
    'themselves',
    `${addressType} . ${addressType}`,
    addresses.map((address) => `${address} . ${address}`),
  ),
  ...sets.texts(),
  ...chains.values(),
  blockText('map egress', [`type ${addressType} : verdict`, ...elements(verdicts.egress)]),
  blockText('map ingress', [`type ${addressType} : verdict`, ...elements(verdicts.ingress)]),
  blockText('chain forward', [
    // Before kube-proxy's rules for this hook, but after it has put a pod's address in place of a Service's.
    'type filter hook forward priority filter - 5; policy accept',
    'ct state established,related accept',
    ...exempt,
    `${protocol} saddr . ${protocol} daddr @themselves accept`,
    `iifname "${bridge}" ${protocol} saddr != @pods counter drop`,
    `oifname "${bridge}" ${protocol} daddr != @pods counter drop`,
    `${protocol} saddr vmap @egress`,
    `${protocol} daddr vmap @ingress`,
  ]),
  blockText('chain input', [
    'type filter hook input priority filter - 5; policy accept',
    `iifname != "${bridge}" accept`,
    'ct state established,related accept',
    ...exempt,
    `${protocol} saddr != @pods counter drop`,
    `${protocol} saddr vmap @egress`,
  ]),
].join('')}}
`;
}

/** A pod and its one address of a family. */
type AddressedPod = NetworkedPod & { readonly address: string };

/** None where the pod has no address of the family. */
function addressed(pod: NetworkedPod, { has }: Family): AddressedPod[] {
  return pod.addresses.filter(has).map((address) => ({ ...pod, address }));
}

function selects({ metadata, spec = {} }: NetworkPolicy, pod: NetworkedPod): boolean {
  return metadata.namespace === pod.namespace && matchesSelector(spec.podSelector ?? {}, pod.labels);
}

function isolates({ spec = {} }: NetworkPolicy, direction: Direction): boolean {
  if (spec.policyTypes) return spec.policyTypes.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
  return direction === 'ingress' || (spec.egress ?? []).length > 0;
}

function allowances({ metadata, spec = {} }: NetworkPolicy, direction: Direction): Allowance[] {
  const namespace = metadata.namespace ?? '';
  const rules =
    direction === 'ingress'
      ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }));
  return rules.map(({ peers = [], ports = [] }) => ({ namespace, peers, ports }));
}

function chainText(
  name: string,
  policies: readonly NetworkPolicy[],
  direction: Direction,
  sets: Sets,
  { protocol: family, has }: Family,
): string {
  const rules = new Set<string>();
  for (const allowance of policies.flatMap((policy) => allowances(policy, direction))) {
    const { namespace, peers, ports } = allowance;
    const from = peers.length === 0 ? [ANY] : peers.flatMap((peer) => peerMatch(peer, namespace));
    const on = ports.length === 0 ? [ANY] : ports.map(portMatch);
    for (const peer of from) for (const port of on) rules.add(`${peer} ${port} return`.trim());
  }
  return blockText(`chain ${name}`, [...rules, 'counter drop']);

  function peerMatch(peer: NetworkPolicyPeer, namespace: string): string[] {
    const address = `${family} ${direction === 'ingress' ? 'saddr' : 'daddr'}`;
    const { ipBlock } = peer;
    if (!ipBlock) return [`${address} @${sets.ofPeer(peer, namespace)}`];
    const isOfFamily = (cidr: string) => has(cidr.split('/')[0] ?? '');
    if (!isOfFamily(ipBlock.cidr)) return [];
    const block = ipBlock.cidr.endsWith('/0') ? ANY : `${address} ${ipBlock.cidr}`;
    const except = (ipBlock.except ?? []).filter(isOfFamily).map((cidr) => `${address} != ${cidr}`);
    return [[block, ...except].join(' ').trim()];
  }

  function portMatch({ protocol = 'TCP', port, endPort }: NetworkPolicyPort): string {
    const name = protocol.toLowerCase();
    if (port === undefined) return `meta l4proto ${name}`;
    if (typeof port === 'number') return `${name} dport ${endPort ? `${port}-${endPort}` : port}`;
    return `${family} daddr . ${name} dport @${sets.ofNamedPort(protocol, port)}`;
  }
}

interface Sets {
  /** Name of the set of addresses that a peer with selectors stands for, in a policy of `namespace`. */
  ofPeer(peer: NetworkPolicyPeer, namespace: string): string;
  /** Name of the set of addresses with the port that the pod at each of them has under this name. */
  ofNamedPort(protocol: string, name: string): string;
  texts(): Iterable<string>;
}

/** Sets are made when first asked for, once for all rules that mean the same. */
function createSets(cluster: Cluster, family: Family): Sets {
  const { namespaces } = cluster;
  const { addressType } = family;
  const pods = cluster.pods.flatMap((pod) => addressed(pod, family));
  const sets = new Map<string, string>();
  const once = (name: string, text: () => string) => {
    if (!sets.has(name)) sets.set(name, text());
    return name;
  };
  return {
    ofPeer({ podSelector = {}, namespaceSelector }, namespace) {
      const isPeer = (pod: AddressedPod) =>
        namespaceSelector
          ? matchesSelector(namespaceSelector, namespaces.get(pod.namespace) ?? {})
          : pod.namespace === namespace;
      const name = `peers_${hashOf([podSelector, namespaceSelector ?? namespace])}`;
      return once(name, () => {
        const peers = pods.filter((pod) => isPeer(pod) && matchesSelector(podSelector, pod.labels));
        return setText(
          name,
          addressType,
          peers.map(({ address }) => address),
        );
      });
    },
    ofNamedPort(protocol, portName) {
      const name = `port_${protocol.toLowerCase()}_${portName}`;
      return once(name, () =>
        setText(
          name,
          `${addressType} . inet_service`,
          pods.flatMap(({ address, ports }) =>
            ports
              .filter((port) => port.name === portName && port.protocol === protocol)
              .map(({ port }) => `${address} . ${port}`),
          ),
        ),
      );
    },
    texts: () => sets.values(),
  };
}

function setText(name: string, type: string, members: readonly string[]): string {
  return blockText(`set ${name}`, [`type ${type}`, ...elements(members)]);
}

function elements(members: readonly string[]): string[] {
  return members.length === 0 ? [] : [`elements = { ${[...new Set(members)].join(', ')} }`];
}

function blockText(head: string, lines: readonly string[]): string {
  return `${head} {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`;
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
