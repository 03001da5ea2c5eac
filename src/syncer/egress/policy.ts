// Where the virtual API server may connect to. It dials on a tenant's word (Node, Endpoints, webhook URL, APIService), so
// only what the host says belongs to this cluster is reachable, and what the operator listed. Pure.
import { ADMISSION_HOST } from '../../certificates/plan.ts';
import type { ReadStore } from '../../kube/store.ts';
import { METRICS_HOST } from '../metrics/registration.ts';
import { ANNOTATION_UID } from '../names.ts';
import type { Node, Pod, Service } from '../objects.ts';
import { INDEX, servicesAt } from '../stores.ts';
import type { AllowList } from './allow-list.ts';
import { type Authority, formatAuthority, parseAuthority } from './authority.ts';

/** The egress selections of kube-apiserver: what it dials as part of the cluster, and what as part of its control plane. */
export type Selector = 'cluster' | 'controlplane';

export interface EgressStores {
  virtual: { nodes: Pick<ReadStore<Node>, 'byIndex'> };
  host: {
    /** Of this virtual cluster only. */
    pods: Pick<ReadStore<Pod>, 'byIndex'>;
    services: Pick<ReadStore<Service>, 'byIndex'>;
  };
}

export type Decision =
  /** The kubelet server, asked as the node with this InternalIP. */
  | { kind: 'kubelet'; nodeAddress: string }
  | { kind: 'admission' }
  | { kind: 'metrics' }
  /** A pod or Service of this cluster. */
  | { kind: 'own'; address: string; port: number }
  /** On the operator's list. A name is still to be resolved, and what it resolves to is to be checked. */
  | { kind: 'external'; target: Authority }
  | { kind: 'refused'; reason: string };

const ADMISSION_PORT = 443;
const METRICS_PORT = 443;
const KUBELET_PORT = 10_250;

export function decide(
  authority: string,
  selector: Selector,
  stores: EgressStores,
  allowList: AllowList,
): Decision {
  const target = parseAuthority(authority);
  if (!target)
    return { kind: 'refused', reason: 'the target is not an address and a port, nor a listed name' };
  const { host, port, isAddress } = target;
  if (selector === 'controlplane' && host === ADMISSION_HOST && port === ADMISSION_PORT) {
    return { kind: 'admission' };
  }
  if (selector === 'cluster' && host === METRICS_HOST && port === METRICS_PORT) return { kind: 'metrics' };
  if (isAddress) {
    if (selector === 'cluster' && port === KUBELET_PORT && isNode(host, stores)) {
      return { kind: 'kubelet', nodeAddress: host };
    }
    if (isOwnPod(host, stores) || isOwnService(host, port, stores))
      return { kind: 'own', address: host, port };
  }
  if (selector === 'controlplane' && allowList.allows(target)) return { kind: 'external', target };
  return {
    kind: 'refused',
    reason:
      `${formatAuthority(target)} is not a pod or a Service port of this virtual cluster` +
      (selector === 'controlplane' ? ', nor on the list of external webhook addresses' : ''),
  };
}

function isNode(address: string, { virtual }: EgressStores): boolean {
  return virtual.nodes.byIndex(INDEX.byInternalIp, address).length > 0;
}

/**
 * A pod that shares the node's network has the node's address, and one that ended may have lost its address to a pod of
 * somebody else: neither address is the cluster's own.
 */
function isOwnPod(address: string, { host }: EgressStores): boolean {
  return host.pods
    .byIndex(INDEX.byPodIp, address)
    .some(
      ({ metadata, spec, status }) =>
        metadata.annotations?.[ANNOTATION_UID] !== undefined &&
        spec?.hostNetwork !== true &&
        status?.phase !== 'Succeeded' &&
        status?.phase !== 'Failed',
    );
}

function isOwnService(address: string, port: number, { host }: EgressStores): boolean {
  return servicesAt(host.services, address).some(
    ({ metadata, spec }) =>
      metadata.annotations?.[ANNOTATION_UID] !== undefined &&
      spec?.ports?.some((exposed) => exposed.port === port && (exposed.protocol ?? 'TCP') === 'TCP') === true,
  );
}
