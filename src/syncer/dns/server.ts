// The cluster's DNS server: sockets only, over UDP and TCP on one address.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Zone } from './answer.ts';
import type { ZoneStores } from './cluster-records.ts';
import { createForwarder } from './forwarder.ts';
import type { HostServiceAddresses } from './host-services.ts';
import type { Upstream } from './resolv-conf.ts';
import { createResolver, type Resolver } from './resolver.ts';
import { type DnsRules, ofLongestDomain, privateAddresses } from './rules.ts';
import { framed, unframed } from './upstream-exchange.ts';

export interface DnsServerDeps {
  zone: Omit<Zone, 'given' | 'isPrivate'>;
  rules: DnsRules;
  /** Of the Services of the host that `rules` names. */
  hostServiceAddresses: HostServiceAddresses;
  /** Ranges that no workload may reach. */
  deniedCidrs: readonly string[];
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
  rules,
  hostServiceAddresses,
  deniedCidrs,
  stores,
  hasSynced,
  upstreams,
  logger,
  clock = systemClock,
}: DnsServerDeps) {
  const outside = createForwarder({ upstreams, clock });
  const stubs = new Map(
    Object.entries(rules.stubDomains).map(([domain, servers]) => [
      domain,
      createForwarder({ upstreams: servers, clock }),
    ]),
  );
  const hosts = new Map(Object.entries(rules.hosts));
  const isPrivate = privateAddresses(deniedCidrs);
  const resolver = createResolver({
    zone: {
      ...zone,
      given: (name) => hosts.get(name) ?? hostServiceAddresses(name),
      // Who is named for a reverse domain is trusted with it.
      isPrivate: (address, name) => isPrivate(address) && ofLongestDomain(stubs, name) === undefined,
    },
    stores,
    hasSynced,
    forwarderFor: (name) => ofLongestDomain(stubs, name) ?? outside,
    logger,
  });

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
