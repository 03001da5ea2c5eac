// The cluster's DNS server: sockets only, over UDP and TCP on one address.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Zone } from './answer.ts';
import type { ZoneStores } from './cluster-records.ts';
import { createForwarder } from './forwarder.ts';
import type { Upstream } from './resolv-conf.ts';
import { createResolver, type Resolver } from './resolver.ts';
import { framed, unframed } from './upstream-exchange.ts';

export interface DnsServerDeps {
  zone: Zone;
  stores: ZoneStores;
  hasSynced(): boolean;
  /** Asked in this order about everything outside of the cluster domain; none: such questions are refused. */
  upstreams: readonly Upstream[];
  logger: Logger;
  clock?: Clock;
}

export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_TCP_CONNECTIONS = 128;
const TCP_IDLE_MS = 10_000;

export function createDnsServer({
  zone,
  stores,
  hasSynced,
  upstreams,
  logger,
  clock = systemClock,
}: DnsServerDeps) {
  const forwarder = createForwarder({ upstreams, clock });
  const resolver = createResolver({ zone, stores, hasSynced, forwarder, logger });

  return {
    /** Rejects when the address cannot be listened on. Port 0: any that is free for both protocols. */
    async listen({ host, port }: { host: string; port: number }): Promise<DnsServer> {
      const stop = new AbortController();
      const tcp = tcpServer(resolver, stop.signal);
      tcp.listen({ host, port });
      await once(tcp, 'listening');
      const address = tcp.address();
      const boundPort = typeof address === 'object' && address ? address.port : port;
      const udp = udpServer(resolver, isIPv6(host), stop.signal, logger);
      try {
        udp.bind({ address: host, port: boundPort });
        await once(udp, 'listening');
      } catch (error) {
        tcp.close();
        throw error;
      }
      tcp.on('error', (error) => logger.error(error, 'DNS over TCP'));
      udp.on('error', (error) => logger.error(error, 'DNS over UDP'));

      return {
        port: boundPort,
        async close() {
          stop.abort();
          await Promise.all([
            new Promise<void>((resolve) => udp.close(resolve)),
            new Promise<void>((resolve) => tcp.close(() => resolve())),
          ]);
        },
      };
    },
  };
}

function udpServer(resolver: Resolver, ipv6: boolean, signal: AbortSignal, logger: Logger): UdpSocket {
  const socket = createSocket(ipv6 ? 'udp6' : 'udp4');
  socket.on('message', async (message, { address, port }) => {
    const response = await resolver.resolve(message, 'udp', signal);
    if (!response || signal.aborted) return;
    socket.send(response, port, address, (error) => {
      if (error) logger.debug({ reason: error.message }, 'cannot send a DNS answer');
    });
  });
  return socket;
}

function tcpServer(resolver: Resolver, signal: AbortSignal): Server {
  const server = createServer((socket) => serveConnection(socket, resolver, signal));
  server.maxConnections = MAX_TCP_CONNECTIONS;
  return server;
}

function serveConnection(socket: Socket, resolver: Resolver, stop: AbortSignal): void {
  const closed = new AbortController();
  const signal = AbortSignal.any([stop, closed.signal]);
  let received = Buffer.alloc(0);
  let answered = Promise.resolve();

  const onStop = () => socket.destroy();
  stop.addEventListener('abort', onStop, { once: true });
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    stop.removeEventListener('abort', onStop);
    closed.abort();
  });
  socket.on('data', (chunk) => {
    const { messages, rest } = unframed(Buffer.concat([received, chunk]));
    received = Buffer.from(rest);
    for (const message of messages) answered = answered.then(() => answerOne(message));
    if (messages.length === 0) return;
    // The next questions are read when these are answered.
    socket.pause();
    answered = answered.then(() => void socket.resume());
  });

  async function answerOne(message: Buffer): Promise<void> {
    const response = await resolver.resolve(message, 'tcp', signal);
    if (response && !socket.destroyed) socket.write(framed(response));
  }
}
