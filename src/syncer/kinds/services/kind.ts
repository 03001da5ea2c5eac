// The synced kind Service: the same cluster IP on both sides, the host's kube-proxy serves it.
import { keyOf, type ObjectKey, type ObjectMeta, SERVICES } from '../../../kube/resource.ts';
import { isNewer } from '../../../kube/resource-version.ts';
import { spelledAlike } from '../../../lib/ip-address.ts';
import { defined, type FieldCopiers, fields, list, scalar } from '../../allow-list.ts';
import { mergeMetadata, type Notice, type SyncedKind } from '../../kind.ts';
import { ANNOTATION_AHEAD_OF, ANNOTATION_RESERVED_AT, ANNOTATION_UID, placeLabels } from '../../names.ts';
import type { Service, ServicePort, ServiceSpec } from '../../objects.ts';
import { hostLabels } from '../../selectors.ts';
import { INDEX, servicesAt } from '../../stores.ts';

/** The chart has their host Services already: the virtual API itself and the cluster's DNS. */
const OF_THE_CHART = new Set(['default/kubernetes', 'kube-system/kube-dns']);

export function isOfTheChart(service: ObjectKey): boolean {
  return OF_THE_CHART.has(service);
}

/** Without one, its endpoints are made by hand. */
export function hasSelector({ spec }: Service): boolean {
  return Object.keys(spec?.selector ?? {}).length > 0;
}

export function clusterIpsOf({ spec }: Service): string[] {
  const addresses = spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []);
  return addresses.filter((address) => address !== '' && address !== 'None');
}

/** Labels of Services that the host's own proxy leaves alone; the second names the proxy to serve them. */
const UNSERVED_LABELS = ['service.kubernetes.io/headless', 'service.kubernetes.io/service-proxy-name'];
/** Which of the host's proxies serves a Service is not a tenant's to choose: none does. */
const NO_PROXY = 'none';

export const copyPort = fields<ServicePort>({
  name: scalar,
  protocol: scalar,
  port: scalar,
  targetPort: scalar,
  appProtocol: scalar,
  nodePort: scalar,
});
const COPIERS: FieldCopiers<ServiceSpec> = {
  type: scalar,
  clusterIP: scalar,
  clusterIPs: list(scalar),
  ipFamilies: list(scalar),
  ipFamilyPolicy: scalar,
  ports: list(copyPort),
  sessionAffinity: scalar,
  sessionAffinityConfig: fields<NonNullable<ServiceSpec['sessionAffinityConfig']>>({
    clientIP: fields<NonNullable<NonNullable<ServiceSpec['sessionAffinityConfig']>['clientIP']>>({
      timeoutSeconds: scalar,
    }),
  }),
  externalTrafficPolicy: scalar,
  internalTrafficPolicy: scalar,
  trafficDistribution: scalar,
  publishNotReadyAddresses: scalar,
  allocateLoadBalancerNodePorts: scalar,
  loadBalancerSourceRanges: list(scalar),
};
const plainSpec = fields<ServiceSpec>(COPIERS);
const OWNED_FIELDS = new Set([...Object.keys(COPIERS), 'selector']);
const loadBalancer = fields<NonNullable<NonNullable<Service['status']>['loadBalancer']>>({
  ingress: list(
    fields<NonNullable<NonNullable<NonNullable<Service['status']>['loadBalancer']>['ingress']>[number]>({
      ip: scalar,
      hostname: scalar,
      ipMode: scalar,
      ports: list(fields({ error: scalar, port: scalar, protocol: scalar })),
    }),
  ),
});

const byClusterIp = { [INDEX.byClusterIp]: (service: Service) => clusterIpsOf(service).map(spelledAlike) };

