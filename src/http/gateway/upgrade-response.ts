// Answering a client that asked for another protocol with an ordinary response after all.
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A response on the bare socket of an upgrade; the connection ends with it. */
export function responseOnSocket(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  // Node's HTTP server hands out sockets of its own; the type it gives them is only wider.
  response.assignSocket(socket as Socket);
  response.once('finish', () => socket.end());
  return response;
}
