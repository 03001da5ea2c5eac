// The API of each virtual cluster, reached through the service: requests and upgraded streams go to its API server with the
// caller's own token. Nothing here adds an identity: who has no token of the cluster gets nowhere.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ClusterAccess } from '../../environments/cluster-access.ts';
import type { Environment } from '../../environments/resource.ts';
import type { EnvironmentStore } from '../../environments/store.ts';
import type { KubeConnection } from '../../kube/connection.ts';
import type { KubeStatus } from '../../kube/resource.ts';
import { openUpgrade } from '../../kube/upgrade.ts';
import { errorMessage, MayflyError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { removeHopByHopButUpgrade, removeMatching } from './headers.ts';
import { createStreamingProxy, type ProxyTarget } from './streaming-proxy.ts';
import { responseOnSocket } from './upgrade-response.ts';
import { joinStreams, sendUpgradeAnswer } from './upgraded-stream.ts';

/** The API server ends ordinary requests after 60 s itself, and idle connections after 90 s. */
const ANSWER_TIMEOUT_MS = 70_000;
const UPGRADE_TIMEOUT_MS = 30_000;
const MAX_SOCKETS_PER_CLUSTER = 256;
const KEEP_ALIVE_MS = 15_000;

const BEARER = /^Bearer ([\x21-\x7e]{1,8192})$/i;

/**
 * What a client must not say to an API server behind a proxy: who a front proxy says it is, where it comes from, and cookies of
 * the service's own origin. `Impersonate-*` passes: it is judged by the cluster's own rules about the caller's own token.
 */
const REFUSED_REQUEST_HEADERS = /^(x-remote-|x-forwarded-|forwarded$|x-real-ip$|cookie$)/;

/** A token in a WebSocket subprotocol would go past the check of the header (Kubernetes' way for browsers). */
const TOKEN_PROTOCOL = /base64url\.bearer\.authorization\.k8s\.io/i;

export interface ClusterGateway {
  /** @param target path and query for the API server, canonical already. */
  handle(request: IncomingMessage, response: ServerResponse, name: string, target: string): Promise<void>;
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    name: string,
    target: string,
  ): Promise<void>;
  close(): void;
}

export interface ClusterGatewayDeps {
  store: Pick<EnvironmentStore, 'get' | 'subscribe'>;
  clusterAccess: Pick<ClusterAccess, 'connection'>;
  logger: Logger;
  /** Aborted when the process must end: streams break then. */
  shutdown: AbortSignal;
}

