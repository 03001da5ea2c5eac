// The network of a test host: one namespace per node, joined by a bridge in a namespace of its own, and
// one link from the machine. Nothing leads from the nodes to the outside.
import { readdir, rmdir } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { exists } from './cache.ts';
import { run, tryRun } from './command.ts';
import type { Instance, NodePlan } from './instance.ts';

const NETNS_ROOT = '/run/netns';
const BRIDGE = 'fabric';
/** Addresses of the bridge of pods are good at once: nobody else has them. */
const IPV6_SETTINGS = { 'net.ipv6.conf.all.forwarding': '1', 'net.ipv6.conf.default.accept_dad': '0' };

export function netnsPath(name: string): string {
  return join(NETNS_ROOT, name);
}

/** Makes the namespaces, links, addresses and routes. Fails when the address range is in use. */
export async function createNetwork(instance: Instance): Promise<void> {
  if (await exists(`/sys/class/net/${instance.uplink}`)) {
    throw new Error(`link ${instance.uplink} belongs to another test host: choose another name`);
  }
  await run('ip', ['netns', 'add', instance.fabricNetns]);
  for (const node of instance.nodes) await run('ip', ['netns', 'add', node.netns]);
  await ip(fabricLinks(instance), instance.fabricNetns);
  for (const node of instance.nodes) {
    await ip(nodeLinks(instance, node), node.netns);
    await sysctl(node.netns, {
      'net.ipv4.ip_forward': '1',
      'net.bridge.bridge-nf-call-iptables': '1',
      'net.bridge.bridge-nf-call-ip6tables': '1',
      ...(instance.families.includes('IPv6') && IPV6_SETTINGS),
      'net.ipv4.conf.all.rp_filter': '0',
      'net.ipv4.conf.default.rp_filter': '0',
    });
  }
  await ip(machineLinks(instance));
}

/** Namespaces of the instance, also of a run that was interrupted or had more nodes. */
export async function listNetns(instance: Instance): Promise<string[]> {
  const names = await readdir(NETNS_ROOT).catch(() => []);
  return names.filter(
    (name) => name === instance.fabricNetns || new RegExp(`^${instance.name}-node-\\d+$`).test(name),
  );
}

/** Removes the namespaces, and with them all links and rules; the machine's end of the uplink goes too. */
export async function removeNetwork(instance: Instance): Promise<void> {
  const ownsUplink = await exists(netnsPath(instance.fabricNetns));
  for (const name of await listNetns(instance)) await run('ip', ['netns', 'delete', name]);
  if (ownsUplink) await tryRun('ip', ['link', 'delete', instance.uplink]);
  await removeNetnsRoot();
}

/** The first named namespace of a machine makes this folder a mount point; the last of ours undoes that. */
async function removeNetnsRoot(): Promise<void> {
  const names = await readdir(NETNS_ROOT).catch(() => undefined);
  if (names?.length !== 0) return;
  await tryRun('umount', [NETNS_ROOT]);
  await rmdir(NETNS_ROOT);
}

function fabricLinks(instance: Instance): string[] {
  return [
    'link set lo up',
    `link add ${BRIDGE} type bridge`,
    `link set ${BRIDGE} up`,
    ...instance.nodes.flatMap((node) => [
      `link add ${node.fabricLink} type veth peer name eth0 netns ${node.netns}`,
      `link set ${node.fabricLink} master ${BRIDGE} up`,
    ]),
  ];
}

function nodeLinks(instance: Instance, node: NodePlan): string[] {
  return [
    'link set lo up',
    ...addAddresses(node.addresses, instance, 'eth0'),
    'link set eth0 up',
    // A packet of the node itself to a Service needs some route before kube-proxy's rules rewrite it.
    ...instance.serviceRanges.map((range) => `route add ${range} dev eth0`),
    ...instance.nodes
      .filter((other) => other.name !== node.name)
      .flatMap((other) => routes(other.podRanges, other)),
  ];
}

function machineLinks(instance: Instance): string[] {
  const [first] = instance.nodes;
  return [
    `link add ${instance.uplink} type veth peer name uplink netns ${instance.fabricNetns}`,
    `-netns ${instance.fabricNetns} link set uplink master ${BRIDGE} up`,
    ...addAddresses(instance.machineAddresses, instance, instance.uplink),
    `link set ${instance.uplink} up`,
    ...(first ? routes(instance.serviceRanges, first) : []),
    ...instance.nodes.flatMap((node) => routes(node.podRanges, node)),
  ];
}

/** One address of each family. */
function addAddresses(addresses: readonly string[], { prefixLengths }: Instance, link: string): string[] {
  return addresses.map((address, index) => {
    const detection = isIPv6(address) ? ' nodad' : '';
    return `address add ${address}/${prefixLengths[index]} dev ${link}${detection}`;
  });
}

/** To ranges, one of each family, by way of a node. */
function routes(ranges: readonly string[], { addresses }: NodePlan): string[] {
  return ranges.map((range, index) => `route add ${range} via ${addresses[index]}`);
}

async function ip(commands: readonly string[], netns?: string): Promise<void> {
  for (const command of commands) {
    await run('ip', [...(netns ? ['-netns', netns] : []), ...command.split(' ')]);
  }
}

async function sysctl(netns: string, values: Readonly<Record<string, string>>): Promise<void> {
  const settings = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  await run('ip', ['netns', 'exec', netns, 'sysctl', '-q', '-w', ...settings]);
}
