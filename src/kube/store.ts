// The local copy of a collection that reconciles read instead of asking the API server.
import { type KubeObject, keyOf, type ObjectKey } from './resource.ts';

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
   * Takes one event of a watch. The last event wins: events of one watch are in order, and resource versions may be compared
   * for equality only (Kubernetes API concepts, "Resource versions").
   * @returns nothing when the store held this very version, or was told to delete what it does not hold.
   */
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): Change<T> | undefined;
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
      for (const received of replacement) {
        const key = keyOf(received);
        const previous = before.get(key);
        if (previous && isSameVersion(previous, received)) {
          objects.set(key, previous);
          continue;
        }
        const object = transform(received);
        objects.set(key, object);
        reindex(key, previous, object);
        changes.push(previous ? { type: 'updated', object, previous } : { type: 'added', object });
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
      if (type === 'DELETED') {
        if (!previous) return undefined;
        objects.delete(key);
        reindex(key, previous, undefined);
        return { type: 'deleted', previous: transform(received) };
      }
      if (previous && isSameVersion(previous, received)) return undefined;
      const object = transform(received);
      objects.set(key, object);
      reindex(key, previous, object);
      return previous ? { type: 'updated', object, previous } : { type: 'added', object };
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
