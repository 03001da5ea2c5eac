// The local copies of both sides: one pair of stores per synced kind, and the indexes every part looks things up by.
import type { KubeObject, ObjectKey, ResourceType } from '../kube/resource.ts';
import { objectKey } from '../kube/resource.ts';
import type { ReadStore, Store } from '../kube/store.ts';
import { createStore, withoutManagedFields } from '../kube/store.ts';
import { spelledAlike } from '../lib/ip-address.ts';
import type { Reference, SyncedKind } from './kind.ts';
import { isMarkedByTenant } from './kinds/nodes/of-tenant.ts';
import { kindId, kindKey, virtualKeyOf } from './names.ts';
import type { EndpointSlice, Namespace, Node, Pod, Secret, Service } from './objects.ts';

/** Names of the indexes. */
export const INDEX = {
  /** Host objects by the key of the virtual object they stand for. */
  byVirtualKey: 'byVirtualKey',
  /** Virtual objects by what they refer to: `<kind>|<namespace/name>`. */
  byReference: 'byReference',
  /** Virtual objects by namespace. */
  byNamespace: 'byNamespace',
  /** Services of either side by each of their cluster IPs, in its canonical spelling: ask by `servicesAt`. */
  byClusterIp: 'byClusterIp',
  /** Host pods by each of their pod IPs. */
  byPodIp: 'byPodIp',
  /** Pods of either side by the node they run on. */
  byNode: 'byNode',
  /** Virtual pods that name a RuntimeClass: all under `CHOSEN`. */
  byRuntime: 'byRuntime',
  /** Nodes by each InternalIP. */
  byInternalIp: 'byInternalIp',
  /** Host claims by the volume that they have. */
  byVolume: 'byVolume',
  /** Virtual Nodes with labels, taints or a cordon of the tenant's: all under `MARKED`. */
  byTenantMarks: 'byTenantMarks',
  /** Virtual endpoint slices by their Service: `namespace/name`. */
  byService: 'byService',
  /** Virtual endpoint slices by each address of their endpoints. */
  byAddress: 'byAddress',
} as const;

export const MARKED = 'marked';

/** What the network parts of the syncer read. */
export interface SyncerStores {
  virtual: {
    pods: ReadStore<Pod>;
    services: ReadStore<Service>;
    endpointSlices: ReadStore<EndpointSlice>;
    nodes: ReadStore<Node>;
    namespaces: ReadStore<Namespace>;
  };
  host: {
    pods: ReadStore<Pod>;
    services: ReadStore<Service>;
    /** Empty where the host's nodes may not be read. */
    nodes: ReadStore<Node>;
    secrets: ReadStore<Secret>;
  };
}

/** Both local copies of one kind. */
export interface StorePair<T extends KubeObject> {
  virtual: Store<T>;
  host: Store<T>;
}

const namespaceOf = ({ metadata }: KubeObject) => (metadata.namespace ? [metadata.namespace] : []);

export function referenceIndexKey({ type, namespace, name }: Reference): string {
  return kindKey(type, objectKey({ namespace, name }));
}

/** The stores of a kind that is copied between both sides. */
export function createStorePair<T extends KubeObject>(kind: SyncedKind<T>): StorePair<T> {
  return {
    virtual: createStore<T>({
      indexers: {
        [INDEX.byNamespace]: namespaceOf,
        [INDEX.byReference]: (object) => (kind.references?.(object) ?? []).map(referenceIndexKey),
        ...kind.indexers?.virtual,
      },
    }),
    host: createStore<T>({
      indexers: {
        [INDEX.byVirtualKey]: ({ metadata }) => [virtualKeyOf(metadata) ?? []].flat(),
        ...kind.indexers?.host,
      },
    }),
  };
}

export function createNodeStore(): Store<Node> {
  return createStore<Node>({
    indexers: {
      [INDEX.byInternalIp]: ({ status }) =>
        (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
      [INDEX.byTenantMarks]: (node) => (isMarkedByTenant(node) ? [MARKED] : []),
    },
    transform: ({ metadata, spec, status }) => {
      const { images: _, volumesInUse: __, volumesAttached: ___, ...kept } = status ?? {};
      return withoutManagedFields({ metadata, spec, status: kept });
    },
  });
}

export function createNamespaceStore(): Store<Namespace> {
  return createStore<Namespace>();
}

/** The one host object that stands for a virtual object. Names never decide this, annotations do. */
export function hostCopy<T extends KubeObject>(hosts: ReadStore<T>, key: ObjectKey): T | undefined {
  return hosts.byIndex(INDEX.byVirtualKey, key)[0];
}

/** The Services of one side that have this cluster IP, however it is spelled. */
export function servicesAt(
  services: Pick<ReadStore<Service>, 'byIndex'>,
  address: string,
): readonly Service[] {
  return services.byIndex(INDEX.byClusterIp, spelledAlike(address));
}

/** A kind by its id; kinds of different objects live side by side, so each caller says which it means. */
export type StorePairs = ReadonlyMap<string, StorePair<KubeObject>>;

/** @throws RangeError when the kind is not synced. */
export function copyOf<T extends KubeObject>(
  pairs: StorePairs,
  type: Pick<ResourceType, 'group' | 'plural'>,
): StorePair<T> {
  const found = pairs.get(kindId(type));
  if (!found) throw new RangeError(`the kind ${kindId(type)} is not synced`);
  return found as unknown as StorePair<T>;
}

export function pairOf<T extends KubeObject>(
  pairs: StorePairs,
  type: ResourceType,
): StorePair<T> | undefined {
  return pairs.get(kindId(type)) as unknown as StorePair<T> | undefined;
}
