// The kubelet of every virtual node: TLS and dispatch. It listens nowhere; the egress gate hands over the streams that the
// API server dialled to `<node address>:10250`, and so says which node is meant.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { KUBELET_CLIENT_NAME } from '../../certificates/plan.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { UsageReader } from '../metrics/usage.ts';
import { INDEX } from '../stores.ts';
import { type Failure, failureOf } from './failure.ts';
import { findPod, type KubeletStores, podsOn } from './find-pod.ts';
import { parseRoute, type Route } from './route.ts';
import { carryStream, endWith, type HostAccess, sendLogs } from './streams.ts';
import { resourceMetrics, statsSummary } from './usage-pages.ts';

/** PEM. */
export interface KubeletTls {
  cert: string;
  key: string;
  /** Who signs the API server's client certificate. */
  clientCa: string;
}

export interface KubeletServerDeps {
  tls: KubeletTls;
  stores: KubeletStores;
  host: HostAccess;
  usage: Pick<UsageReader, 'read'>;
  logger: Logger;
  /** Logs, exec, attach and port-forward open at once; more are refused. */
  maxStreams: number;
}

export interface KubeletServer {
  /** Takes over a byte stream on which the API server is about to begin TLS. */
  accept(stream: Duplex, nodeAddress: string): void;
  /** Of connections from now on. */
  renew(tls: KubeletTls): void;
  /** To the host, open now. */
  readonly streams: number;
  /** Breaks every stream. */
  close(): Promise<void>;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Longer than the API server keeps an idle connection (90 s), so that it never writes on one being closed here. */
const KEEP_ALIVE_MS = 120_000;
/** Commands of `kubectl exec` come in the request line; as much as Go's servers take. */
const MAX_HEADER_BYTES = 1024 * 1024;

const NO_ROUTE: Failure = {
  status: 404,
  reason: 'NotFound',
  message: 'the virtual kubelet does not serve this path',
};
const NOT_THE_API_SERVER: Failure = {
  status: 403,
  reason: 'Forbidden',
  message: 'only the API server may ask the virtual kubelet',
};
/** Each is one of the host's API and of a kubelet, where a followed log takes one of the 128 inotify instances a node has. */
const tooMany = (maxStreams: number): Failure => ({
  status: 429,
  reason: 'TooManyRequests',
  message:
    `this virtual cluster has ${maxStreams} logs, exec, attach and port-forward streams open, as many as it may; ` +
    'end some of them and try again',
});

export function createKubeletServer(deps: KubeletServerDeps): KubeletServer {
  const { stores, host, usage, logger, maxStreams } = deps;
  let { tls } = deps;
  const stop = new AbortController();
  const connections = new Set<Duplex>();
  const streams = new Set<Promise<void>>();
  const answers = new Set<Promise<void>>();

  function track(all: Set<Promise<void>>, one: Promise<void>): void {
    const tracked = one.finally(() => all.delete(tracked));
    all.add(tracked);
  }

  async function usedOn(nodeAddress: string, signal: AbortSignal) {
    const pods = new Set(podsOn(nodeAddress, stores).map(({ metadata }) => metadata.uid));
    const used = (await usage.read(signal)).filter(({ pod }) => pods.has(pod.metadata.uid));
    const [node] = stores.virtual.nodes.byIndex(INDEX.byInternalIp, nodeAddress);
    return { nodeName: node?.metadata.name ?? '', used };
  }

  async function answer(
    route: Route | undefined,
    response: ServerResponse,
    nodeAddress: string,
  ): Promise<void> {
    switch (route?.kind) {
      case undefined:
        return fail(response, NO_ROUTE);
      case 'healthz':
        response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
        return;
      case 'pods':
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify({
            apiVersion: 'v1',
            kind: 'PodList',
            metadata: {},
            items: podsOn(nodeAddress, stores),
          }),
        );
        return;
      case 'summary': {
        const { nodeName, used } = await usedOn(nodeAddress, signalOf(response));
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(statsSummary(nodeName, used)));
        return;
      }
      case 'resource': {
        const { used } = await usedOn(nodeAddress, signalOf(response));
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
        response.end(resourceMetrics(used));
        return;
      }
      case 'logs': {
        const pod = findPod(route, nodeAddress, stores);
        const failure = await sendLogs(route, pod, response, host, signalOf(response));
        if (failure) fail(response, failure);
        return;
      }
      default:
        return fail(response, { status: 400, reason: 'BadRequest', message: 'upgrade request required' });
    }
  }

  function onRequest(request: IncomingMessage, response: ServerResponse, nodeAddress: string): void {
    // No route reads a body.
    request.resume();
    if (!isApiServer(request.socket as TLSSocket)) {
      fail(response, NOT_THE_API_SERVER);
      return;
    }
    const route = parseRoute(request.method ?? '', request.url ?? '');
    const isStream = route?.kind === 'logs';
    if (isStream && streams.size >= maxStreams) {
      fail(response, tooMany(maxStreams));
      return;
    }
    track(
      isStream ? streams : answers,
      answer(route, response, nodeAddress).catch((error: unknown) => {
        logger.debug({ reason: errorMessage(error) }, 'kubelet request failed');
        if (response.headersSent) response.destroy();
        else fail(response, failureOf(error));
      }),
    );
  }

  function onUpgrade(request: IncomingMessage, client: Duplex, head: Buffer, nodeAddress: string): void {
    client.on('error', () => client.destroy());
    const route = parseRoute(request.method ?? '', request.url ?? '');
    if (!isApiServer(request.socket as TLSSocket)) {
      endWith(client, NOT_THE_API_SERVER);
    } else if (route?.kind !== 'exec' && route?.kind !== 'attach' && route?.kind !== 'portForward') {
      endWith(client, NO_ROUTE);
    } else if (streams.size >= maxStreams) {
      endWith(client, tooMany(maxStreams));
    } else {
      const find = () => ({ route, pod: findPod(route, nodeAddress, stores) });
      track(streams, carryStream(find, request, client, head, host, signalOf(client)));
    }
  }

  /** Aborts when the other side is gone, or everything ends. */
  function signalOf(other: Duplex | ServerResponse): AbortSignal {
    const gone = new AbortController();
    other.once('close', () => gone.abort());
    return AbortSignal.any([stop.signal, gone.signal]);
  }

  return {
    accept(stream, nodeAddress) {
      if (stop.signal.aborted) {
        stream.destroy();
        return;
      }
      connections.add(stream);
      stream.once('close', () => connections.delete(stream));
      // A server of its own for each connection is how a request knows its node; it costs a third of a millisecond.
      const server = createServer({
        cert: tls.cert,
        key: tls.key,
        ca: tls.clientCa,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.2',
        ALPNProtocols: ['http/1.1'],
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: MAX_HEADER_BYTES,
      });
      server.on('request', (request, response) => onRequest(request, response, nodeAddress));
      server.on('upgrade', (request, client, head) => onUpgrade(request, client, head, nodeAddress));
      server.on('tlsClientError', () => stream.destroy());
      server.on('clientError', (_, client) => client.destroy());
      server.emit('connection', stream);
    },
    renew(renewed) {
      tls = renewed;
    },
    get streams() {
      return streams.size;
    },
    async close() {
      stop.abort();
      for (const connection of connections) connection.destroy();
      await Promise.all([...streams, ...answers]);
    },
  };
}

/** The authority signs other clients too: users, for example. */
function isApiServer(socket: TLSSocket): boolean {
  return socket.authorized && socket.getPeerCertificate().subject?.CN === KUBELET_CLIENT_NAME;
}

/** As the kubelet does: the API server wraps the text into its own `Status`. */
function fail(response: ServerResponse, { status, message }: Failure): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(message);
}
