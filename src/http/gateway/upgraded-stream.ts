// The byte stream between a client and an API server after both agreed on another protocol.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Duplex, pipeline } from 'node:stream';
import type { UpgradeResult } from '../../kube/upgrade.ts';
import { removeHopByHop } from './headers.ts';

type Upgraded = Extract<UpgradeResult, { kind: 'upgraded' }>;

/** Answers the client with the server's own head, then carries bytes both ways until either side ends or breaks. */
export function joinStreams(client: Duplex, clientHead: Buffer, upgraded: Upgraded): void {
  const { socket: server, head: serverHead, status, statusMessage, rawHeaders } = upgraded;
  const lines = [`HTTP/1.1 ${status} ${statusMessage}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  client.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (serverHead.length > 0) client.write(serverHead);
  if (clientHead.length > 0) server.write(clientHead);
  client.pipe(server);
  server.pipe(client);
  endTogether(client, server);
  endTogether(server, client);
}

/** Once `from` is over nothing can be said to it, and what it said last still reaches `to`. */
function endTogether(from: Duplex, to: Duplex): void {
  from.on('error', () => from.destroy());
  from.once('close', () => to.end(() => to.destroy()));
}

/** The server did not upgrade: its answer, framed anew for the client. */
export function sendUpgradeAnswer(response: ServerResponse, answer: IncomingMessage): void {
  const { statusCode = 502, headers } = answer;
  removeHopByHop(headers);
  delete headers['transfer-encoding'];
  delete headers['set-cookie'];
  response.writeHead(statusCode, headers);
  pipeline(answer, response, (error) => error && response.destroy());
}
