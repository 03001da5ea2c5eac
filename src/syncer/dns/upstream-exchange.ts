// One query to one upstream resolver and its answer, over UDP or TCP. A new socket each: a new source port each.
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { UnavailableError } from '../../lib/errors.ts';
import type { Upstream } from './resolv-conf.ts';
import { isResponseTo } from './wire.ts';

export type Protocol = 'udp' | 'tcp';

/** Rejects with `UnavailableError` when the upstream cannot be reached, with the signal's reason when aborted. */
export function exchange(
  protocol: Protocol,
  upstream: Upstream,
  query: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  return protocol === 'udp' ? exchangeUdp(upstream, query, signal) : exchangeTcp(upstream, query, signal);
}

function exchangeUdp({ address, port }: Upstream, query: Buffer, signal: AbortSignal): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    signal.throwIfAborted();
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const settle = (finish: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      // Its address may still be looked up: an error then has nobody left to hear it.
      socket.on('error', () => {});
      socket.close();
      finish();
    };
    const onAbort = () => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (cause) => settle(() => reject(unreachable(address, cause))));
    // A connected socket takes datagrams from this address only.
    socket.connect(port, address, () => socket.send(query));
    socket.on('message', (response) => {
      if (isResponseTo(query, response)) settle(() => resolve(response));
    });
  });
}

function exchangeTcp({ address, port }: Upstream, query: Buffer, signal: AbortSignal): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({ host: address, port });
    const settle = (finish: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      finish();
    };
    const onAbort = () => settle(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (cause) => settle(() => reject(unreachable(address, cause))));
    socket.on('end', () => settle(() => reject(unreachable(address, new Error('connection closed')))));
    socket.write(framed(query));
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const { messages } = unframed(received);
      const [response] = messages;
      if (!response) return;
      settle(() =>
        isResponseTo(query, response)
          ? resolve(response)
          : reject(unreachable(address, new Error('answered another question'))),
      );
    });
  });
}

/** A message as it is sent over TCP, its length before it (RFC 1035, 4.2.2). */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** The whole messages at the start of what came over TCP so far, and what is left. */
export function unframed(received: Buffer): { messages: Buffer[]; rest: Buffer } {
  const messages: Buffer[] = [];
  let rest = received;
  while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
    const end = 2 + rest.readUInt16BE(0);
    messages.push(rest.subarray(2, end));
    rest = rest.subarray(end);
  }
  return { messages, rest };
}

function unreachable(address: string, cause: Error): UnavailableError {
  return new UnavailableError({
    code: 'ResolverUnreachable',
    message: `the resolver ${address} cannot be reached: ${cause.message}`,
    cause,
  });
}
