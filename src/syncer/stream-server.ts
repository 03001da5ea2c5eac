// A TLS server that listens nowhere: the egress gate hands over the streams that the virtual API server dialled to a name of the
// syncer's, its webhook or its metrics.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';

/** PEM. */
export interface ServerCertificate {
  cert: string;
  key: string;
}

export interface StreamServer {
  /** Takes over a byte stream on which the API server is about to begin TLS. */
  accept(stream: Duplex): void;
  /** Of connections from now on. */
  renew(certificate: ServerCertificate): void;
  /** Breaks every stream. */
  close(): void;
}

/** Never rejects. `signal` aborts when nobody waits for the response any more. */
type Serve = (request: IncomingMessage, response: ServerResponse, signal: AbortSignal) => Promise<void>;

const MIN_TLS_VERSION = 'TLSv1.2';
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Longer than the API server keeps an idle connection (90 s), so that it never writes on one being closed here. */
const KEEP_ALIVE_MS = 120_000;

export function createStreamServer({ cert, key }: ServerCertificate, serve: Serve): StreamServer {
  const stop = new AbortController();
  const connections = new Set<Duplex>();

  const server = createServer({
    cert,
    key,
    minVersion: MIN_TLS_VERSION,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  server.on('request', (request, response) => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    void serve(request, response, AbortSignal.any([stop.signal, gone.signal]));
  });
  server.on('clientError', (_, client) => client.destroy());

  return {
    accept(stream) {
      if (stop.signal.aborted) {
        stream.destroy();
        return;
      }
      connections.add(stream);
      stream.once('close', () => connections.delete(stream));
      server.emit('connection', stream);
    },
    renew(renewed) {
      server.setSecureContext({ ...renewed, minVersion: MIN_TLS_VERSION });
    },
    close() {
      stop.abort();
      for (const connection of connections) connection.destroy();
    },
  };
}
