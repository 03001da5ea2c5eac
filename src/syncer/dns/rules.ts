// What an operator has answered besides the cluster's own names, and who is asked about the rest. Names are lower case.
import { BlockList, isIPv4 } from 'node:net';
import type { ObjectName } from '../../kube/resource.ts';
import { isPublicAddress } from '../../lib/ip-address.ts';
import type { Upstream } from './resolv-conf.ts';

export interface DnsRules {
  /** Addresses of names. */
  hosts: Readonly<Record<string, readonly string[]>>;
  /** Who is asked about a domain and all below it. */
  stubDomains: Readonly<Record<string, readonly Upstream[]>>;
  /** Services of the host under names of the cluster. */
  hostServices: readonly { name: string; service: Required<ObjectName> }[];
}

/** The value of the longest domain that `name` is, or is below. */
export function ofLongestDomain<T>(domains: ReadonlyMap<string, T>, name: string): T | undefined {
  for (let domain = name; ; domain = domain.slice(domain.indexOf('.') + 1)) {
    const found = domains.get(domain);
    if (found !== undefined || !domain.includes('.')) return found;
  }
}

/**
 * Whether only this cluster may say whose an address is. Nobody outside knows private addresses, but the host's own resolver
 * may: its names of them are those of other tenants.
 * @param denied ranges that no workload may reach.
 */
export function privateAddresses(denied: readonly string[]): (address: string) => boolean {
  // One list per family: a list checks an IPv4 address against IPv6 rules too, in its mapped spelling.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const range of denied) {
    const [network = '', prefix] = range.split('/');
    const family = isIPv4(network) ? 'ipv4' : 'ipv6';
    lists[family].addSubnet(network, Number(prefix), family);
  }
  return (address) => {
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    return !isPublicAddress(address) || lists[family].check(address, family);
  };
}
