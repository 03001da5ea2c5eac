// A Kubernetes API in memory, for unit tests: names, UIDs, resource versions, generations, finalizers, preconditions, label
// selectors and watches behave as the API's documentation says. Knows nothing of any kind's own rules.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient, WatchEvent } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  keyOf,
  objectKey,
  type ResourceType,
} from '../../src/kube/resource.ts';

type MemoryVerbs = Pick<KubeClient, 'get' | 'list' | 'create' | 'update' | 'delete' | 'watch'>;

export interface MemoryKube extends MemoryVerbs {
  /** Replaces `status` as its controller would. */
  setStatus(type: ResourceType, name: { namespace?: string; name: string }, status: object): Promise<void>;
  /** Removes the finalizers, and with them what was deleted before. */
  finalize(type: ResourceType, name: { namespace?: string; name: string }): Promise<void>;
}

interface Watcher {
  type: ResourceType;
  namespace?: string;
  push(event: WatchEvent<KubeObject>): void;
}

export function createMemoryKube(): MemoryKube {
  const collections = new Map<string, Map<string, KubeObject>>();
  const watchers = new Set<Watcher>();
  let version = 0;

  const collectionOf = (type: ResourceType) => {
    const id = `${type.group}/${type.plural}`;
    const known = collections.get(id) ?? new Map<string, KubeObject>();
    collections.set(id, known);
    return known;
  };

  function read(type: ResourceType, key: string): KubeObject {
    const object = collectionOf(type).get(key);
    if (!object) throw refusal(404, 'NotFound', `${type.plural} "${key}" not found`);
    return object;
  }

  function announce(type: ResourceType, event: Exclude<WatchEvent<KubeObject>, { type: 'ERROR' }>) {
    for (const watcher of watchers) {
      const isSeen = !watcher.namespace || watcher.namespace === event.object.metadata.namespace;
      if (watcher.type.plural === type.plural && isSeen) watcher.push(structuredClone(event));
    }
  }

  function write(type: ResourceType, object: KubeObject): KubeObject {
    const key = keyOf(object);
    const collection = collectionOf(type);
    const written = { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } };
    if (written.metadata.deletionTimestamp && !written.metadata.finalizers?.length) {
      collection.delete(key);
      announce(type, { type: 'DELETED', object: written });
    } else {
      const isNew = !collection.has(key);
      collection.set(key, written);
      announce(type, { type: isNew ? 'ADDED' : 'MODIFIED', object: written });
    }
    return structuredClone(written);
  }

  // The generic methods of the client promise whatever type the caller names; memory holds what was put in.
  const as = <T extends KubeObject>(object: KubeObject) => object as T;

  return {
    async get<T extends KubeObject>(type: ResourceType, name: { namespace?: string; name: string }) {
      return as<T>(structuredClone(read(type, objectKey(name))));
    },

    async list<T extends KubeObject>(
      type: ResourceType,
      { namespace, labelSelector }: { namespace?: string; labelSelector?: string },
    ) {
      const items = [...collectionOf(type).values()]
        .filter((object) => !namespace || object.metadata.namespace === namespace)
        .filter((object) => matches(object, labelSelector))
        .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
      return {
        metadata: { resourceVersion: String(version) },
        items: items.map((item) => as<T>(structuredClone(item))),
      };
    },

    async create<T extends KubeObject>(type: ResourceType, object: T) {
      if (collectionOf(type).has(keyOf(object))) {
        throw refusal(409, 'AlreadyExists', `${type.plural} "${object.metadata.name}" already exists`);
      }
      const metadata = {
        ...object.metadata,
        uid: randomUUID(),
        generation: 1,
        creationTimestamp: new Date().toISOString(),
      };
      const created = {
        apiVersion: apiVersionOf(type),
        kind: type.kind,
        ...structuredClone(object),
        metadata,
      };
      return as<T>(write(type, created));
    },

    async update<T extends KubeObject>(type: ResourceType, object: T) {
      const before = read(type, keyOf(object));
      const { resourceVersion } = object.metadata;
      if (resourceVersion && resourceVersion !== before.metadata.resourceVersion) {
        throw refusal(409, 'Conflict', 'the object has been modified');
      }
      const specOf = (candidate: KubeObject) => ('spec' in candidate ? candidate.spec : undefined);
      const isChanged = !isDeepStrictEqual(specOf(before), specOf(object));
      const generation = (before.metadata.generation ?? 0) + (isChanged ? 1 : 0);
      const metadata = { ...object.metadata, uid: before.metadata.uid, generation };
      return as<T>(write(type, { ...structuredClone(object), metadata }));
    },

    async delete(type, name, { preconditions = {} }) {
      const before = read(type, objectKey(name));
      const { uid, resourceVersion } = preconditions;
      if (
        (uid && uid !== before.metadata.uid) ||
        (resourceVersion && resourceVersion !== before.metadata.resourceVersion)
      ) {
        throw refusal(409, 'Conflict', 'the precondition does not hold');
      }
      if (before.metadata.deletionTimestamp) return;
      write(type, {
        ...before,
        metadata: { ...before.metadata, deletionTimestamp: new Date().toISOString() },
      });
    },

    async *watch<T extends KubeObject>(
      type: ResourceType,
      { namespace, signal }: { namespace?: string; signal: AbortSignal },
    ): AsyncGenerator<WatchEvent<T>> {
      const events: WatchEvent<T>[] = [];
      let wake = Promise.withResolvers<void>();
      const watcher: Watcher = {
        type,
        namespace,
        push(event) {
          events.push(event as WatchEvent<T>);
          wake.resolve();
        },
      };
      watchers.add(watcher);
      signal.addEventListener('abort', () => wake.resolve(), { once: true });
      try {
        for (;;) {
          yield* events.splice(0);
          signal.throwIfAborted();
          if (events.length > 0) continue;
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
      } finally {
        watchers.delete(watcher);
      }
    },

    async setStatus(type, name, status) {
      write(type, { ...read(type, objectKey(name)), ...{ status: structuredClone(status) } });
    },

    async finalize(type, name) {
      const before = read(type, objectKey(name));
      write(type, { ...before, metadata: { ...before.metadata, finalizers: [] } });
    },
  };
}

function matches({ metadata }: KubeObject, labelSelector = ''): boolean {
  return labelSelector
    .split(',')
    .filter(Boolean)
    .every((requirement) => {
      const [label = '', value] = requirement.split('=');
      return metadata.labels?.[label] === value;
    });
}

function refusal(status: number, reason: string, message: string): KubeError {
  return new KubeError({ status, reason, message });
}
