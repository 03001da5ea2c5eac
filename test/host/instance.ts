// Names, addresses and folders of one test host, all derived from its name: whatever an interrupted
// run left behind can be found again without having been written down.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const DEFAULT_INSTANCE = 'mayfly';
/** The nodes of all instances, and the machine as they know it, in each family. */
export const NODE_RANGES = ['172.30.0.0/16', 'fd00:172::/32'];
/** Holds a folder for each instance that is up. */
export const STATE_ROOT = '/run/mayfly-host';
const SLOTS = 16;

export type Family = 'IPv4' | 'IPv6';

/** Of a dual-stack host, whose first family is named, or of one that has IPv4 only. */
export function familiesOf(firstOfBoth: Family | undefined): Family[] {
  if (!firstOfBoth) return ['IPv4'];
  return firstOfBoth === 'IPv4' ? ['IPv4', 'IPv6'] : ['IPv6', 'IPv4'];
}

export interface NodePlan {
  /** Kubernetes node name and host name. */
  readonly name: string;
  readonly role: 'control-plane' | 'worker';
  /** The first of its addresses, one of each family. */
  readonly address: string;
  readonly addresses: readonly string[];
  /** The first of its pod ranges, one of each family. */
  readonly podRange: string;
  readonly podRanges: readonly string[];
  /** Network namespace under /run/netns. */
  readonly netns: string;
  /** Link of this node in the fabric's namespace. */
  readonly fabricLink: string;
  /** Folder of everything the node writes; mounted into its mount namespace. */
  readonly dir: string;
  /** cgroup path below which kubelet puts pods. */
  readonly cgroup: string;
}

export interface Instance {
  readonly name: string;
  /** Of nodes, pods and Services; those of the first are what everything uses that wants one. */
  readonly families: readonly Family[];
  /** Small files that live as long as the instance: kubeconfig and state. */
  readonly stateDir: string;
  readonly stateFile: string;
  readonly kubeconfig: string;
  /** Disks of the nodes, beside the cache so that image layers can be hard links. */
  readonly diskDir: string;
  /** Where nodes announce to each other which pod has which address. */
  readonly announcementsDir: string;
  readonly fabricNetns: string;
  /** Link in the machine's own namespace that leads to the nodes. */
  readonly uplink: string;
  /** Addresses of the machine itself on the nodes' network. */
  readonly machineAddresses: readonly string[];
  /** Of the nodes' network in each family. */
  readonly prefixLengths: readonly number[];
  readonly podRange: string;
  readonly podRanges: readonly string[];
  readonly serviceRange: string;
  readonly serviceRanges: readonly string[];
  readonly kubernetesServiceIp: string;
  readonly dnsServiceIp: string;
  readonly cgroup: string;
  readonly nodes: readonly NodePlan[];
}

/** The folder of everything that outlives an instance: binaries, images, layers. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return env.MAYFLY_CACHE ?? join(env.HOME ?? homedir(), '.cache', 'mayfly');
}

/** Kubeconfig of an instance; it exists while the instance is up. */
export function kubeconfigOf(name: string): string {
  return join(STATE_ROOT, name, 'kubeconfig');
}

/** The default instance has ranges of its own; the others share what is left, by a hash of their name. */
function slotOf(name: string): number {
  if (name === DEFAULT_INSTANCE) return 0;
  return 1 + (createHash('sha256').update(name).digest().readUInt32BE(0) % (SLOTS - 1));
}

/** What of an instance depends on a family. */
interface Addressing {
  readonly prefixLength: number;
  readonly podRange: string;
  readonly serviceRange: string;
  /** @param index from 0. */
  nodeAddress(index: number): string;
  nodePodRange(index: number): string;
  readonly machineAddress: string;
  readonly kubernetesServiceIp: string;
  readonly dnsServiceIp: string;
}

