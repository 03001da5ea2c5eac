// The host API's path for what the kubelet was asked: built from parsed parts only, with the API's names for the options.
import { PODS, resourcePath } from '../../kube/resource.ts';
import { InvalidInputError } from '../../lib/errors.ts';
import type { LogsRoute, PortForwardRoute, StreamRoute } from './route.ts';

export interface HostPod {
  namespace: string;
  name: string;
}

const LOG_OPTIONS: Record<string, RegExp> = {
  follow: /^(true|false)$/,
  previous: /^(true|false)$/,
  timestamps: /^(true|false)$/,
  sinceSeconds: /^\d{1,15}$/,
  sinceTime: /^[0-9T:.+Z-]{1,40}$/,
  tailLines: /^\d{1,15}$/,
  limitBytes: /^\d{1,15}$/,
  stream: /^(All|Stdout|Stderr)$/,
};

/** The kubelet's names of the streams (kubernetes/pkg/apis/core, `Exec…Param`), and those of `PodExecOptions`. */
const STREAM_OPTIONS = { input: 'stdin', output: 'stdout', error: 'stderr', tty: 'tty' } as const;

const MAX_PORTS = 64;

/** @throws InvalidInputError for an option that is not of its type. */
export function hostPath(route: LogsRoute | StreamRoute | PortForwardRoute, pod: HostPod): string {
  switch (route.kind) {
    case 'logs':
      return podPath(pod, 'log', logQuery(route));
    case 'exec':
    case 'attach':
      return podPath(pod, route.kind, streamQuery(route));
    case 'portForward':
      return podPath(pod, 'portforward', portQuery(route));
  }
}

function podPath(pod: HostPod, subresource: string, query: URLSearchParams): string {
  const path = resourcePath(PODS, { ...pod, subresource });
  return query.size > 0 ? `${path}?${query}` : path;
}

function logQuery({ container, query }: LogsRoute): URLSearchParams {
  const translated = new URLSearchParams({ container });
  for (const [option, form] of Object.entries(LOG_OPTIONS)) {
    const value = query.get(option);
    if (value === null || (option === 'stream' && value === 'All')) continue;
    if (!form.test(value)) throw invalid(option);
    translated.set(option, value);
  }
  return translated;
}

function streamQuery({ kind, container, query }: StreamRoute): URLSearchParams {
  const translated = new URLSearchParams({ container });
  for (const [option, name] of Object.entries(STREAM_OPTIONS)) {
    translated.set(name, String(query.get(option) === '1'));
  }
  if (kind === 'exec') for (const part of query.getAll('command')) translated.append('command', part);
  return translated;
}

/** Only a WebSocket names its ports here; SPDY clients name them stream by stream. */
function portQuery({ query }: PortForwardRoute): URLSearchParams {
  const ports = query.getAll('port').flatMap((list) => list.split(','));
  if (ports.length > MAX_PORTS || !ports.every((port) => /^[1-9]\d{0,4}$/.test(port))) throw invalid('port');
  return new URLSearchParams(ports.map((port): [string, string] => ['ports', port]));
}

function invalid(option: string): InvalidInputError {
  return new InvalidInputError({ code: 'BadRequest', message: `the query option "${option}" is not valid` });
}
