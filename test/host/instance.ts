// Names, addresses and folders of one test host, all derived from its name: whatever an interrupted
// run left behind can be found again without having been written down.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const DEFAULT_INSTANCE = 'mayfly';
/** The nodes of all instances, and the machine as they know it. */
export const NODE_RANGE = '172.30.0.0/16';
/** Holds a folder for each instance that is up. */
export const STATE_ROOT = '/run/mayfly-host';
const SLOTS = 16;

export interface NodePlan {
  /** Kubernetes node name and host name. */
  readonly name: string;
  readonly role: 'control-plane' | 'worker';
  readonly address: string;
  readonly podRange: string;
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
  /** Address of the machine itself on the nodes' network. */
  readonly machineAddress: string;
  readonly prefixLength: number;
  readonly podRange: string;
  readonly serviceRange: string;
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

/**
 * Plans an instance. Each slot has 172.30.<slot>.0/24 for nodes, 10.<96 + slot>.0.0/16 for Services and
 * 10.<112 + slot>.0.0/16 for pods, of which node i holds the i-th /24.
 */
export function planInstance(name: string, nodeCount: number, cache = cacheDir()): Instance {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) throw new Error(`not a name for a test host: ${name}`);
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > 8) {
    throw new Error(`not a number of nodes (1 to 8): ${nodeCount}`);
  }
  const slot = slotOf(name);
  const stateDir = join(STATE_ROOT, name);
  const diskDir = join(cache, 'instances', name);
  const cgroup = `/mayfly-host/${name}`;
  const nodes = Array.from({ length: nodeCount }, (_, index): NodePlan => {
    const nodeName = `${name}-node-${index + 1}`;
    return {
      name: nodeName,
      role: index === 0 ? 'control-plane' : 'worker',
      address: `172.30.${slot}.${11 + index}`,
      podRange: `10.${112 + slot}.${1 + index}.0/24`,
      netns: nodeName,
      fabricLink: `node${index + 1}`,
      dir: join(diskDir, nodeName),
      cgroup: `${cgroup}/${nodeName}`,
    };
  });
  return {
    name,
    stateDir,
    stateFile: join(stateDir, 'state.json'),
    kubeconfig: kubeconfigOf(name),
    diskDir,
    announcementsDir: join(diskDir, 'announcements'),
    fabricNetns: `${name}-fabric`,
    uplink: `mayfly${slot}`,
    machineAddress: `172.30.${slot}.1`,
    prefixLength: 24,
    podRange: `10.${112 + slot}.0.0/16`,
    serviceRange: `10.${96 + slot}.0.0/16`,
    kubernetesServiceIp: `10.${96 + slot}.0.1`,
    dnsServiceIp: `10.${96 + slot}.0.10`,
    cgroup,
    nodes,
  };
}
