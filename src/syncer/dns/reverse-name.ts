// Reverse names (in-addr.arpa, ip6.arpa) to addresses and networks.
import { canonicalAddress } from '../../lib/ip-address.ts';

const IPV4_SUFFIX = '.in-addr.arpa';
const IPV6_SUFFIX = '.ip6.arpa';
const IPV6_NIBBLES = 32;

/** The canonical address a lower-case reverse name asks for; undefined for any other name, partial reverse names included. */
export function addressOfReverseName(name: string): string | undefined {
  if (name.endsWith(IPV4_SUFFIX)) {
    return canonicalAddress(name.slice(0, -IPV4_SUFFIX.length).split('.').reverse().join('.'));
  }
  if (name.endsWith(IPV6_SUFFIX)) {
    const nibbles = name.slice(0, -IPV6_SUFFIX.length).split('.').reverse();
    if (nibbles.length !== IPV6_NIBBLES || !nibbles.every((nibble) => nibble.length === 1)) return undefined;
    return canonicalAddress(nibbles.join('').replace(/(.{4})(?=.)/g, '$1:'));
  }
  return undefined;
}

/** The first address of the network that a lower-case reverse name stands for, whole ones included; undefined for other names. */
export function networkOfReverseName(name: string): string | undefined {
  if (name.endsWith(IPV4_SUFFIX)) {
    const octets = name.slice(0, -IPV4_SUFFIX.length).split('.').reverse();
    return octets.length > 4 ? undefined : canonicalAddress([...octets, '0', '0', '0'].slice(0, 4).join('.'));
  }
  if (name.endsWith(IPV6_SUFFIX)) {
    const nibbles = name.slice(0, -IPV6_SUFFIX.length).split('.').reverse();
    if (nibbles.length > IPV6_NIBBLES || !nibbles.every((nibble) => nibble.length === 1)) return undefined;
    return canonicalAddress(
      nibbles
        .join('')
        .padEnd(IPV6_NIBBLES, '0')
        .replace(/(.{4})(?=.)/g, '$1:'),
    );
  }
  return undefined;
}
