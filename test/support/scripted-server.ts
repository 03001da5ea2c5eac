// A real HTTP server on the loopback interface that answers as a test says, for faults that no real API server shows on demand.
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export interface ScriptedServer {
  /** `http://127.0.0.1:port` or `https://…`. */
  url: string;
  /** Every request so far, as `METHOD path?query`. */
  requests: string[];
  /** Sockets that were opened so far. */
  readonly connections: number;
  close(): Promise<void>;
}

export type Answer = (
  request: IncomingMessage & { url: string },
  response: ServerResponse,
) => void | Promise<void>;

export async function startScriptedServer(
  answer: Answer,
  tls?: https.ServerOptions,
): Promise<ScriptedServer & { server: http.Server }> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const listener: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    void answer(Object.assign(request, { url: request.url ?? '' }), response);
  };
  const server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    server,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    requests,
    get connections() {
      return connections;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  request.setEncoding('utf8');
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
