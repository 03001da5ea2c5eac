// What the API server names in a CONNECT request: one spelling per target, everything else is no target at all.
import { canonicalAddress } from '../../lib/ip-address.ts';

export interface Authority {
  /** A canonical address without brackets, or a lower-case host name. */
  host: string;
  isAddress: boolean;
  port: number;
}

const FORM = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+)):([1-9][0-9]{0,4})$/;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** A last label of digits, or of hexadecimal digits after 0x, makes resolvers read the whole name as an IPv4 address. */
const LOOKS_LIKE_IPV4 = /(^|\.)(\d+|0x[0-9a-f]*)$/;
const MAX_PORT = 65_535;

/**
 * `address:port`, `[address]:port` or `name:port`, as Go's net.JoinHostPort writes it.
 * @returns undefined for anything that is not in canonical spelling.
 */
export function parseAuthority(text: string): Authority | undefined {
  const [, ipv6, other, digits] = FORM.exec(text) ?? [];
  const host = ipv6 ?? other;
  const port = Number(digits);
  if (!host || port > MAX_PORT) return undefined;
  const address = canonicalAddress(host);
  if (address !== undefined) {
    const isBracketed = ipv6 !== undefined;
    return address === host && isBracketed === host.includes(':')
      ? { host, isAddress: true, port }
      : undefined;
  }
  if (ipv6 !== undefined || !HOST_NAME.test(host) || LOOKS_LIKE_IPV4.test(host)) return undefined;
  return { host, isAddress: false, port };
}

export function formatAuthority({ host, port }: Authority): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
