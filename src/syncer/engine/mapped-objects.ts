// Config maps and secrets of the host that an operator has shown inside, one by one: kept true there under the names that he
// gives them. Inside they are objects like all others, so pods may refer to them and get copies of them.
import type { KubeClient } from '../../kube/client.ts';
import {
  CONFIG_MAPS,
  type KubeObject,
  type ObjectKey,
  objectKey,
  parseKey,
  type ResourceType,
  SECRETS,
} from '../../kube/resource.ts';
import { createStore, type ReadStore } from '../../kube/store.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import { defined, dictionary } from '../allow-list.ts';
import type { Mapping } from '../kind.ts';
import { plainType } from '../kinds/secrets/kind.ts';
import { kindId, kindKey } from '../names.ts';
import type { ConfigMap, Secret } from '../objects.ts';
import { copyOf, type StorePairs } from '../stores.ts';
import type { LocalCopies } from './local-copies.ts';
import { createUpwardSync, type UpwardKind, type UpwardView } from './upward.ts';

export interface MappedObjectsDeps {
  pairs: StorePairs;
  virtual: KubeClient;
  queue: WorkQueue;
  clock: Clock;
  view: UpwardView;
}

type Reconcile = (key: ObjectKey, signal: AbortSignal) => Promise<void>;

export interface MappedObjects {
  /** Has the host's objects watched. To be called before the copies run. */
  follow(copies: Pick<LocalCopies, 'follow'>): void;
  /** `reconcile`, after what is mapped to the key was brought inside. */
  before(type: ResourceType, reconcile: Reconcile): Reconcile;
  /** What is mapped into a namespace waits for it. */
  namespaceChanged(namespace: KubeObject): void;
}

export function createMappedObjects({
  pairs,
  virtual,
  queue,
  clock,
  view,
}: MappedObjectsDeps): MappedObjects {
  const { configMaps, secrets } = view.context.sync.fromHost;
  /** What the host has, by the key inside. */
  const sources = new Map<string, { store: ReadStore<KubeObject>; hasSynced(): boolean }>();
  const wanted: [ResourceType, Mapping][] = [
    ...configMaps.map((mapping): [ResourceType, Mapping] => [CONFIG_MAPS, mapping]),
    ...secrets.map((mapping): [ResourceType, Mapping] => [SECRETS, mapping]),
  ];
  const shown = [configMapsInside, secretsInside].map((toVirtual) => kindOf(toVirtual, sourceOf));

  function sourceOf(type: ResourceType, key: ObjectKey): KubeObject | undefined {
    return sources.get(kindKey(type, key))?.store.list()[0];
  }

  const reconcilers = new Map(
    shown.flatMap((kind) => {
      if (!pairs.has(kindId(kind.type))) return [];
      const virtuals = copyOf<KubeObject>(pairs, kind.type).virtual;
      const sync = createUpwardSync(kind, {
        client: virtual,
        virtuals,
        view,
        isServed: () => true,
        queue,
        clock,
      });
      return [[kindId(kind.type), sync.reconcile] as const];
    }),
  );

  return {
    follow(copies) {
      for (const [type, { from, to }] of wanted) {
        const store = createStore<KubeObject>();
        const key = kindKey(type, objectKey(to));
        const look = () => queue.add(key);
        // The right to read is one for this name alone, which a list has only when it selects the name.
        const selection = {
          namespace: from.namespace,
          fieldSelector: `metadata.name=${from.name}`,
          onRelist: look,
        };
        const { hasSynced } = copies.follow<KubeObject>(type, store, look, selection);
        sources.set(key, { store, hasSynced });
      }
    },
    before(type, reconcile) {
      const show = reconcilers.get(kindId(type));
      if (!show) return reconcile;
      return async (key, signal) => {
        // What may not be read (any more) may still be there.
        if (sources.get(kindKey(type, key))?.hasSynced() ?? true) await show(key, signal);
        await reconcile(key, signal);
      };
    },
    namespaceChanged({ metadata }) {
      for (const [type, { to }] of wanted)
        if (to.namespace === metadata.name) queue.add(kindKey(type, objectKey(to)));
    },
  };
}

interface Shown {
  type: ResourceType;
  /** What is shown of an object, without its metadata. */
  body(source: KubeObject): object;
}

const configMapsInside: Shown = {
  type: CONFIG_MAPS,
  body: (source) => {
    const { data, binaryData } = source as ConfigMap;
    return defined({ data: data && dictionary(data), binaryData: binaryData && dictionary(binaryData) });
  },
};

const secretsInside: Shown = {
  type: SECRETS,
  body: (source) => {
    const { type, data } = source as Secret;
    return defined({ type: plainType(type), data: data && dictionary(data) });
  },
};

function kindOf(
  { type, body }: Shown,
  sourceOf: (type: ResourceType, key: ObjectKey) => KubeObject | undefined,
): UpwardKind<KubeObject> {
  return {
    type,
    // The type of a Secret never changes, nor does anything of what somebody made immutable.
    isReplaced: true,
    createStore: () => createStore<KubeObject>(),
    lingerMs: 0,
    observes: [],
    source: (key) => {
      const source = sourceOf(type, key);
      return source && { ...source, metadata: { ...source.metadata, ...parseKey(key) } };
    },
    toVirtual: (source, virtual) => ({
      apiVersion: virtual?.apiVersion,
      kind: virtual?.kind,
      ...body(source),
      metadata: {
        ...virtual?.metadata,
        namespace: source.metadata.namespace,
        name: source.metadata.name,
      },
    }),
  };
}
