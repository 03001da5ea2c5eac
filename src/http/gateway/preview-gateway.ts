// Previews answer here: from the Host header to the app's Service, with nothing else installed in the cluster.
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { isConditionTrue } from '../../environments/conditions.ts';
import type { PreviewEndpoint } from '../../environments/resource.ts';
import type { EnvironmentStore } from '../../environments/store.ts';
import type { Logger } from '../../lib/logger.ts';
import { removeMatching } from './headers.ts';
import {
  type PreviewPage,
  sendPage,
  silentPreview,
  unknownPreview,
  unpublishedPreview,
} from './preview-pages.ts';
import { createStreamingProxy, type ProxyTarget } from './streaming-proxy.ts';
import { responseOnSocket } from './upgrade-response.ts';

/** Long enough for slow pages and long polling. */
const ANSWER_TIMEOUT_MS = 120_000;
const MAX_SOCKETS_PER_APP = 256;

export interface PreviewGateway {
  /** @param hostLabel what the Host header has before the preview domain; undefined when that is not one label. */
  handle(request: IncomingMessage, response: ServerResponse, hostLabel: string | undefined): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, hostLabel: string | undefined): void;
  close(): void;
}

export interface PreviewGatewayDeps {
  store: Pick<EnvironmentStore, 'byHostLabel'>;
  /** Of the URL of previews: what the app is told the visitor uses. */
  protocol: 'http' | 'https';
  logger: Logger;
}

export function createPreviewGateway({ store, protocol, logger }: PreviewGatewayDeps): PreviewGateway {
  // A connection for each request: nobody knows when an app closes idle ones, and a request sent just then would fail.
  const agent = new Agent({ maxSockets: MAX_SOCKETS_PER_APP });
  const proxy = createStreamingProxy({
    onRequest: setForwarded,
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
    onAnswer({ headers }) {
      headers['x-robots-tag'] = 'noindex, nofollow';
      // The address is a secret: without a policy of the app's own, no other site is told it.
      headers['referrer-policy'] ??= 'same-origin';
    },
    onFailure(error, request, response) {
      logger.debug({ err: error }, 'preview does not answer');
      sendPage(request, response, silentPreview);
    },
    onUpgradeFailure(_error, request, socket) {
      sendPage(request, responseOnSocket(request, socket), silentPreview);
    },
  });

  function find(hostLabel: string | undefined): { target: ProxyTarget } | { page: PreviewPage } {
    const environment = hostLabel === undefined ? undefined : store.byHostLabel(hostLabel);
    if (!environment) return { page: unknownPreview };
    const { metadata, status } = environment;
    const endpoint = status?.endpoints?.find((candidate) => candidate.hostLabel === hostLabel);
    const isPublished = isConditionTrue(status?.conditions, 'Published') && !metadata.deletionTimestamp;
    return endpoint && isPublished
      ? { target: targetOf(endpoint) }
      : { page: unpublishedPreview(environment) };
  }

  function setForwarded({ headers, socket }: IncomingMessage): void {
    const client = socket.remoteAddress ?? 'unknown';
    const before = headers['x-forwarded-for'];
    removeMatching(headers, /^(forwarded$|x-forwarded-)/);
    headers['x-forwarded-for'] = before ? `${before}, ${client}` : client;
    headers['x-forwarded-proto'] = protocol;
    headers['x-forwarded-host'] = headers.host;
  }

  return {
    handle(request, response, hostLabel) {
      const found = find(hostLabel);
      if ('page' in found) return sendPage(request, response, found.page);
      proxy.forward(request, response, found.target, agent);
    },
    handleUpgrade(request, socket, head, hostLabel) {
      const found = find(hostLabel);
      if ('page' in found) return sendPage(request, responseOnSocket(request, socket), found.page);
      proxy.forwardUpgrade(request, socket, head, found.target);
    },
    close: () => agent.destroy(),
  };
}

function targetOf({ clusterIp, port }: PreviewEndpoint): ProxyTarget {
  return { protocol: 'http:', host: clusterIp, port };
}
