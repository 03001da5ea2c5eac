// Rules of a tenant's policy as rules on the host. Policies add up there: what one allows no other takes back, the operator's
// included. So no rule may allow more than this cluster's own pods, its control plane's open ports, and, outwards, what the
// operator does not deny. docs/spec/syncer.md says why.
import { defined, fields, scalar } from '../../allow-list.ts';
import type { Notice, TranslationContext } from '../../kind.ts';
import type {
  EgressRule,
  IngressRule,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from '../../objects.ts';
import { hostSelector, matchesEverything, matchesSelector } from '../../selectors.ts';
import { addressesIn, blockOf, everythingBut, type IpBlock, isEverything, withoutRanges } from './blocks.ts';
import { type ControlPort, controlPlanePods, DNS_PODS, portsOfApi, portsOfDns } from './control-plane.ts';

const copyPort = fields<NetworkPolicyPort>({ protocol: scalar, port: scalar, endPort: scalar });

export function hostIngress(
  { from = [], ports = [] }: IngressRule,
  namespace: string,
  context: TranslationContext,
): IngressRule[] {
  const { isolated } = context.network;
  if (from.length === 0 && !isolated) return [defined({ ports: copyPorts(ports) })];
  const peers =
    from.length === 0
      ? [ownPods(context)]
      : [
          ...podPeers(from, namespace, context),
          ...(isolated ? ownPeers(blocksOf(from), context) : outside(blocksOf(from), context)),
        ];
  return peers.length > 0 ? [defined({ from: peers, ports: copyPorts(ports) })] : [];
}

export function hostEgress(
  { to = [], ports = [] }: EgressRule,
  namespace: string,
  context: TranslationContext,
): EgressRule[] {
  const { isolated, deniedCidrs } = context.network;
  if (to.length === 0 && !isolated) return [defined({ ports: copyPorts(ports) })];
  const peers =
    to.length === 0
      ? [ownPods(context), ...everythingBut(deniedCidrs).map((ipBlock) => ({ ipBlock }))]
      : [
          ...podPeers(to, namespace, context),
          ...(isolated ? ownPeers(blocksOf(to), context) : []),
          ...outside(blocksOf(to), context),
        ];
  const control = controlPorts(to, namespace, context).filter((port) => isAllowed(port, ports));
  return [
    ...(peers.length > 0 ? [defined({ to: peers, ports: copyPorts(ports) })] : []),
    ...(control.length > 0
      ? [
          {
            to: [{ podSelector: controlPlanePods(context.cluster) }],
            ports: control.map(({ protocol, port }) => ({ protocol, port })),
          },
        ]
      : []),
  ];
}

/** What no rule on the host can say, and the tenant should know. */
export function ruleNotices({ spec }: NetworkPolicy, { network }: TranslationContext): Notice[] {
  if (!network.isolated) return [];
  const ofEgress = (spec?.egress ?? []).flatMap(({ to = [] }, rule) =>
    to.flatMap(({ ipBlock }, peer) =>
      ipBlock && !withoutRanges(ipBlock, network.deniedCidrs)
        ? [
            notice(
              `spec.egress[${rule}].to[${peer}]`,
              `${ipBlock.cidr} is out of reach but for this cluster’s own pods`,
            ),
          ]
        : [],
    ),
  );
  const ofIngress = (spec?.ingress ?? []).flatMap(({ from = [] }, rule) =>
    from.flatMap(({ ipBlock }, peer) =>
      ipBlock
        ? [
            notice(
              `spec.ingress[${rule}].from[${peer}]`,
              `who reaches pods from outside of the cluster is the operator’s to say`,
            ),
          ]
        : [],
    ),
  );
  return [...ofEgress, ...ofIngress];
}

function notice(path: string, why: string): Notice {
  return { reason: 'BlockNarrowed', message: `${path}.ipBlock: ${why}` };
}

function copyPorts(ports: readonly NetworkPolicyPort[]): NetworkPolicyPort[] | undefined {
  return ports.length > 0 ? ports.map((port) => copyPort(port)) : undefined;
}

function ownPods({ cluster }: TranslationContext): NetworkPolicyPeer {
  return { podSelector: hostSelector({}, cluster, undefined) };
}

function blocksOf(peers: readonly NetworkPolicyPeer[]): IpBlock[] {
  return peers.flatMap(({ ipBlock }) => ipBlock ?? []);
}

/** No peer where no namespace matches: a selector of none would be one of all. */
function podPeers(
  peers: readonly NetworkPolicyPeer[],
  namespace: string,
  context: TranslationContext,
): NetworkPolicyPeer[] {
  return peers.flatMap(({ ipBlock, podSelector, namespaceSelector }) => {
    const places = namespacesOf(namespaceSelector, namespace, context);
    if (ipBlock || places?.length === 0) return [];
    return [{ podSelector: hostSelector(podSelector ?? {}, context.cluster, places) }];
  });
}

/** Undefined: all of them. */
function namespacesOf(
  selector: NetworkPolicyPeer['namespaceSelector'],
  own: string,
  { namespacesWith }: TranslationContext,
): readonly string[] | undefined {
  if (!selector) return [own];
  if (matchesEverything(selector)) return undefined;
  return [...namespacesWith((labels) => matchesSelector(selector, labels))].sort();
}

/** This cluster's pods in blocks, which may lie in a range that is denied otherwise; each once. */
function ownPeers(blocks: readonly IpBlock[], context: TranslationContext): NetworkPolicyPeer[] {
  if (blocks.some(isEverything)) return [ownPods(context)];
  if (blocks.length === 0) return [];
  const all = context.workloadAddresses();
  const addresses = new Set(blocks.flatMap((block) => addressesIn(block, all)));
  return [...addresses].sort().map((address) => ({ ipBlock: blockOf(address) }));
}

function outside(blocks: readonly IpBlock[], { network }: TranslationContext): NetworkPolicyPeer[] {
  const denied = network.isolated ? network.deniedCidrs : [];
  return blocks.flatMap((block) => {
    const ipBlock = withoutRanges(block, denied);
    return ipBlock ? [{ ipBlock }] : [];
  });
}

/** The ports of the control plane that are behind the peers: DNS for its pods inside, DNS and API for their addresses. */
function controlPorts(
  to: readonly NetworkPolicyPeer[],
  namespace: string,
  context: TranslationContext,
): ControlPort[] {
  const { network, api, dns } = context;
  const addresses = [...network.controlPlaneAddresses, api.clusterIp, dns.clusterIp];
  const reachesPod = to.some(({ ipBlock }) => ipBlock && addressesIn(ipBlock, addresses).length > 0);
  if (to.length === 0 || reachesPod) return [...portsOfDns, ...portsOfApi];
  return to.some((peer) => selectsDns(peer, namespace, context)) ? [...portsOfDns] : [];
}

function selectsDns(
  { podSelector = {}, namespaceSelector, ipBlock }: NetworkPolicyPeer,
  own: string,
  context: TranslationContext,
): boolean {
  if (ipBlock || !matchesSelector(podSelector, DNS_PODS.labels)) return false;
  return namespacesOf(namespaceSelector, own, context)?.includes(DNS_PODS.namespace) ?? true;
}

function isAllowed({ protocol, port, name }: ControlPort, ports: readonly NetworkPolicyPort[]): boolean {
  return (
    ports.length === 0 ||
    ports.some(
      (allowed) =>
        (allowed.protocol ?? 'TCP') === protocol &&
        (allowed.port === undefined ||
          allowed.port === name ||
          allowed.port === port ||
          (typeof allowed.port === 'number' &&
            allowed.port <= port &&
            port <= (allowed.endPort ?? allowed.port))),
    )
  );
}
