// The local copies of both sides and what fills them: one reflector for each kind and side.
import type { KubeClient } from '../../kube/client.ts';
import { createReflector, type Reflector, type ReflectorMetrics } from '../../kube/reflector.ts';
import {
  ENDPOINT_SLICES,
  type KubeObject,
  NAMESPACES,
  NODES,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICES,
} from '../../kube/resource.ts';
import type { Change, Store } from '../../kube/store.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { ClusterFacts, Side } from '../kind.ts';
import type { AnyKind, AnyUpwardKind } from '../kinds/registry.ts';
import { type KindId, kindId, LABEL_CLUSTER } from '../names.ts';
import type { EndpointSlice, Namespace, Node, Pod, Secret, Service } from '../objects.ts';
import {
  copyOf,
  createNamespaceStore,
  createStorePair,
  type StorePairs,
  type SyncerStores,
} from '../stores.ts';

export interface LocalCopiesOptions {
  kinds: readonly AnyKind[];
  upwardKinds: readonly AnyUpwardKind[];
  host: KubeClient;
  virtual: KubeClient;
  facts: ClusterFacts;
  /** Whether cluster-scoped objects of the host may be read; without, their local copy stays empty. */
  readsHostWide: boolean;
  onChange(side: Side, type: ResourceType, change: Change<KubeObject>): void;
  /** An optional kind was listed: for the first time, or after one of the APIs did not have it. */
  onServed(type: ResourceType): void;
  logger: Logger;
  clock: Clock;
  reflectorMetrics?: (name: string) => ReflectorMetrics;
}

export interface LocalCopies {
  /** Of all kinds of either direction. */
  readonly pairs: StorePairs;
  readonly stores: SyncerStores;
  /**
   * Has more of the host watched, with a store of its own: the events of the host namespace, an object elsewhere. Nothing else
   * waits for it, so the store is to be believed only once it `hasSynced`. To be called before `run`.
   */
  follow<T extends KubeObject>(
    type: ResourceType,
    store: Store<T>,
    onChange: (change: Change<T>) => void,
    selection?: Pick<WatchSettings, 'namespace' | 'fieldSelector' | 'idleTimeoutMs' | 'onRelist'>,
  ): Pick<Reflector, 'hasSynced'>;
  run(signal: AbortSignal): Promise<void>;
  synced(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
  /** Whether the APIs of both sides have the kind. */
  isServed(type: ResourceType): boolean;
  /** Whether it is known what there is inside of the kind. */
  isKnown(type: ResourceType): boolean;
}

export function createLocalCopies(options: LocalCopiesOptions): LocalCopies {
  const { kinds, upwardKinds, facts, onChange, logger, clock } = options;
  const namespaces = createNamespaceStore();
  const pairs: StorePairs = new Map([
    ...kinds.map((kind) => [kindId(kind.type), createStorePair(kind)] as const),
    ...upwardKinds.map(
      (kind) =>
        [
          kindId(kind.type),
          { virtual: kind.createStore('virtual'), host: kind.createStore('host') },
        ] as const,
    ),
  ]);
  const reflectors: Reflector[] = [];
  /**
   * Those that everything waits for: not what is elsewhere on the host and may be taken away with its namespace, nor what one of
   * the APIs may lack or, for want of a conversion webhook, be unable to list.
   */
  const required: Reflector[] = [];
  const optional: { id: KindId; side: Side; reflector: Reflector }[] = [];

  function watch<T extends KubeObject>(
    side: Side,
    type: ResourceType,
    store: Store<T>,
    taken: (change: Change<T>) => void,
    { isOptional = false, isHostWide = false, isRequired = !isOptional, ...more }: WatchSettings = {},
  ): Reflector {
    const reflector = createReflector<T>({
      client: options[side],
      type,
      namespace: side === 'host' && type.namespaced && !isHostWide ? facts.hostNamespace : undefined,
      store,
      onChange: taken,
      logger,
      clock,
      metrics: options.reflectorMetrics?.(
        [side, kindId(type), more.namespace, more.fieldSelector].filter(Boolean).join('/'),
      ),
      onServed: isOptional ? () => {} : undefined,
      onRelist: isOptional ? () => options.onServed(type) : undefined,
      ...more,
    });
    reflectors.push(reflector);
    if (isRequired) required.push(reflector);
    if (isOptional) optional.push({ id: kindId(type), side, reflector });
    return reflector;
  }

  const handOn = (side: Side, type: ResourceType) => (change: Change<KubeObject>) =>
    onChange(side, type, change);
  watch<KubeObject>('virtual', NAMESPACES, namespaces as Store<KubeObject>, handOn('virtual', NAMESPACES));
  const ofThisCluster = { labelSelector: `${LABEL_CLUSTER}=${facts.cluster}` };
  for (const { type, isOptional } of kinds) {
    const { virtual, host } = copyOf(pairs, type);
    watch('virtual', type, virtual, handOn('virtual', type), { isOptional });
    watch('host', type, host, handOn('host', type), { isOptional, ...ofThisCluster });
  }
  for (const { type, isOptional, isHostWide = !type.namespaced, hostNamespace } of upwardKinds) {
    const { virtual, host } = copyOf(pairs, type);
    watch('virtual', type, virtual, handOn('virtual', type), { isOptional });
    if (isHostWide && !options.readsHostWide) continue;
    watch('host', type, host, handOn('host', type), {
      isOptional,
      isHostWide,
      ...(hostNamespace && {
        namespace: hostNamespace,
        isRequired: false,
      }),
    });
  }

  return {
    pairs,
    stores: viewOf(pairs, namespaces),
    follow: (type, store, taken, selection) =>
      watch('host', type, store, taken, { ...selection, isRequired: false }),
    run: async (signal) => void (await Promise.all(reflectors.map((reflector) => reflector.run(signal)))),
    synced: async (signal) => void (await Promise.all(required.map((reflector) => reflector.synced(signal)))),
    hasSynced: () => required.every((reflector) => reflector.hasSynced()),
    isServed: (type) =>
      optional.every(
        ({ id, reflector }) => id !== kindId(type) || (reflector.hasSynced() && reflector.isServed()),
      ),
    isKnown: (type) =>
      optional.every(
        ({ id, side, reflector }) => id !== kindId(type) || side === 'host' || reflector.hasSynced(),
      ),
  };
}

interface WatchSettings {
  /** Of the host, in place of this cluster's own. */
  namespace?: string;
  fieldSelector?: string;
  labelSelector?: string;
  idleTimeoutMs?: number;
  isOptional?: boolean;
  /** All namespaces of the host. */
  isHostWide?: boolean;
  isRequired?: boolean;
  onRelist?: () => void;
}

/** The same stores by name, for the parts that know what they read. */
function viewOf(pairs: StorePairs, namespaces: Store<Namespace>): SyncerStores {
  const pods = copyOf<Pod>(pairs, PODS);
  const services = copyOf<Service>(pairs, SERVICES);
  const secrets = copyOf<Secret>(pairs, SECRETS);
  const nodes = copyOf<Node>(pairs, NODES);
  return {
    virtual: {
      pods: pods.virtual,
      services: services.virtual,
      endpointSlices: copyOf<EndpointSlice>(pairs, ENDPOINT_SLICES).virtual,
      nodes: nodes.virtual,
      namespaces,
    },
    host: { pods: pods.host, services: services.host, nodes: nodes.host, secrets: secrets.host },
  };
}
