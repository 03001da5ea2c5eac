// What an IP address is, in its one canonical spelling, and which addresses are on the public internet.
import { BlockList, isIP, isIPv6, SocketAddress } from 'node:net';

/** The canonical spelling (RFC 5952 for IPv6), or undefined when `text` is not an IP address. */
export function canonicalAddress(text: string): string | undefined {
  if (isIP(text) === 0 || text.includes('%')) return undefined;
  return isIPv6(text) ? new SocketAddress({ address: text, family: 'ipv6' }).address : text;
}

/** The canonical spelling of an address; what is none stays as it is. */
export function spelledAlike(text: string): string {
  return canonicalAddress(text) ?? text;
}

/** An address as URLs write it. */
export function urlHost(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

// IANA's special-purpose registries: everything there that is not globally reachable, and what embeds IPv4 addresses in IPv6.
const SPECIAL_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;
const SPECIAL_IPV6 = [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const;

// One list per family: a list checks an IPv4 address against IPv6 rules too, in its mapped spelling.
const specialIPv4 = new BlockList();
const specialIPv6 = new BlockList();
for (const [network, prefix] of SPECIAL_IPV4) specialIPv4.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of SPECIAL_IPV6) specialIPv6.addSubnet(network, prefix, 'ipv6');

/** Whether `address` is a globally reachable unicast address: not private, loopback, link-local, mapped or otherwise special. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !specialIPv4.check(address, 'ipv4');
    case 6:
      return !specialIPv6.check(address, 'ipv6');
    default:
      return false;
  }
}