/**
 * Each slot has 172.30.<slot>.0/24 for nodes, 10.<96 + slot>.0.0/16 for Services and 10.<112 + slot>.0.0/16 for pods, of which
 * node i holds the i-th /24. In IPv6 the same numbers stand in unique local addresses.
 */
const ADDRESSING: Readonly<Record<Family, (slot: number) => Addressing>> = {
  IPv4: (slot) => ({
    prefixLength: 24,
    podRange: `10.${112 + slot}.0.0/16`,
    serviceRange: `10.${96 + slot}.0.0/16`,
    nodeAddress: (index) => `172.30.${slot}.${11 + index}`,
    nodePodRange: (index) => `10.${112 + slot}.${1 + index}.0/24`,
    machineAddress: `172.30.${slot}.1`,
    kubernetesServiceIp: `10.${96 + slot}.0.1`,
    dnsServiceIp: `10.${96 + slot}.0.10`,
  }),
  IPv6: (slot) => ({
    prefixLength: 64,
    podRange: `fd00:10:${112 + slot}::/48`,
    // kube-apiserver takes no larger one.
    serviceRange: `fd00:10:${96 + slot}::/108`,
    nodeAddress: (index) => `fd00:172:${3000 + slot}::${11 + index}`,
    nodePodRange: (index) => `fd00:10:${112 + slot}:${1 + index}::/64`,
    machineAddress: `fd00:172:${3000 + slot}::1`,
    kubernetesServiceIp: `fd00:10:${96 + slot}::1`,
    dnsServiceIp: `fd00:10:${96 + slot}::10`,
  }),
};

export interface PlanOptions {
  /** The first one first. */
  readonly families?: readonly Family[];
  readonly cache?: string;
}

/** Plans an instance, by default one of IPv4. */
export function planInstance(
  name: string,
  nodeCount: number,
  { families = ['IPv4'], cache = cacheDir() }: PlanOptions = {},
): Instance {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) throw new Error(`not a name for a test host: ${name}`);
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > 8) {
    throw new Error(`not a number of nodes (1 to 8): ${nodeCount}`);
  }
  const slot = slotOf(name);
  const addressing = families.map((family) => ADDRESSING[family](slot));
  const [first] = addressing;
  if (!first) throw new Error('a test host needs a family of addresses');
  const stateDir = join(STATE_ROOT, name);
  const diskDir = join(cache, 'instances', name);
  const cgroup = `/mayfly-host/${name}`;
  const nodes = Array.from({ length: nodeCount }, (_, index): NodePlan => {
    const nodeName = `${name}-node-${index + 1}`;
    return {
      name: nodeName,
      role: index === 0 ? 'control-plane' : 'worker',
      address: first.nodeAddress(index),
      addresses: addressing.map(({ nodeAddress }) => nodeAddress(index)),
      podRange: first.nodePodRange(index),
      podRanges: addressing.map(({ nodePodRange }) => nodePodRange(index)),
      netns: nodeName,
      fabricLink: `node${index + 1}`,
      dir: join(diskDir, nodeName),
      cgroup: `${cgroup}/${nodeName}`,
    };
  });
  return {
    name,
    families,
    stateDir,
    stateFile: join(stateDir, 'state.json'),
    kubeconfig: kubeconfigOf(name),
    diskDir,
    announcementsDir: join(diskDir, 'announcements'),
    fabricNetns: `${name}-fabric`,
    uplink: `mayfly${slot}`,
    machineAddresses: addressing.map(({ machineAddress }) => machineAddress),
    prefixLengths: addressing.map(({ prefixLength }) => prefixLength),
    podRange: first.podRange,
    podRanges: addressing.map(({ podRange }) => podRange),
    serviceRange: first.serviceRange,
    serviceRanges: addressing.map(({ serviceRange }) => serviceRange),
    kubernetesServiceIp: first.kubernetesServiceIp,
    dnsServiceIp: first.dnsServiceIp,
    cgroup,
    nodes,
  };
}
