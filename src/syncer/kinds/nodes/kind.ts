// Nodes, shown inside while pods of this virtual cluster run on them, or always, as the operator chose: what scheduling and users need to know, by allow-list.
import type { ObjectKey } from '../../../kube/resource.ts';
import { NODES, PODS } from '../../../kube/resource.ts';
import { defined, dictionary, fields, scalar } from '../../allow-list.ts';
import type { UpwardKind } from '../../engine/upward.ts';
import { sameOnWire } from '../../equality.ts';
import type { NodeSelection } from '../../kind.ts';
import type { Node, NodeStatus, Pod } from '../../objects.ts';
import { matchesSelector } from '../../selectors.ts';
import { createNodeStore, INDEX, type SyncerStores } from '../../stores.ts';
import { isShownNodeLabel } from './labels.ts';
import { mergeTaints, ofTenant, recordOfHost } from './of-tenant.ts';

const CONDITIONS = new Set(['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure', 'NetworkUnavailable']);
const ADDRESSES = new Set(['InternalIP', 'Hostname']);
/** Where the API server dials a kubelet; the egress gate ends that at the syncer's own. */
const KUBELET_PORT = 10_250;
const LINGER_MS = 5 * 60_000;

type NodeInfo = NonNullable<NodeStatus['nodeInfo']>;
type Condition = NonNullable<NodeStatus['conditions']>[number];

const UNKNOWN_NODE: NodeInfo = {
  architecture: '',
  bootID: '',
  containerRuntimeVersion: '',
  kernelVersion: '',
  kubeProxyVersion: '',
  kubeletVersion: '',
  machineID: '',
  operatingSystem: 'linux',
  osImage: '',
  systemUUID: '',
};
const nodeInfo = fields<NodeInfo>({
  architecture: scalar,
  containerRuntimeVersion: scalar,
  kernelVersion: scalar,
  kubeProxyVersion: scalar,
  kubeletVersion: scalar,
  operatingSystem: scalar,
  osImage: scalar,
});
const condition = fields<Condition>({
  type: scalar,
  status: scalar,
  reason: scalar,
  message: scalar,
  lastHeartbeatTime: scalar,
  lastTransitionTime: scalar,
});
const address = fields<NonNullable<NodeStatus['addresses']>[number]>({ type: scalar, address: scalar });
const taint = fields<NonNullable<NonNullable<Node['spec']>['taints']>[number]>({
  key: scalar,
  value: scalar,
  effect: scalar,
  timeAdded: scalar,
});

export const nodes: UpwardKind<Node> = {
  type: NODES,
  createStore: createNodeStore,
  lingerMs: LINGER_MS,
  observes: [
    { side: 'host', type: NODES, keys: ({ metadata }) => [metadata.name ?? ''] },
    // The API server taints every new Node, and a tenant may change or delete what he sees.
    { side: 'virtual', type: NODES, keys: ({ metadata }) => [metadata.name ?? ''] },
    { side: 'host', type: PODS, keys: (pod) => [(pod as Pod).spec?.nodeName ?? []].flat() },
  ],
  source(name, { stores: { host }, context }) {
    const node = host.nodes.get(name);
    if (node && isSelected(node, context.sync.nodes)) return node;
    const [pod] = host.pods.byIndex(INDEX.byNode, name);
    return pod && (node ?? derivedFrom(name, host));
  },
  toVirtual,
  isSame: (one, other) => sameOnWire(withoutHeartbeats(one), withoutHeartbeats(other)),
};

/** Pods may run on other nodes too; those are shown for as long as they do. */
function isSelected({ metadata }: Node, selection: NodeSelection): boolean {
  switch (selection.mode) {
    case 'used':
      return false;
    case 'all':
      return true;
    case 'selector':
      return matchesSelector({ matchLabels: { ...selection.selector } }, metadata.labels ?? {});
  }
}

function toVirtual({ metadata, spec, status }: Node, virtual: Node | undefined): Node {
  const labels = Object.fromEntries(
    Object.entries(metadata.labels ?? {}).filter(([key]) => isShownNodeLabel(key)),
  );
  const taints = spec?.taints?.map((item) => taint(item));
  const unschedulable = spec?.unschedulable;
  const own = ofTenant(virtual);
  return {
    ...virtual,
    metadata: {
      ...virtual?.metadata,
      name: metadata.name,
      labels: { ...own.labels, ...labels },
      annotations: {
        ...virtual?.metadata.annotations,
        ...recordOfHost({ labels, taints, unschedulable }),
      },
    },
    spec: defined({
      ...virtual?.spec,
      taints: mergeTaints(taints, own.taints),
      unschedulable: unschedulable ?? own.unschedulable,
    }),
    status: defined<NodeStatus>({
      addresses: (status?.addresses ?? [])
        .filter(({ type }) => ADDRESSES.has(type))
        .map((item) => address(item)),
      capacity: status?.capacity && dictionary(status.capacity),
      allocatable: status?.allocatable && dictionary(status.allocatable),
      conditions: (status?.conditions ?? [])
        .filter(({ type }) => CONDITIONS.has(type))
        .map((item) => condition(item)),
      daemonEndpoints: { kubeletEndpoint: { Port: KUBELET_PORT } },
      // The API requires the last three; they tell machines apart, which is nobody's business inside.
      nodeInfo: { ...nodeInfo(status?.nodeInfo ?? UNKNOWN_NODE), machineID: '', systemUUID: '', bootID: '' },
    }),
  };
}

/** A heartbeat alone, every few minutes, is no news: leases carry those. */
function withoutHeartbeats(node: Node): Node {
  const conditions = node.status?.conditions?.map(({ lastHeartbeatTime: _, ...item }) => item);
  return { ...node, status: { ...node.status, conditions } };
}

/** What pods tell of their node where the host's nodes may not be read: its name, its address, and that it runs pods. */
function derivedFrom(name: ObjectKey, { pods }: SyncerStores['host']): Node {
  const onNode = pods.byIndex(INDEX.byNode, name);
  const hostIps = onNode.flatMap(({ status }) => status?.hostIPs?.map(({ ip }) => ip) ?? []);
  const internal = [...new Set(hostIps)].map((ip) => ({ type: 'InternalIP', address: ip }));
  return {
    metadata: {
      name,
      labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' },
    },
    spec: {},
    status: {
      addresses: [...internal, { type: 'Hostname', address: name }],
      conditions: [{ type: 'Ready', status: 'True', reason: 'PodsRun', message: 'the node runs pods' }],
    },
  };
}
