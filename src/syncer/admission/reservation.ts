// Cluster IPs are the host's to give: which requests need one, the host Service that holds it until its virtual Service
// exists, and what the virtual Service is told. Pure.
import { createHash } from 'node:crypto';
import type { OwnerReference } from '../../kube/resource.ts';
import { defined } from '../allow-list.ts';
import { clusterIpsOf, samePort } from '../kinds/services/kind.ts';
import { ANNOTATION_RESERVED_AT, ANNOTATION_UID, LABEL_CLUSTER } from '../names.ts';
import type { Service, ServicePort, ServiceSpec } from '../objects.ts';

/** What of an AdmissionRequest (admission.k8s.io/v1) matters here. */
export interface ServiceRequest {
  uid: string;
  operation: string;
  dryRun?: boolean;
  object: Service;
  /** On updates: the Service as it is. */
  oldObject?: Service | null;
}

export interface ReservationFacts {
  cluster: string;
  hostNamespace: string;
  /** The chart's anchor. */
  owner: OwnerReference;
}

export interface PatchOperation {
  op: 'add';
  path: string;
  value: unknown;
}

/** What the host has to do before the request may pass. */
export type Need =
  | 'nothing'
  /** A host Service of its own, for a Service that has no cluster IP yet. */
  | 'reservation'
  /** The second address family of a Service that has a cluster IP: its host Service has to get it first. */
  | 'second-family';

export function needOf({ operation, object, oldObject }: ServiceRequest): Need {
  if (!takesClusterIp(object)) return 'nothing';
  if (operation === 'CREATE') return 'reservation';
  // From here on the API server keeps what the Service has, also when the update leaves it out.
  if (!oldObject || !takesClusterIp(oldObject))
    return oldObject?.spec?.clusterIP === 'None' ? 'nothing' : 'reservation';
  const wasSingle = (oldObject.spec?.ipFamilyPolicy ?? 'SingleStack') === 'SingleStack';
  const isSingle = (object.spec?.ipFamilyPolicy ?? 'SingleStack') === 'SingleStack';
  return wasSingle && !isSingle ? 'second-family' : 'nothing';
}

function takesClusterIp({ spec }: Service): boolean {
  return spec?.type !== 'ExternalName' && spec?.clusterIP !== 'None';
}

/** Whether each of its ports gets one on nodes. */
export function hasNodePorts({ type, allocateLoadBalancerNodePorts }: ServiceSpec): boolean {
  return type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false);
}

/**
 * The host Service to create. Without a selector it leads nowhere. A LoadBalancer is held as a NodePort, which has the same
 * ports and calls no cloud.
 * @param reservedAt RFC 3339.
 */
export function reservationFor(
  { uid, object: { spec = {} } }: ServiceRequest,
  { cluster, hostNamespace, owner }: ReservationFacts,
  reservedAt: string,
): Service {
  const isOnNodes = hasNodePorts(spec);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: `${cluster}-reserved-${createHash('sha256').update(uid).digest('hex').slice(0, 12)}`,
      namespace: hostNamespace,
      labels: { [LABEL_CLUSTER]: cluster },
      annotations: { [ANNOTATION_RESERVED_AT]: reservedAt },
      ownerReferences: [owner],
    },
    spec: defined({
      type: isOnNodes ? 'NodePort' : 'ClusterIP',
      clusterIP: spec.clusterIP || undefined,
      clusterIPs: spec.clusterIPs?.length ? spec.clusterIPs : undefined,
      ipFamilies: spec.ipFamilies,
      ipFamilyPolicy: spec.ipFamilyPolicy,
      ports: spec.ports?.map(({ name, port, protocol, nodePort }) =>
        defined<ServicePort>({ name, port, protocol, nodePort: isOnNodes ? nodePort : undefined }),
      ),
    }),
  };
}

/** A host Service that admission made and no virtual Service has adopted. */
export function isReservation({ metadata: { annotations = {} } }: Service): boolean {
  return annotations[ANNOTATION_RESERVED_AT] !== undefined && annotations[ANNOTATION_UID] === undefined;
}

/** JSON Patch that gives the virtual Service what the host gave. */
export function patchFor(request: ServiceRequest, host: Service): PatchOperation[] {
  const addresses = clusterIpsOf(host);
  const { ipFamilies, ipFamilyPolicy } = host.spec ?? {};
  return [
    add('clusterIP', addresses[0]),
    add('clusterIPs', addresses),
    ...(ipFamilies ? [add('ipFamilies', ipFamilies)] : []),
    ...(ipFamilyPolicy ? [add('ipFamilyPolicy', ipFamilyPolicy)] : []),
    ...nodePortPatchFor(request, host),
  ];
}

/** The part of it about node ports, where the addresses stay what they are. */
export function nodePortPatchFor({ object }: ServiceRequest, host: Service): PatchOperation[] {
  return (object.spec?.ports ?? []).flatMap((port, index) => {
    const given = samePort(host.spec?.ports, port)?.nodePort;
    return given ? [add(`ports/${index}/nodePort`, given)] : [];
  });
}

function add(path: string, value: unknown): PatchOperation {
  return { op: 'add', path: `/spec/${path}`, value };
}
