// The Kubernetes API in the verbs it has, over the transport. Knows nothing of any kind of object.
import type { KubeObject, ObjectName, ResourceType } from './resource.ts';

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

/** The `Status` object of the API: what every refused request answers with. */
export interface KubeStatus {
  kind: 'Status';
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    name?: string;
    kind?: string;
    retryAfterSeconds?: number;
    causes?: { reason?: string; message?: string; field?: string }[];
  };
}

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
 * reached, with `TimeoutError` after `timeoutMs`, and with the signal's reason when aborted. Nothing is retried here.
 */
export interface KubeClient {
  get<T extends KubeObject>(type: ResourceType, name: ObjectName, options: CallOptions): Promise<T>;
  list<T extends KubeObject>(type: ResourceType, options: ListOptions): Promise<KubeList<T>>;
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
  watch<T extends KubeObject>(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** Any other path of the API, `/readyz` or `/version` for example: the body as text. */
  text(path: string, options: CallOptions): Promise<string>;
  close(): Promise<void>;
}
