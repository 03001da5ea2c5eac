// What both gateways do alike: hand a request on and stream its answer back, without buffering and without hop-by-hop headers.
import type { Agent, ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyServer } from 'httpxy';
import { removeHopByHop, removeHopByHopButUpgrade } from './headers.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export interface ProxyTarget {
  protocol: 'http:' | 'https:';
  host: string;
  port: number;
}

export interface StreamingProxyOptions {
  /** Edits the head of a request after its hop-by-hop headers were removed: nothing a client says can undo it. */
  onRequest(request: IncomingMessage): void;
  /** How long to wait, with nothing sent or received, for an answer or an upgrade to begin. What has begun may go on for ever. */
  answerTimeoutMs: number;
  /** Edits the head of an answer before it is passed on. */
  onAnswer?(answer: IncomingMessage): void;
  /** The target did not answer, and nothing was sent to the client yet. */
  onFailure(error: Error, request: IncomingMessage, response: ServerResponse): void;
  onUpgradeFailure?(error: Error, request: IncomingMessage, socket: Duplex): void;
}

export interface StreamingProxy {
  forward(request: IncomingMessage, response: ServerResponse, target: ProxyTarget, agent: Agent): void;
  forwardUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, target: ProxyTarget): void;
}

export function createStreamingProxy({
  onRequest,
  answerTimeoutMs,
  onAnswer,
  onFailure,
  onUpgradeFailure,
}: StreamingProxyOptions): StreamingProxy {
  const proxy = createProxyServer({ upgradeTimeout: answerTimeoutMs });

  proxy.on('proxyReq', (outgoing, request) => {
    // Node would hold the head back until the first byte of the body, which may wait for an answer to the head.
    if (request.headers['transfer-encoding'] ?? request.headers['content-length']) outgoing.flushHeaders();
    limitConnecting(outgoing);
    outgoing.setTimeout(answerTimeoutMs, () => outgoing.destroy(new Error('no answer in time')));
    outgoing.once('response', () => outgoing.setTimeout(0));
  });
  proxy.on('proxyRes', (answer) => {
    removeHopByHop(answer.headers);
    onAnswer?.(answer);
  });
  proxy.on('error', (error, request, response) => {
    if (!request || !response) return;
    if (!('setHeader' in response)) {
      if (onUpgradeFailure && response.writable && response.bytesWritten === 0) {
        onUpgradeFailure(error, request, response);
      } else {
        response.destroy();
      }
    } else if (response.headersSent) {
      response.destroy();
    } else if (!response.destroyed) {
      onFailure(error, request, response);
    }
  });

  return {
    forward(request, response, target, agent) {
      removeHopByHop(request.headers);
      onRequest(request);
      void proxy.web(request, response, { target, agent }).catch(() => response.destroy());
    },
    forwardUpgrade(request, socket, head, target) {
      removeHopByHopButUpgrade(request.headers);
      onRequest(request);
      // Node's HTTP server hands out sockets of its own; the type it gives them is only wider.
      void proxy.ws(request, socket as Socket, { target }, head).catch(() => socket.destroy());
    },
  };
}

/** The time limit of a request only begins once its socket is connected. */
function limitConnecting(outgoing: ClientRequest): void {
  const { socket } = outgoing;
  if (!socket?.connecting) return;
  const timer = setTimeout(() => outgoing.destroy(new Error('no connection in time')), CONNECT_TIMEOUT_MS);
  const stop = () => clearTimeout(timer);
  socket.once('connect', stop).once('close', stop);
}
