// A whole API server in memory, for unit tests of what reconciles between two of them: versions, conflicts, preconditions,
// graceful deletion, sub-resources, watches. It validates nothing and defaults nothing; integration tests use the real one.
import { randomUUID } from 'node:crypto';
import type { KubeClient, WatchEvent } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  keyOf,
  objectKey,
  type ResourceType,
} from '../../src/kube/resource.ts';

export interface MemoryRequest {
  verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  type: ResourceType;
  namespace?: string;
  name?: string;
  subresource?: string;
  object?: KubeObject;
}

export interface MemoryApiServer {
  client: KubeClient;
  /** Everything asked for so far. */
  requests: MemoryRequest[];
  /** The requests that change something. */
  writes(): MemoryRequest[];
  /** Puts an object there as another client would. */
  put<T extends KubeObject>(type: ResourceType, object: T): T;
  /** Changes an object as another client would. */
  change<T extends KubeObject>(type: ResourceType, key: string, change: (object: T) => void): T;
  /** Takes an object away at once, finalizers or not. */
  remove(type: ResourceType, key: string): void;
  get<T extends KubeObject>(type: ResourceType, key: string): T | undefined;
  list<T extends KubeObject>(type: ResourceType): T[];
  /** Takes the kind away with all its objects, as the deletion of a CustomResourceDefinition does. */
  withdraw(type: ResourceType): void;
  /** Serves a withdrawn kind again, without objects. */
  serve(type: ResourceType): void;
  /** Called before each request is served: throws to refuse it. */
  intercept: ((request: MemoryRequest) => void) | undefined;
}

type Stored = KubeObject & { status?: unknown; spec?: { nodeName?: string } };
/** Without an event: the kind was withdrawn. */
type Listener = (type: ResourceType, event?: WatchEvent<KubeObject>) => void;

const WITH_STATUS = new Set([
  'pods',
  'services',
  'nodes',
  'persistentvolumeclaims',
  'persistentvolumes',
  'volumesnapshots',
]);
const idOf = ({ group, plural }: ResourceType) => `${group}/${plural}`;

