// Arithmetic over address blocks. Two blocks either hold one another or have nothing in common, so taking a denied range out of
// a block is an exception of it, or leaves nothing.
import { isIP, SocketAddress } from 'node:net';
import { RefusedError } from '../../kind.ts';

export interface IpBlock {
  cidr: string;
  except?: string[];
}

interface Block {
  bits: 32 | 128;
  /** The first address; the bits behind the prefix are zero. */
  network: bigint;
  prefix: number;
}

const MAPPED_PREFIX = 96;
const MAPPED_NETWORK = 0xffffn;

/** Every address but the denied ranges, each family that has any left. */
export function everythingBut(denied: readonly string[]): IpBlock[] {
  return ['0.0.0.0/0', '::/0'].flatMap((cidr) => withoutRanges({ cidr }, denied) ?? []);
}

/**
 * The block without the denied ranges; undefined when they leave nothing of it.
 * @throws RefusedError when an address block cannot be read.
 */
export function withoutRanges(
  { cidr, except = [] }: IpBlock,
  denied: readonly string[],
): IpBlock | undefined {
  const block = parseBlock(cidr);
  const ranges = denied.map(parseBlock);
  const exceptions = except.map(parseBlock);
  if ([...ranges, ...exceptions].some((range) => holds(range, block))) return undefined;
  const taken = [...exceptions, ...ranges.filter((range) => holds(block, range))];
  const widest = taken.filter(
    (range, index) =>
      !taken.some((other, at) => at !== index && holds(other, range) && (at < index || !holds(range, other))),
  );
  return { cidr: formatBlock(block), ...(widest.length > 0 ? { except: widest.map(formatBlock) } : {}) };
}

/** Those of the addresses that the block means. */
export function addressesIn({ cidr, except = [] }: IpBlock, addresses: readonly string[]): string[] {
  const block = parseBlock(cidr);
  const exceptions = except.map(parseBlock);
  return addresses.filter((address) => {
    const one = parseAddress(address);
    return one && holds(block, one) && !exceptions.some((exception) => holds(exception, one));
  });
}

/** A block of one address. */
export function blockOf(address: string): IpBlock {
  return { cidr: `${address}/${isIP(address) === 6 ? 128 : 32}` };
}

/** Whether the block is a whole family of addresses. */
export function isEverything({ cidr, except = [] }: IpBlock): boolean {
  return parseBlock(cidr).prefix === 0 && except.length === 0;
}

function holds(outer: Block, inner: Block): boolean {
  const shift = BigInt(outer.bits - outer.prefix);
  return (
    outer.bits === inner.bits &&
    outer.prefix <= inner.prefix &&
    inner.network >> shift === outer.network >> shift
  );
}

function parseBlock(text: string): Block {
  const [address = '', length = ''] = text.split('/');
  const one = parseAddress(address);
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  const isMapped = one?.bits === 32 && address.includes(':');
  const bits = isMapped ? prefix - MAPPED_PREFIX : prefix;
  if (!one || !(bits >= 0 && bits <= one.bits)) {
    throw new RefusedError('InvalidBlock', `spec: ${text} is not a block of addresses`);
  }
  const shift = BigInt(one.bits - bits);
  return { bits: one.bits, network: (one.network >> shift) << shift, prefix: bits };
}

/** IPv4 in IPv6's mapped spelling is read as IPv4, as network plugins do; leading zeros are decimal, as Kubernetes does. */
function parseAddress(text: string): Block | undefined {
  const decimal = /^\d+(\.\d+){3}$/.test(text) ? text.split('.').map(Number).join('.') : text;
  if (isIP(decimal) === 4) return { bits: 32, network: ipv4(decimal), prefix: 32 };
  if (isIP(decimal) !== 6 || decimal.includes('%')) return undefined;
  const network = ipv6(decimal);
  return network >> 32n === MAPPED_NETWORK
    ? { bits: 32, network: network & 0xffff_ffffn, prefix: 32 }
    : { bits: 128, network, prefix: 128 };
}

function ipv4(text: string): bigint {
  return text.split('.').reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function ipv6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const first = groups(head);
  const last = groups(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return [...first, ...Array<bigint>(zeros).fill(0n), ...last].reduce(
    (value, group) => (value << 16n) | group,
    0n,
  );
}

function groups(text: string): bigint[] {
  if (!text) return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const value = ipv4(group);
    return [value >> 16n, value & 0xffffn];
  });
}

function formatBlock({ bits, network, prefix }: Block): string {
  return `${bits === 32 ? formatIpv4(network) : formatIpv6(network)}/${prefix}`;
}

function formatIpv4(network: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (network >> shift) & 0xffn).join('.');
}

function formatIpv6(network: bigint): string {
  const address = network
    .toString(16)
    .padStart(32, '0')
    .replace(/(.{4})(?=.)/g, '$1:');
  return new SocketAddress({ address, family: 'ipv6' }).address;
}
