// The local copy of a collection that reconciles read instead of asking the API server.
import { type KubeObject, keyOf, type ObjectKey } from './resource.ts';
import { isNewer } from './resource-version.ts';

/**
 * Reads never wait and see every change that was handed on before. Objects are shared and must never be modified by anybody;
 * lists are fresh arrays, in no order.
 */
export interface ReadStore<T extends KubeObject> {
  get(key: ObjectKey): T | undefined;
  list(): readonly T[];
  /** The objects for which the indexer named `index` gives `value`. An unknown index throws a `RangeError`. */
  byIndex(index: string, value: string): readonly T[];
  readonly size: number;
}

/**
 * `updated` may be a new object under an old name, when its deletion was not seen: compare `metadata.uid` where that matters.
 * The `previous` of `deleted` is the last that was seen of the object.
 */
export type Change<T> =
  | { type: 'added'; object: T }
  | { type: 'updated'; object: T; previous: T }
  | { type: 'deleted'; previous: T };

/** Whoever fills a store: one reflector. */
export interface Store<T extends KubeObject> extends ReadStore<T> {
  /**
   * Makes the store hold exactly `objects`, in one step: no read sees a part of it.
   * @returns how it differs from before; an object with the same uid and resource version as before is no change.
   */
  replace(objects: readonly T[]): Change<T>[];
  /**
   * Takes one event of a watch. Events of one watch are in order, so the last one wins, whatever its resource version: that of
   * a restored API server may be lower. Only an answer that was `learned` is not undone by events from before it.
   * @returns nothing when the store held this very version, or was told to delete what it does not hold.
   */
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): Change<T> | undefined;
  /**
   * Takes the API server's answer to a write, before the watch tells of it.
   * @returns nothing when the store holds no older version of the object: the watch was faster, or the object is gone.
   */
  learn(object: T): Change<T> | undefined;
}

export interface StoreOptions<T extends KubeObject> {
  /** By the name of the index: the values under which an object is found. Pure, and without duplicates. */
  indexers?: Record<string, (object: T) => readonly string[]>;
  /** What is kept of an object, a new object when it differs. Default: everything but `managedFields`. */
  transform?: (object: T) => T;
}

/** The field managers' book-keeping is often half of an object, and nothing here reads it. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields, ...metadata } = object.metadata;
  return managedFields ? { ...object, metadata } : object;
}

type Index = Map<string, Set<ObjectKey>>;

export function createStore<T extends KubeObject>({
  indexers = {},
  transform = withoutManagedFields,
}: StoreOptions<T> = {}): Store<T> {
  let objects = new Map<ObjectKey, T>();
  const indexes = new Map<string, Index>(Object.keys(indexers).map((name) => [name, new Map()]));
  /** What the watch has still to tell. */
  const learned = new Set<ObjectKey>();

  function reindex(key: ObjectKey, previous: T | undefined, next: T | undefined): void {
    for (const [name, index] of indexes) {
      const valuesOf = indexers[name] ?? (() => []);
      const before = previous ? valuesOf(previous) : [];
      const after = next ? valuesOf(next) : [];
      for (const value of before) {
        if (!after.includes(value)) removeFrom(index, value, key);
      }
      for (const value of after) {
        const keys = index.get(value);
        if (keys) keys.add(key);
        else index.set(value, new Set([key]));
      }
    }
  }

  function put(key: ObjectKey, received: T, previous: T | undefined): Change<T> {
    const object = transform(received);
    objects.set(key, object);
    reindex(key, previous, object);
    return previous ? { type: 'updated', object, previous } : { type: 'added', object };
  }

  return {
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    byIndex(name, value) {
      const index = indexes.get(name);
      if (!index) throw new RangeError(`the store has no index "${name}"`);
      return [...(index.get(value) ?? [])].flatMap((key) => objects.get(key) ?? []);
    },
    get size() {
      return objects.size;
    },

    replace(replacement) {
      const before = objects;
      const changes: Change<T>[] = [];
      objects = new Map();
      learned.clear();
      for (const received of replacement) {
        const key = keyOf(received);
        const previous = before.get(key);
        if (previous && isSameVersion(previous, received)) {
          objects.set(key, previous);
          continue;
        }
        changes.push(put(key, received, previous));
      }
      for (const [key, previous] of before) {
        if (objects.has(key)) continue;
        reindex(key, previous, undefined);
        changes.push({ type: 'deleted', previous });
      }
      return changes;
    },

    apply(type, received) {
      const key = keyOf(received);
      const previous = objects.get(key);
      if (learned.has(key) && previous && isNewer(previous, received)) return undefined;
      learned.delete(key);
      if (type === 'DELETED') {
        if (!previous) return undefined;
        objects.delete(key);
        reindex(key, previous, undefined);
        return { type: 'deleted', previous: transform(received) };
      }
      if (previous && isSameVersion(previous, received)) return undefined;
      return put(key, received, previous);
    },

    learn(received) {
      const key = keyOf(received);
      const previous = objects.get(key);
      if (!previous || !isNewer(received, previous)) return undefined;
      learned.add(key);
      return put(key, received, previous);
    },
  };
}

function isSameVersion(one: KubeObject, other: KubeObject): boolean {
  const { uid, resourceVersion } = other.metadata;
  return (
    resourceVersion !== undefined &&
    one.metadata.resourceVersion === resourceVersion &&
    one.metadata.uid === uid
  );
}

function removeFrom(index: Index, value: string, key: ObjectKey): void {
  const keys = index.get(value);
  keys?.delete(key);
  if (keys?.size === 0) index.delete(value);
}