export function createMemoryApiServer(): MemoryApiServer {
  const collections = new Map<string, Map<string, Stored>>();
  const listeners = new Set<Listener>();
  const requests: MemoryRequest[] = [];
  const withdrawn = new Set<string>();
  let version = 0;

  const collection = (type: ResourceType) => {
    const id = idOf(type);
    const found = collections.get(id) ?? new Map<string, Stored>();
    collections.set(id, found);
    return found;
  };
  const announce = (type: ResourceType, event: WatchEvent<KubeObject>) => {
    for (const listener of listeners) listener(type, event);
  };

  function store(type: ResourceType, object: Stored, event: 'ADDED' | 'MODIFIED'): Stored {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: `${++version}` } };
    collection(type).set(keyOf(stored), stored);
    announce(type, { type: event, object: structuredClone(stored) });
    return structuredClone(stored);
  }

  function drop(type: ResourceType, object: Stored): void {
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: `${++version}` } };
    collection(type).delete(keyOf(object));
    announce(type, { type: 'DELETED', object: structuredClone(last) });
  }

  function find(type: ResourceType, key: string): Stored {
    const object = collection(type).get(key);
    if (!object) throw refusal(404, 'NotFound', `${type.plural} "${key}" not found`);
    return object;
  }

  function insert(type: ResourceType, object: Stored): Stored {
    const metadata = structuredClone(object.metadata);
    if (!metadata.name && metadata.generateName) {
      metadata.name = `${metadata.generateName}${randomUUID().slice(0, 8)}`;
    }
    metadata.uid ??= randomUUID();
    metadata.creationTimestamp ??= new Date().toISOString();
    const created = { apiVersion: apiVersionOf(type), kind: type.kind, ...structuredClone(object), metadata };
    if (collection(type).has(keyOf(created))) {
      throw refusal(409, 'AlreadyExists', `${type.plural} "${metadata.name}" already exists`);
    }
    return store(type, created, 'ADDED');
  }

  function replace(type: ResourceType, object: Stored, subresource?: string): Stored {
    const current = find(type, keyOf(object));
    const { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, resourceVersion } =
      current.metadata;
    if (object.metadata.resourceVersion && object.metadata.resourceVersion !== resourceVersion) {
      throw refusal(409, 'Conflict', 'the object has been modified');
    }
    const next: Stored =
      subresource === 'status'
        ? { ...current, status: object.status }
        : { ...object, ...(WITH_STATUS.has(type.plural) ? { status: current.status } : {}) };
    next.metadata = {
      ...next.metadata,
      uid,
      creationTimestamp,
      deletionTimestamp,
      deletionGracePeriodSeconds,
      resourceVersion,
    };
    if (JSON.stringify(next) === JSON.stringify(current)) return structuredClone(current);
    return store(type, structuredClone(next), 'MODIFIED');
  }

  function bind(type: ResourceType, object: Stored, name: string): Stored {
    const current = find(type, objectKey({ namespace: object.metadata.namespace, name }));
    const node = (object as unknown as { target: { name: string } }).target.name;
    if (current.spec?.nodeName) throw refusal(409, 'Conflict', 'the pod is assigned to a node already');
    const status = current.status as { conditions?: { type: string; status: string }[] } | undefined;
    const conditions = [...(status?.conditions ?? []), { type: 'PodScheduled', status: 'True' }];
    const bound = {
      ...current,
      spec: { ...current.spec, nodeName: node },
      status: { ...status, conditions },
    };
    return store(type, bound, 'MODIFIED');
  }

  function requireServed(type: ResourceType): void {
    if (withdrawn.has(idOf(type))) throw refusal(404, 'Http404', '404 page not found');
  }

  async function served<T>(request: MemoryRequest, serve: () => T): Promise<T> {
    requests.push(request);
    memory.intercept?.(request);
    // As over a connection: nothing is answered in the same turn.
    await new Promise((resolve) => setImmediate(resolve));
    requireServed(request.type);
    return serve();
  }

  const client = {
    get: (type, name) =>
      served({ verb: 'get', type, ...name }, () => structuredClone(find(type, objectKey(name)))),
    list: (type, { namespace, labelSelector, fieldSelector }) =>
      served({ verb: 'list', type, namespace }, () => ({
        metadata: { resourceVersion: `${version}` },
        items: [...collection(type).values()]
          .filter((object) => isSelected(object, namespace, labelSelector, fieldSelector))
          .map((object) => structuredClone(object)),
      })),
    create: (type, object: Stored, { subresource, name }) =>
      served(
        { verb: 'create', type, namespace: object.metadata.namespace, name, subresource, object },
        () => {
          if (subresource === 'binding') return bind(type, object, name ?? '');
          if (subresource === 'token') return tokenFor(object);
          return insert(type, hasNoStatusAtFirst(type) ? { ...object, status: undefined } : object);
        },
      ),
    update: (type, object: Stored, { subresource }) =>
      served({ verb: 'update', type, subresource, object, ...nameOf(object) }, () =>
        replace(type, object, subresource),
      ),
    patch: (type, name, { body }) =>
      served({ verb: 'patch', type, ...name }, () =>
        replace(type, { ...find(type, objectKey(name)), ...body }),
      ),
    apply: () => Promise.reject(new RangeError('the API server in memory has no server-side apply')),
    delete: (type, name, { gracePeriodSeconds, preconditions }) =>
      served({ verb: 'delete', type, ...name }, () => {
        const current = find(type, objectKey(name));
        if (preconditions?.uid && preconditions.uid !== current.metadata.uid) {
          throw refusal(409, 'Conflict', 'the uid in the precondition is another');
        }
        const { resourceVersion } = current.metadata;
        if (preconditions?.resourceVersion && preconditions.resourceVersion !== resourceVersion) {
          throw refusal(409, 'Conflict', 'the resource version in the precondition is another');
        }
        const onNode = type.plural === 'pods' && Boolean(current.spec?.nodeName);
        const grace = onNode ? (gracePeriodSeconds ?? 30) : 0;
        if (grace === 0 && (current.metadata.finalizers ?? []).length === 0) return drop(type, current);
        const metadata = {
          ...current.metadata,
          deletionTimestamp: current.metadata.deletionTimestamp ?? new Date().toISOString(),
          deletionGracePeriodSeconds: grace,
        };
        store(type, { ...current, metadata }, 'MODIFIED');
      }),
    watch: (type, { resourceVersion, namespace, labelSelector, fieldSelector, signal }) => {
      requests.push({ verb: 'watch', type, namespace });
      return watch(type, Number(resourceVersion), signal, (object) =>
        isSelected(object, namespace, labelSelector, fieldSelector),
      );
    },
    text: () => Promise.resolve('ok'),
    close: () => Promise.resolve(),
  } as KubeClient;

  async function* watch(
    type: ResourceType,
    since: number,
    signal: AbortSignal,
    isWatched: (object: KubeObject) => boolean,
  ): AsyncGenerator<WatchEvent<KubeObject>> {
    requireServed(type);
    const arrived: WatchEvent<KubeObject>[] = [...collection(type).values()]
      .filter((object) => Number(object.metadata.resourceVersion) > since)
      .map((object) => ({ type: 'ADDED' as const, object: structuredClone(object) }));
    let wake = () => {};
    const listener: Listener = ({ group, plural }, event) => {
      if (plural !== type.plural || group !== type.group) return;
      if (event) arrived.push(event);
      wake();
    };
    const onAbort = () => wake();
    listeners.add(listener);
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const event = arrived.shift();
        if (!event && withdrawn.has(idOf(type))) return;
        if (event && event.type !== 'ERROR' && isWatched(event.object)) yield event;
        else if (!event) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      listeners.delete(listener);
      signal.removeEventListener('abort', onAbort);
    }
  }

  const memory: MemoryApiServer = {
    client,
    requests,
    intercept: undefined,
    writes: () => requests.filter(({ verb }) => ['create', 'update', 'patch', 'delete'].includes(verb)),
    put: (type, object) => insert(type, object) as typeof object,
    change(type, key, change) {
      const object = structuredClone(find(type, key)) as never;
      change(object);
      return store(type, object, 'MODIFIED') as never;
    },
    remove: (type, key) => drop(type, find(type, key)),
    withdraw(type) {
      for (const object of [...collection(type).values()]) drop(type, object);
      withdrawn.add(idOf(type));
      for (const listener of listeners) listener(type);
    },
    serve: (type) => void withdrawn.delete(idOf(type)),
    get: <T extends KubeObject>(type: ResourceType, key: string) =>
      structuredClone(collection(type).get(key)) as T | undefined,
    list: <T extends KubeObject>(type: ResourceType) =>
      [...collection(type).values()].map((item) => structuredClone(item)) as T[],
  };
  return memory;
}

function isSelected(
  { metadata }: KubeObject,
  namespace?: string,
  labelSelector?: string,
  fieldSelector?: string,
): boolean {
  if (namespace && metadata.namespace !== namespace) return false;
  if (fieldSelector && fieldSelector !== `metadata.name=${metadata.name}`) return false;
  if (!labelSelector) return true;
  return labelSelector.split(',').every((part) => {
    const [key = '', value] = part.split('=');
    return metadata.labels?.[key] === value;
  });
}

/** The API takes the status of a new Node only. */
function hasNoStatusAtFirst({ plural }: ResourceType): boolean {
  return WITH_STATUS.has(plural) && plural !== 'nodes';
}

function nameOf({ metadata: { namespace, name } }: KubeObject): { namespace?: string; name?: string } {
  return { namespace, name };
}

function tokenFor(object: Stored): Stored {
  const { expirationSeconds } = (object as unknown as { spec: { expirationSeconds: number } }).spec;
  const expirationTimestamp = new Date(Date.now() + expirationSeconds * 1000).toISOString();
  return { ...object, status: { token: `token-${randomUUID()}`, expirationTimestamp } } as Stored;
}

function refusal(status: number, reason: string, message: string): KubeError {
  return new KubeError({ status, reason, message });
}
