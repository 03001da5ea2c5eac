// The synced kind EndpointSlice: only hand-made ones, of Services without a selector. The host makes all others itself.
import { BlockList, isIP } from 'node:net';
import { ENDPOINT_SLICES, objectKey, SERVICES } from '../../../kube/resource.ts';
import { defined, fields, list, scalar } from '../../allow-list.ts';
import {
  mergeMetadata,
  type Reference,
  RefusedError,
  type SyncedKind,
  type TranslationContext,
} from '../../kind.ts';
import type { EndpointSlice } from '../../objects.ts';
import { INDEX } from '../../stores.ts';
import { hasSelector, isOfTheChart } from '../services/kind.ts';

const LABEL_SERVICE = 'kubernetes.io/service-name';
const LABEL_MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

const endpoint = fields<Endpoint>({
  addresses: list(scalar),
  hostname: scalar,
  conditions: fields<NonNullable<Endpoint['conditions']>>({
    ready: scalar,
    serving: scalar,
    terminating: scalar,
  }),
});
const port = fields<NonNullable<EndpointSlice['ports']>[number]>({
  name: scalar,
  port: scalar,
  protocol: scalar,
  appProtocol: scalar,
});

function serviceOf({ metadata }: EndpointSlice): Reference | undefined {
  const name = metadata.labels?.[LABEL_SERVICE];
  return name ? { type: SERVICES, namespace: metadata.namespace, name } : undefined;
}

export const endpointSlices: SyncedKind<EndpointSlice> = {
  type: ENDPOINT_SLICES,
  when: 'always',
  indexers: {
    virtual: {
      [INDEX.byService]: (slice) => [serviceOf(slice) ?? []].flat().map((service) => objectKey(service)),
      [INDEX.byAddress]: ({ endpoints }) => [
        ...new Set((endpoints ?? []).flatMap(({ addresses }) => addresses)),
      ],
    },
  },
  toHost(virtual, context) {
    const reference = serviceOf(virtual);
    const service = reference && context.service(reference);
    if (!reference || !service || service.spec?.type === 'ExternalName') return undefined;
    if (hasSelector(service) || isOfTheChart(objectKey(reference)) || !virtual.endpoints) return undefined;
    requireOwnAddresses(virtual, context);
    return defined({
      metadata: {
        labels: { [LABEL_SERVICE]: context.hostName(SERVICES, reference), [LABEL_MANAGED_BY]: 'mayfly.dev' },
      },
      addressType: virtual.addressType,
      endpoints: virtual.endpoints.map((item) => endpoint(item)),
      ports: virtual.ports?.map((item) => port(item)),
    });
  },
  merge: (host, { metadata, endpoints, ports }) => ({
    ...host,
    metadata: mergeMetadata(host.metadata, metadata),
    endpoints,
    ports,
  }),
  references: (virtual) => [serviceOf(virtual) ?? []].flat(),
};

// One list per family: a list checks an IPv4 address against IPv6 rules too, in its mapped spelling.
const SPECIAL_IPV4 = new BlockList();
const SPECIAL_IPV6 = new BlockList();
SPECIAL_IPV4.addSubnet('0.0.0.0', 8);
SPECIAL_IPV4.addSubnet('127.0.0.0', 8);
SPECIAL_IPV4.addSubnet('169.254.0.0', 16);
SPECIAL_IPV4.addSubnet('224.0.0.0', 3);
SPECIAL_IPV6.addSubnet('::', 127, 'ipv6');
SPECIAL_IPV6.addSubnet('fe80::', 10, 'ipv6');
SPECIAL_IPV6.addSubnet('ff00::', 8, 'ipv6');
SPECIAL_IPV6.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * Endpoints made by hand may be anywhere but on the node itself, on its link (metadata services live there), or on the
 * host's own machines: others than the tenant's pods dial what a Service names.
 */
function requireOwnAddresses(
  { endpoints = [], addressType }: EndpointSlice,
  context: TranslationContext,
): void {
  if (addressType === 'FQDN')
    throw new RefusedError('UnsupportedField', 'addressType: FQDN has no place on the host');
  endpoints.forEach(({ addresses }, index) => {
    for (const address of addresses) {
      if (isSpecial(address) || context.isHostAddress(address)) {
        throw new RefusedError(
          'ForbiddenAddress',
          `endpoints[${index}].addresses: ${address} is not an address that a Service may lead to`,
        );
      }
    }
  });
}

function isSpecial(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return SPECIAL_IPV4.check(address, 'ipv4');
    case 6:
      return SPECIAL_IPV6.check(address, 'ipv6');
    default:
      return true;
  }
}
