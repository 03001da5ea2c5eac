// Which records exist at a name of the cluster domain, from the virtual stores alone: the Kubernetes DNS specification
// 1.1.0 (github.com/kubernetes/dns, docs/specification.md). Pure.
import { isIP } from 'node:net';
import type { ReadStore } from '../../kube/store.ts';
import { canonicalAddress } from '../../lib/ip-address.ts';
import type { EndpointSlice, Namespace, Service } from '../objects.ts';
import { INDEX, servicesAt } from '../stores.ts';

/**
 * Virtual stores. `services` has the index `byClusterIp`; `endpointSlices` has `byService` (`namespace/name` of the Service)
 * and `byAddress` (every address of its endpoints).
 */
export interface ZoneStores {
  services: Pick<ReadStore<Service>, 'get' | 'byIndex'>;
  endpointSlices: Pick<ReadStore<EndpointSlice>, 'byIndex'>;
  namespaces: Pick<ReadStore<Namespace>, 'get'>;
}

interface ServiceRecord {
  /** First label of the target, below the Service's name; absent when the target is the Service itself. */
  hostname?: string;
  port: number;
  addresses: readonly string[];
}

/** What exists at one name. A name with none of these exists and holds no record. */
export interface NameRecords {
  /** IPv4 and IPv6. */
  addresses?: readonly string[];
  services?: readonly ServiceRecord[];
  text?: string;
  /** The CNAME's target, without its trailing dot. */
  alias?: string;
}

interface Endpoint {
  hostname: string;
  addresses: readonly string[];
  ports: NonNullable<EndpointSlice['ports']>;
}

const SCHEMA_VERSION = '1.1.0';
const SERVICE_NAME = 'kubernetes.io/service-name';

/**
 * @param labels the name below the cluster domain, lower case, leftmost label first.
 * @returns undefined when the name does not exist (NXDOMAIN).
 */
export function clusterRecords(labels: readonly string[], stores: ZoneStores): NameRecords | undefined {
  const [kind, namespace, ...rest] = labels.toReversed();
  if (kind === undefined) return {};
  if (kind === 'dns-version' && namespace === undefined) return { text: SCHEMA_VERSION };
  if (kind !== 'svc' && kind !== 'pod') return undefined;
  if (namespace === undefined) return {};
  if (!stores.namespaces.get(namespace)) return undefined;
  const [name, ...below] = rest;
  if (name === undefined) return {};
  if (kind === 'pod') return below.length === 0 ? podRecords(name) : undefined;
  return serviceRecords(stores, `${namespace}/${name}`, below);
}

/** The name of an endpoint below its Service: its own host name, else one made of its address. */
function endpointHostname({ hostname, addresses }: { hostname?: string; addresses: readonly string[] }) {
  if (hostname) return hostname;
  const dashed = (addresses[0] ?? '').replace(/[.:]/g, '-');
  // A DNS label may not end with a dash, an IPv6 address may end with colons; both ways of writing are the same address.
  return dashed.endsWith('-') ? `${dashed}0` : dashed;
}

/** `namespace/name` of the Service a slice belongs to. */
export function serviceKeyOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME];
  return name && `${metadata.namespace}/${name}`;
}

/** The specification's deprecated but required records: any address, dashed, in any namespace that exists. */
function podRecords(dashed: string): NameRecords | undefined {
  const address =
    canonicalAddress(dashed.replaceAll('-', '.')) ?? canonicalAddress(dashed.replaceAll('-', ':'));
  return address ? { addresses: [address] } : undefined;
}

function serviceRecords(stores: ZoneStores, key: string, below: readonly string[]): NameRecords | undefined {
  const service = stores.services.get(key);
  if (!service?.spec) return undefined;
  const { type, externalName, clusterIP } = service.spec;
  if (type === 'ExternalName') {
    const target = externalName?.replace(/\.$/, '').toLowerCase();
    // The API takes an address as an external name; no CNAME can point to one.
    return below.length === 0 && target && isIP(target) === 0 ? { alias: target } : undefined;
  }
  const [last, port] = below;
  if (below.length > 2) return undefined;
  const headless = clusterIP === 'None';
  if (last === undefined || last.startsWith('_')) {
    const services = headless ? headlessServices(stores, key) : clusterIpServices(service);
    return last === undefined
      ? ownRecords(service, headless, services)
      : portRecords(services, last.slice(1), port);
  }
  if (port !== undefined) return undefined;
  const endpoints = readyEndpoints(stores, key).filter(({ hostname }) => hostname === last);
  return endpoints.length > 0 ? endpointRecords(endpoints) : undefined;
}

