// The part of the kubelet's HTTP API that kube-apiserver uses, parsed once from the request line. What is not in canonical
// form is no route: a second reading of the same path further on could only differ.

export interface PodRoute {
  namespace: string;
  pod: string;
  /** When the caller knows which pod of that name it means. */
  uid?: string;
}

export interface StreamRoute extends PodRoute {
  kind: 'exec' | 'attach';
  container: string;
  query: URLSearchParams;
}

export interface PortForwardRoute extends PodRoute {
  kind: 'portForward';
  query: URLSearchParams;
}

export interface LogsRoute extends PodRoute {
  kind: 'logs';
  container: string;
  query: URLSearchParams;
}

export type Route =
  | { kind: 'healthz' | 'pods' | 'summary' | 'resource' }
  | LogsRoute
  | StreamRoute
  | PortForwardRoute;

/** Paths of names and nothing else: no escapes, no empty or dot segments, no parameters, no absolute form. */
const CANONICAL_PATH = /^(\/[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)+$/;

/** @returns undefined when there is no such route; the path of the request then was not looked at any further. */
export function parseRoute(method: string, url: string): Route | undefined {
  const queryStart = url.indexOf('?');
  const path = queryStart < 0 ? url : url.slice(0, queryStart);
  if (!CANONICAL_PATH.test(path) || path.includes('..')) return undefined;
  const query = new URLSearchParams(queryStart < 0 ? '' : url.slice(queryStart + 1));
  const [, root, ...rest] = path.split('/');
  switch (root) {
    case 'healthz':
    case 'pods':
      return method === 'GET' && rest.length === 0 ? { kind: root } : undefined;
    case 'stats':
      return method === 'GET' && rest.join('/') === 'summary' ? { kind: 'summary' } : undefined;
    case 'metrics':
      return method === 'GET' && rest.join('/') === 'resource' ? { kind: 'resource' } : undefined;
    case 'containerLogs': {
      const [namespace, pod, container] = rest;
      if (method !== 'GET' || rest.length !== 3 || !namespace || !pod || !container) return undefined;
      return { kind: 'logs', namespace, pod, container, query };
    }
    case 'exec':
    case 'attach': {
      const [namespace, pod, uid, container] =
        rest.length === 3 ? [rest[0], rest[1], undefined, rest[2]] : rest;
      if (!isStreamMethod(method) || rest.length > 4 || !namespace || !pod || !container) return undefined;
      return { kind: root, namespace, pod, uid, container, query };
    }
    case 'portForward': {
      const [namespace, pod, uid] = rest;
      if (!isStreamMethod(method) || rest.length > 3 || !namespace || !pod) return undefined;
      return { kind: root, namespace, pod, uid, query };
    }
    default:
      return undefined;
  }
}

/** WebSocket clients can only GET, SPDY clients POST. */
function isStreamMethod(method: string): boolean {
  return method === 'GET' || method === 'POST';
}
