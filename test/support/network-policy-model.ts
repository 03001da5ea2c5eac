// What NetworkPolicies let through, by the words of their API reference and nothing of ours: for tests of what policies of
// several authors come to together.
import { BlockList } from 'node:net';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '../../src/syncer/objects.ts';
import { matchesSelector } from '../../src/syncer/selectors.ts';

/** One end of a connection. */
export interface End {
  name: string;
  /** More than one where a Service stands before it. IPv4. */
  addresses: readonly string[];
  /** Absent for what is no pod. */
  pod?: { namespace: string; labels: Readonly<Record<string, string>> };
}

export interface Target {
  protocol: string;
  port: number;
  name?: string;
}

export interface World {
  policies: readonly NetworkPolicy[];
  namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export function isConnected(world: World, from: End, to: End, target: Target): boolean {
  return isLetOut(world, from, to, target) && isLetIn(world, from, to, target);
}

export function isLetOut(world: World, from: End, to: End, target: Target): boolean {
  const policies = selecting(world, from, 'Egress');
  return (
    policies.length === 0 ||
    policies.some(({ metadata, spec }) =>
      (spec?.egress ?? []).some(
        (rule) => hasPort(rule.ports, target) && hasPeer(rule.to, to, metadata.namespace, world),
      ),
    )
  );
}

function isLetIn(world: World, from: End, to: End, target: Target): boolean {
  const policies = selecting(world, to, 'Ingress');
  return (
    policies.length === 0 ||
    policies.some(({ metadata, spec }) =>
      (spec?.ingress ?? []).some(
        (rule) => hasPort(rule.ports, target) && hasPeer(rule.from, from, metadata.namespace, world),
      ),
    )
  );
}

function selecting({ policies }: World, { pod }: End, type: string): NetworkPolicy[] {
  return policies.filter(
    ({ metadata, spec }) =>
      spec?.policyTypes?.includes(type) &&
      pod?.namespace === metadata.namespace &&
      matchesSelector(spec.podSelector ?? {}, pod?.labels ?? {}),
  );
}

function hasPeer(
  peers: readonly NetworkPolicyPeer[] = [],
  { addresses, pod }: End,
  own: string | undefined,
  { namespaces }: World,
): boolean {
  if (peers.length === 0) return true;
  return peers.some(({ ipBlock, podSelector = {}, namespaceSelector }) => {
    if (ipBlock) {
      const inside = blockList([ipBlock.cidr]);
      const outside = blockList(ipBlock.except ?? []);
      return addresses.some((address) => inside.check(address) && !outside.check(address));
    }
    if (!pod || !matchesSelector(podSelector, pod.labels)) return false;
    return namespaceSelector
      ? matchesSelector(namespaceSelector, namespaces[pod.namespace] ?? {})
      : pod.namespace === own;
  });
}

function hasPort(ports: readonly NetworkPolicyPort[] = [], target: Target): boolean {
  if (ports.length === 0) return true;
  return ports.some(({ protocol = 'TCP', port, endPort }) => {
    if (protocol !== target.protocol) return false;
    if (typeof port !== 'number') return port === undefined || port === target.name;
    return port <= target.port && target.port <= (endPort ?? port);
  });
}

function blockList(cidrs: readonly string[]): BlockList {
  const blocks = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', prefix] = cidr.split('/');
    if (!address.includes(':')) blocks.addSubnet(address, Number(prefix), 'ipv4');
  }
  return blocks;
}
