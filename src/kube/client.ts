// The Kubernetes API in the verbs it has, over the transport. Knows nothing of any kind of object.
import { InvalidInputError } from '../lib/errors.ts';
import { jsonLines, malformed, readText } from './body.ts';
import { errorOfStatus, type KubeError } from './errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  type KubeStatus,
  type ObjectName,
  type ResourceType,
  resourcePath,
} from './resource.ts';
import type { KubeTransport, TransportRequest, TransportResponse } from './transport.ts';

export interface CallOptions {
  signal: AbortSignal;
  /** Default 30 s. */
  timeoutMs?: number;
}

export interface ListOptions extends CallOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan';
}

export interface KubeList<T> {
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
  items: T[];
}

export interface WatchOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  resourceVersion: string;
  /** The server ends the watch after this long. */
  timeoutSeconds: number;
  /** The stream is ended with an error when nothing, not even a bookmark, arrives for this long. */
  idleTimeoutMs: number;
  signal: AbortSignal;
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: KubeObject }
  | { type: 'ERROR'; object: KubeStatus };

export interface DeleteOptions extends CallOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  preconditions?: { uid?: string; resourceVersion?: string };
}

export interface ApplyOptions extends CallOptions {
  fieldManager: string;
  force?: boolean;
}

/** A JSON merge patch (RFC 7386) or a list of JSON Patch operations (RFC 6902). */
export type Patch =
  | { type: 'merge'; body: object }
  | { type: 'json'; body: { op: string; path: string; value?: unknown }[] };

/**
 * Every call rejects with a `KubeError` (src/kube/errors.ts) when the API refuses, with `UnavailableError` when it cannot be
 * reached, with `TimeoutError` after `timeoutMs`, with the signal's reason when aborted, and with `InvalidInputError` when an
 * object's name is missing. Nothing is retried here. What is sent needs no `apiVersion` and `kind`: they are those of `type`.
 */
export interface KubeClient {
  get<T extends KubeObject>(type: ResourceType, name: ObjectName, options: CallOptions): Promise<T>;
  /** One page. Items have their `apiVersion` and `kind`, as if read one by one (the API leaves them out of lists). */
  list<T extends KubeObject>(type: ResourceType, options: ListOptions): Promise<KubeList<T>>;
  /** POST to the collection, or to a sub-resource such as `binding`, `eviction` or `token` of the object `name`. */
  create<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: CallOptions & { subresource?: string; name?: string },
  ): Promise<T>;
  /** PUT; with `metadata.resourceVersion` set it is refused with a conflict when the object has moved on. */
  update<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: CallOptions & { subresource?: string },
  ): Promise<T>;
  patch<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    patch: Patch,
    options: CallOptions & { subresource?: string },
  ): Promise<T>;
  /** Server-side apply. */
  apply<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: ApplyOptions & { subresource?: string },
  ): Promise<T>;
  delete(type: ResourceType, name: ObjectName, options: DeleteOptions): Promise<void>;
  /**
   * The changes after `resourceVersion`, bookmarks included. Ends when the server ends the watch after `timeoutSeconds`;
   * refusals inside the stream are `ERROR` events, handed on. Leaving the loop ends the watch.
   */
  watch<T extends KubeObject>(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** Any other path of the API, `/readyz` or `/version` for example: the body as text. */
  text(path: string, options: CallOptions): Promise<string>;
  close(): Promise<void>;
}

