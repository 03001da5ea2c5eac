// What translators may look up, answered from the local stores.
import { objectKey } from '../../kube/resource.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { ClusterFacts, TranslationContext } from '../kind.ts';
import { hostName } from '../names.ts';
import type { ConfigMap, Secret } from '../objects.ts';
import { hostCopy, INDEX, MARKED, pairOf, type StorePairs, type SyncerStores } from '../stores.ts';
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
  const reserved = new Set([...hostApiAddresses, facts.api.clusterIp, facts.dns.clusterIp]);
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
    services: (namespace) => stores.virtual.services.byIndex(INDEX.byNamespace, namespace),
    service: (name) => stores.virtual.services.get(objectKey(name)),
    namespacesWith: (matches) =>
      stores.virtual.namespaces
        .list()
        .filter(({ metadata }) => matches(metadata.labels ?? {}))
        .map(({ metadata }) => metadata.name ?? ''),
    markedNodes: () => stores.virtual.nodes.byIndex(INDEX.byTenantMarks, MARKED),
    dataKeys(reference) {
      const virtuals = pairOf(pairs, reference.type)?.virtual as ReadStore<ConfigMap | Secret> | undefined;
      return Object.keys(virtuals?.get(objectKey(reference))?.data ?? {});
    },
    isHostAddress: (address) =>
      reserved.has(address) ||
      stores.virtual.services.byIndex(INDEX.byClusterIp, address).length > 0 ||
      stores.host.nodes.byIndex(INDEX.byInternalIp, address).length > 0 ||
      stores.virtual.nodes.byIndex(INDEX.byInternalIp, address).length > 0,
  };
}