export const services: SyncedKind<Service> = {
  type: SERVICES,
  when: 'always',
  indexers: { virtual: byClusterIp, host: byClusterIp },
  toHost(virtual, { cluster }) {
    const { spec, metadata } = virtual;
    // An ExternalName is answered by the DNS inside; on the host it could only lead others astray.
    if (!spec || spec.type === 'ExternalName' || isOfTheChart(keyOf(virtual))) return undefined;
    return {
      metadata: { labels: unservedLabels(metadata) },
      spec: defined({
        ...plainSpec(spec),
        // Inside it comes by default with external IPs too, without which the host takes it of these types only.
        externalTrafficPolicy: isReachedFromOutside(spec) ? spec.externalTrafficPolicy : undefined,
        selector: hasSelector(virtual)
          ? { ...hostLabels(spec.selector), ...placeLabels(cluster, metadata.namespace) }
          : undefined,
      }),
    };
  },
  step: (virtual, host) => (host && isAheadOf(host, virtual) ? { do: 'wait' } : undefined),
  merge: mergeService,
  toVirtual(host, virtual) {
    const status = defined({
      ...virtual.status,
      loadBalancer: loadBalancer(host.status?.loadBalancer ?? {}),
    });
    return { ...virtual, spec: withNodePorts(host, virtual), status };
  },
  findReserved(virtual, hosts) {
    const [address] = clusterIpsOf(virtual);
    const found = address ? servicesAt(hosts, address) : [];
    const reserved = found.find(
      ({ metadata: { annotations = {} } }) =>
        annotations[ANNOTATION_RESERVED_AT] !== undefined && annotations[ANNOTATION_UID] === undefined,
    );
    return reserved ?? (address ? 'not-seen' : undefined);
  },
  notices: droppedFields,
};

/** Whether the host Service was changed for an update that is not seen inside yet. */
function isAheadOf(host: Service, virtual: Service): boolean {
  const resourceVersion = host.metadata.annotations?.[ANNOTATION_AHEAD_OF];
  if (resourceVersion === undefined) return false;
  return !isNewer(virtual, { metadata: { ...virtual.metadata, resourceVersion } });
}

function mergeService(host: Service, desired: Service): Service {
  const { metadata, spec } = desired;
  const owned = defined({
    ...spec,
    ports: spec?.ports?.map((wanted) => {
      const nodePort = samePort(host.spec?.ports, wanted)?.nodePort;
      return { ...wanted, ...(nodePort === undefined || spec.type === 'ClusterIP' ? {} : { nodePort }) };
    }),
  });
  // Fields of the host's own, the port of a health check for one, are left as they are.
  const kept = Object.fromEntries(
    Object.entries(host.spec ?? {}).filter(([field]) => !OWNED_FIELDS.has(field)),
  );
  const isOurs = ([key, value]: [string, string]) => UNSERVED_LABELS.includes(key) && value === NO_PROXY;
  // Whom the host has given a Service to keeps it.
  const foreign = Object.entries(host.metadata.labels ?? {}).filter((label) => !isOurs(label));
  const labels = Object.fromEntries(foreign);
  const merged = mergeMetadata({ ...host.metadata, labels }, metadata);
  const given = foreign.filter(([key]) => UNSERVED_LABELS.includes(key));
  return {
    ...host,
    metadata: { ...merged, labels: { ...merged.labels, ...Object.fromEntries(given) } },
    spec: { ...kept, ...owned },
  };
}

function unservedLabels({ labels = {} }: ObjectMeta): Record<string, string> {
  const asked = UNSERVED_LABELS.filter((key) => labels[key] !== undefined);
  return Object.fromEntries(asked.map((key) => [key, NO_PROXY]));
}

function isReachedFromOutside({ type }: ServiceSpec): boolean {
  return type === 'NodePort' || type === 'LoadBalancer';
}

/** The node ports are the host's to give. */
function withNodePorts(host: Service, { spec }: Service): ServiceSpec | undefined {
  if (!spec || !isReachedFromOutside(spec)) return spec;
  return {
    ...spec,
    ports: spec.ports?.map((own) => {
      const nodePort = samePort(host.spec?.ports, own)?.nodePort;
      return nodePort === undefined ? own : { ...own, nodePort };
    }),
  };
}

export function samePort(
  ports: readonly ServicePort[] = [],
  { port, protocol = 'TCP' }: ServicePort,
): ServicePort | undefined {
  return ports.find((other) => other.port === port && (other.protocol ?? 'TCP') === protocol);
}

function droppedFields({ spec }: Service): Notice[] {
  const dropped: [string, boolean][] = [
    ['externalIPs', (spec?.externalIPs ?? []).length > 0],
    ['loadBalancerIP', Boolean(spec?.loadBalancerIP)],
    ['loadBalancerClass', Boolean(spec?.loadBalancerClass)],
  ];
  return dropped.flatMap(([field, present]) =>
    present
      ? [{ reason: 'FieldDropped', message: `spec.${field}: is not given to Services on the host` }]
      : [],
  );
}