/** Lists are paged by whoever reads many objects; one page of 500 large objects fits. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** The API server refuses objects beyond 3 MiB; an event holds one object. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;

const MAX_REFUSAL_BYTES = 1024 * 1024;

const DEFAULT_TIMEOUT_MS = 30_000;

const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  // YAML is a superset of JSON; the API has no media type for an apply patch in JSON.
  apply: 'application/apply-patch+yaml',
} as const;

interface Call {
  method: TransportRequest['method'];
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: object;
  contentType?: string;
  accept?: string;
}

export function createKubeClient(transport: KubeTransport): KubeClient {
  async function send(call: Call, signal: AbortSignal, timeoutMs: number, streaming: boolean) {
    const { method, path, query, body, contentType = 'application/json', accept = 'application/json' } = call;
    const response = await transport.request({
      method,
      path: path + queryString(query),
      headers: body ? { accept, 'content-type': contentType } : { accept },
      body: body && JSON.stringify(body),
      timeoutMs,
      streaming,
      signal,
    });
    if (response.status < 200 || response.status > 299) throw await refusal(response, signal);
    return response.body;
  }

  async function callText(call: Call, { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions) {
    return readText(await send(call, signal, timeoutMs, false), MAX_BODY_BYTES, signal);
  }

  async function callJson<T>(call: Call, options: CallOptions): Promise<T> {
    const text = await callText(call, options);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw malformed(`the answer to ${call.method} ${call.path} is not JSON`, cause);
    }
  }

  return {
    get: async (type, name, options) => callJson({ method: 'GET', path: objectPath(type, name) }, options),

    async list<T extends KubeObject>(type: ResourceType, options: ListOptions): Promise<KubeList<T>> {
      const { signal, timeoutMs, namespace, ...query } = options;
      const path = resourcePath(type, { namespace });
      const list = await callJson<KubeList<T> & { items: T[] | null }>(
        { method: 'GET', path, query },
        { signal, timeoutMs },
      );
      const identity = identityOf(type);
      return { metadata: list.metadata, items: (list.items ?? []).map((item) => ({ ...identity, ...item })) };
    },

    create: async (type, object, { subresource, name = object.metadata.name, ...options }) => {
      const { namespace } = object.metadata;
      const path = subresource
        ? objectPath(type, { namespace, name }, subresource)
        : resourcePath(type, { namespace });
      return callJson({ method: 'POST', path, body: { ...identityOf(type), ...object } }, options);
    },

    update: async (type, object, { subresource, ...options }) =>
      callJson(
        {
          method: 'PUT',
          path: objectPath(type, object.metadata, subresource),
          body: { ...identityOf(type), ...object },
        },
        options,
      ),

    patch: async (type, name, patch, { subresource, ...options }) =>
      callJson(
        {
          method: 'PATCH',
          path: objectPath(type, name, subresource),
          body: patch.body,
          contentType: PATCH_TYPES[patch.type],
        },
        options,
      ),

    apply: async (type, object, { subresource, fieldManager, force, ...options }) =>
      callJson(
        {
          method: 'PATCH',
          path: objectPath(type, object.metadata, subresource),
          query: { fieldManager, force },
          body: { ...identityOf(type), ...object },
          contentType: PATCH_TYPES.apply,
        },
        options,
      ),

    async delete(type, name, { signal, timeoutMs, ...deleteOptions }) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...deleteOptions };
      await callText({ method: 'DELETE', path: objectPath(type, name), body }, { signal, timeoutMs });
    },

    async *watch<T extends KubeObject>(type: ResourceType, options: WatchOptions) {
      const { signal, namespace, idleTimeoutMs, ...selection } = options;
      const query = { ...selection, watch: true, allowWatchBookmarks: true };
      const call: Call = { method: 'GET', path: resourcePath(type, { namespace }), query };
      const body = await send(call, signal, Math.min(DEFAULT_TIMEOUT_MS, idleTimeoutMs), true);
      yield* jsonLines(body, {
        maxLineBytes: MAX_EVENT_BYTES,
        idleTimeoutMs,
        signal,
      }) as AsyncIterable<WatchEvent<T>>;
    },

    text: (path, options) => callText({ method: 'GET', path, accept: '*/*' }, options),

    close: () => transport.close(),
  };
}

function identityOf(type: ResourceType): { apiVersion: string; kind: string } {
  return { apiVersion: apiVersionOf(type), kind: type.kind };
}

/**
 * The path of one object. An empty name would make it the path of the whole collection, which DELETE empties; the API has no
 * objects named `.` or `..` either, which a proxy in between might resolve to another path.
 */
function objectPath(
  type: ResourceType,
  { namespace, name }: { namespace?: string; name?: string },
  subresource?: string,
): string {
  if (!name || name === '.' || name === '..') {
    throw new InvalidInputError({ code: 'InvalidName', message: `"${name ?? ''}" names no ${type.kind}` });
  }
  return resourcePath(type, { namespace, name, subresource });
}

function queryString(query: Call['query'] = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size > 0 ? `?${search}` : '';
}

async function refusal(
  { status, headers, body }: TransportResponse,
  signal: AbortSignal,
): Promise<KubeError> {
  const text = await readText(body, MAX_REFUSAL_BYTES, signal);
  const retryAfterSeconds = Number(headers['retry-after']);
  const retryAfterMs = retryAfterSeconds > 0 ? retryAfterSeconds * 1000 : undefined;
  return errorOfStatus(parseStatus(text), status, retryAfterMs);
}

/** A proxy in between, or the API server while it starts, refuses in plain text. */
function parseStatus(text: string): KubeStatus {
  try {
    const status = JSON.parse(text) as KubeStatus;
    if (status?.kind === 'Status') return status;
  } catch {
    // Not JSON: the text itself is all there is to say.
  }
  return { kind: 'Status', message: text.trim().slice(0, 500) || undefined };
}