export function createClusterGateway({
  store,
  clusterAccess,
  logger,
  shutdown,
}: ClusterGatewayDeps): ClusterGateway {
  const agents = new Map<string, { agent: Agent; ca: string | undefined }>();
  const unsubscribe = store.subscribe((change) => {
    if (change.type !== 'deleted') return;
    const uid = change.previous.metadata.uid ?? '';
    agents.get(uid)?.agent.destroy();
    agents.delete(uid);
  });
  const proxy = createStreamingProxy({
    onRequest: ({ headers }) => removeMatching(headers, REFUSED_REQUEST_HEADERS),
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
    onAnswer({ headers }) {
      // What a tenant's app says through the API server's proxy must not act on the service's own origin.
      delete headers['set-cookie'];
      headers['content-security-policy'] = 'sandbox';
      headers['x-content-type-options'] = 'nosniff';
    },
    onFailure(error, _request, response) {
      logger.debug({ err: error }, 'virtual API server does not answer');
      sendStatus(response, unavailable('The API server of the environment does not answer'));
    },
  });

  function agentFor({ metadata }: Environment, { ca, servername }: KubeConnection): Agent {
    const uid = metadata.uid ?? '';
    const known = agents.get(uid);
    if (known && known.ca === ca) return known.agent;
    const agent = new Agent({
      ca,
      servername,
      keepAlive: true,
      keepAliveMsecs: KEEP_ALIVE_MS,
      maxSockets: MAX_SOCKETS_PER_CLUSTER,
      timeout: ANSWER_TIMEOUT_MS,
    });
    agents.set(uid, { agent, ca });
    return agent;
  }

  /** The token of the caller and the way to the cluster, or why there is none. An unknown environment is like a wrong token. */
  async function admit(
    { headers }: IncomingMessage,
    name: string,
  ): Promise<
    { token: string; environment: Environment; connection: KubeConnection } | { refusal: KubeStatus }
  > {
    const token = BEARER.exec(headers.authorization ?? '')?.[1];
    const environment = store.get(name);
    if (!token || !environment || TOKEN_PROTOCOL.test(headers['sec-websocket-protocol'] ?? '')) {
      return { refusal: unauthorized };
    }
    try {
      return { token, environment, connection: await clusterAccess.connection(environment, shutdown) };
    } catch (error) {
      logger.debug({ err: error, environment: name }, 'no way to the virtual cluster');
      const reason = error instanceof MayflyError ? errorMessage(error) : 'The environment cannot be reached';
      return { refusal: unavailable(reason) };
    }
  }

  return {
    async handle(request, response, name, target) {
      const admitted = await admit(request, name);
      if (response.destroyed) return;
      if ('refusal' in admitted) return sendStatus(response, admitted.refusal);
      const { environment, connection } = admitted;
      const upstream = targetOf(connection);
      request.headers.host = `${upstream.host}:${upstream.port}`;
      request.url = target;
      proxy.forward(request, response, upstream, agentFor(environment, connection));
    },

    async handleUpgrade(request, socket, head, name, target) {
      const gone = new AbortController();
      socket.on('error', () => socket.destroy());
      socket.once('close', () => gone.abort(new Error('the client has gone')));
      const admitted = await admit(request, name);
      if (socket.destroyed) return;
      if ('refusal' in admitted) return sendStatus(responseOnSocket(request, socket), admitted.refusal);

      const { token, connection } = admitted;
      const { server, ca, servername } = connection;
      const headers = { ...request.headers };
      removeHopByHopButUpgrade(headers);
      removeMatching(headers, REFUSED_REQUEST_HEADERS);
      delete headers.host;
      try {
        const result = await openUpgrade(
          { server, ca, servername, token: () => token },
          {
            method: request.method ?? 'GET',
            path: target,
            headers,
            signal: AbortSignal.any([gone.signal, shutdown]),
            timeoutMs: UPGRADE_TIMEOUT_MS,
          },
        );
        if (result.kind === 'response') {
          sendUpgradeAnswer(responseOnSocket(request, socket), result.response);
        } else {
          joinStreams(socket, head, result);
        }
      } catch (error) {
        logger.debug({ err: error, environment: name }, 'virtual API server does not upgrade');
        if (socket.destroyed) return;
        const status = unavailable('The API server of the environment does not answer');
        sendStatus(responseOnSocket(request, socket), status);
      }
    },

    close() {
      unsubscribe();
      for (const { agent } of agents.values()) agent.destroy();
      agents.clear();
    },
  };
}

function targetOf({ server }: KubeConnection): ProxyTarget {
  const { hostname, port } = new URL(server);
  return { protocol: 'https:', host: hostname, port: Number(port) || 443 };
}

/** In the API server's own words, so that clients of Kubernetes show it. */
const unauthorized: KubeStatus = {
  kind: 'Status',
  status: 'Failure',
  message: 'Unauthorized',
  reason: 'Unauthorized',
  code: 401,
};

function unavailable(message: string): KubeStatus {
  return { kind: 'Status', status: 'Failure', message, reason: 'ServiceUnavailable', code: 503 };
}

function sendStatus(response: ServerResponse, status: KubeStatus): void {
  const body = JSON.stringify({ apiVersion: 'v1', metadata: {}, ...status });
  response.writeHead(status.code ?? 500, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  response.end(body);
}