/** One endpoint, which may be in several slices. */
function endpointRecords(endpoints: readonly Endpoint[]): NameRecords {
  const addresses = distinct(endpoints.flatMap((endpoint) => endpoint.addresses));
  const ports = distinct(endpoints.flatMap((endpoint) => endpoint.ports.map(({ port = 0 }) => port)));
  return { addresses, services: ports.filter((port) => port > 0).map((port) => ({ port, addresses })) };
}

type NamedService = ServiceRecord & { name: string; protocol: string };

function ownRecords(service: Service, headless: boolean, services: NamedService[]): NameRecords | undefined {
  if (!headless) return { addresses: clusterIps(service), services };
  const addresses = distinct(services.flatMap((record) => record.addresses));
  return addresses.length > 0 ? { addresses, services: services.filter(({ port }) => port > 0) } : undefined;
}

/** `_port._protocol`; `_protocol` alone holds no record but exists, having names below it. */
function portRecords(services: NamedService[], protocol: string, port?: string): NameRecords | undefined {
  const matching = services.filter(
    (record) =>
      record.protocol === protocol &&
      record.name !== '' &&
      (port === undefined || `_${record.name}` === port),
  );
  if (matching.length === 0) return undefined;
  if (port === undefined) return {};
  // The specification asks for no addresses here; CoreDNS has them, so clients may count on them.
  return { services: matching, addresses: distinct(matching.flatMap(({ addresses }) => addresses)) };
}

function clusterIps({ spec }: Service): string[] {
  return spec?.clusterIPs?.length ? spec.clusterIPs : spec?.clusterIP ? [spec.clusterIP] : [];
}

function clusterIpServices(service: Service): NamedService[] {
  const addresses = clusterIps(service);
  return (service.spec?.ports ?? []).map(({ name = '', protocol = 'TCP', port }) => ({
    name: name.toLowerCase(),
    protocol: protocol.toLowerCase(),
    port,
    addresses,
  }));
}

/** One record per ready endpoint and port; port 0 stands for an endpoint of a Service without ports. */
function headlessServices(stores: ZoneStores, key: string): NamedService[] {
  const byTarget = new Map<string, NamedService>();
  for (const { hostname, addresses, ports } of readyEndpoints(stores, key)) {
    for (const { name = '', protocol = 'TCP', port = 0 } of ports.length > 0 ? ports : [{}]) {
      const id = `${hostname}/${name}/${protocol}/${port}`;
      const known = byTarget.get(id)?.addresses ?? [];
      byTarget.set(id, {
        hostname,
        name: name.toLowerCase(),
        protocol: protocol.toLowerCase(),
        port,
        addresses: distinct([...known, ...addresses]),
      });
    }
  }
  return [...byTarget.values()];
}

function readyEndpoints(stores: ZoneStores, key: string): Endpoint[] {
  const withNotReady = stores.services.get(key)?.spec?.publishNotReadyAddresses === true;
  return stores.endpointSlices
    .byIndex(INDEX.byService, key)
    .filter(({ addressType }) => addressType !== 'FQDN')
    .flatMap(({ endpoints, ports }) =>
      (endpoints ?? [])
        .filter(({ conditions }) => withNotReady || conditions?.ready !== false)
        .map((endpoint) => ({
          hostname: endpointHostname(endpoint),
          addresses: endpoint.addresses,
          ports: ports ?? [],
        })),
    );
}

/** The names an address has: that of the Service whose cluster IP it is, else those of the ready endpoints that have it. */
export function clusterNamesOf(address: string, stores: ZoneStores): string[] {
  const service = servicesAt(stores.services, address)[0];
  if (service) return [`${service.metadata.name}.${service.metadata.namespace}.svc`];
  const names = stores.endpointSlices.byIndex(INDEX.byAddress, address).flatMap((slice) => {
    const key = serviceKeyOf(slice);
    if (!key) return [];
    const [namespace, name] = key.split('/');
    return readyEndpoints(stores, key)
      .filter(({ addresses }) => addresses.includes(address))
      .map(({ hostname }) => `${hostname}.${name}.${namespace}.svc`);
  });
  return distinct(names);
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
