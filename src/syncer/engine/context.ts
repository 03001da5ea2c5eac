// What translators may look up, answered from the local stores.
import {
  INGRESS_CLASSES,
  type KubeObject,
  NETWORK_POLICIES,
  objectKey,
  parseKey,
} from '../../kube/resource.ts';
import { spelledAlike } from '../../lib/ip-address.ts';
import type { ClusterFacts, Reference, TranslationContext } from '../kind.ts';
import { hostName, virtualKeyOf } from '../names.ts';
import type { ConfigMap, IngressClass, NetworkPolicy, Pod, Secret } from '../objects.ts';
import {
  hostCopy,
  INDEX,
  MARKED,
  pairOf,
  type StorePairs,
  type SyncerStores,
  servicesAt,
} from '../stores.ts';
import { tokensOf } from '../tokens/projections.ts';
import type { StoreIdentity } from './store-identity.ts';

export interface ContextOptions {
  facts: ClusterFacts;
  /** Addresses of the host's API, as far as they are known. */
  hostApiAddresses: readonly string[];
  pairs: StorePairs;
  stores: SyncerStores;
  identity: StoreIdentity;
}

export function createContext({
  facts,
  hostApiAddresses,
  pairs,
  stores,
  identity,
}: ContextOptions): TranslationContext {
  const reserved = new Set([...hostApiAddresses, facts.api.clusterIp, facts.dns.clusterIp].map(spelledAlike));
  function find<T extends KubeObject>(reference: Reference): T | undefined {
    return pairOf<T>(pairs, reference.type)?.virtual.get(objectKey(reference));
  }
  return {
    ...facts,
    get storeUid() {
      return identity.current();
    },
    hostName(type, name) {
      const pair = pairOf(pairs, type);
      const copy = pair && hostCopy(pair.host, objectKey(name));
      return copy?.metadata.name ?? hostName(facts.cluster, type.plural, name);
    },
    nameInside(name) {
      const place = objectKey({ namespace: facts.hostNamespace, name });
      for (const { host } of pairs.values()) {
        const found = host.get(place);
        const key = found && (virtualKeyOf(found.metadata) ?? tokensOf(found.metadata)[0]);
        if (key) return parseKey(key).name;
      }
      return undefined;
    },
    services: (namespace) => stores.virtual.services.byIndex(INDEX.byNamespace, namespace),
    service: (name) => stores.virtual.services.get(objectKey(name)),
    namespacesWith: (matches) =>
      stores.virtual.namespaces
        .list()
        .filter(({ metadata }) => matches(metadata.labels ?? {}))
        .map(({ metadata }) => metadata.name ?? ''),
    find,
    markedNodes: () => stores.virtual.nodes.byIndex(INDEX.byTenantMarks, MARKED),
    dataKeys: (reference) => Object.keys(find<ConfigMap | Secret>(reference)?.data ?? {}),
    isHostAddress(text) {
      const address = spelledAlike(text);
      return (
        reserved.has(address) ||
        servicesAt(stores.virtual.services, address).length > 0 ||
        stores.host.nodes.byIndex(INDEX.byInternalIp, address).length > 0 ||
        stores.virtual.nodes.byIndex(INDEX.byInternalIp, address).length > 0
      );
    },
    networkPolicies: (namespace) =>
      pairOf<NetworkPolicy>(pairs, NETWORK_POLICIES)?.virtual.byIndex(INDEX.byNamespace, namespace) ?? [],
    ingressClass: (name) => pairOf<IngressClass>(pairs, INGRESS_CLASSES)?.virtual.get(name),
    workloadAddresses: () => stores.host.pods.list().filter(hasAddresses).flatMap(addressesOf),
  };
}

/** A pod that has ended keeps its addresses in its status, while the network gives them to others. */
function hasAddresses({ spec, status }: Pod): boolean {
  return !spec?.hostNetwork && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

function addressesOf({ status }: Pod): string[] {
  return (status?.podIPs ?? []).map(({ ip }) => ip);
}
