// What the kubelet carries from the host API to the virtual one: logs as a response, exec, attach and port-forward as bytes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { KubeTransport } from '../../kube/transport.ts';
import { openUpgrade } from '../../kube/upgrade.ts';
import { InvalidInputError } from '../../lib/errors.ts';
import { relay } from '../egress/relay.ts';
import type { Pod } from '../objects.ts';
import { asStatus, type Failure, failureOf, hostFailure } from './failure.ts';
import type { FoundPod } from './find-pod.ts';
import { hostPath } from './host-path.ts';
import type { LogsRoute, PortForwardRoute, StreamRoute } from './route.ts';
import { acceptedHead, hostUpgrade } from './upgrade-headers.ts';

export interface HostAccess {
  transport: KubeTransport;
  /** Text that the host wrote, told with the names inside. */
  translateText(text: string, host: Pod, virtual: Pod): string;
}

/** Until the host's API answers at all; what comes after may take as long as it likes. */
const HOST_TIMEOUT_MS = 30_000;

/** @throws whatever keeps the first byte from being sent. What breaks later breaks the response, so that its end is no end. */
export async function sendLogs(
  route: LogsRoute,
  pod: FoundPod,
  response: ServerResponse,
  { transport, translateText }: HostAccess,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const { status, body } = await transport.request({
    method: 'GET',
    path: hostPath(route, hostPodOf(pod)),
    timeoutMs: HOST_TIMEOUT_MS,
    streaming: true,
    signal,
  });
  if (status !== 200) {
    return hostFailure(body, status, (text) => translateText(text, pod.host, pod.virtual));
  }
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  // Either side's break is the other's; nobody is left to be told.
  await pipeline(body, response).catch(() => response.destroy());
  return undefined;
}

/** Resolves when the stream is over. Never rejects. */
export async function carryStream(
  find: () => { route: StreamRoute | PortForwardRoute; pod: FoundPod },
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  { transport, translateText }: HostAccess,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { route, pod } = find();
    const upgrade = hostUpgrade(request);
    if (!upgrade) {
      throw new InvalidInputError({
        code: 'BadRequest',
        message: 'only SPDY and WebSocket upgrades are served',
      });
    }
    const path = hostPath(route, hostPodOf(pod));
    const opened = await openUpgrade(transport.connection, {
      ...upgrade,
      path,
      signal,
      timeoutMs: HOST_TIMEOUT_MS,
    });
    if (opened.kind === 'response') {
      const { response } = opened;
      const translate = (text: string) => translateText(text, pod.host, pod.virtual);
      return endWith(client, await hostFailure(response, response.statusCode ?? 502, translate));
    }
    client.write(acceptedHead(upgrade, opened.headers));
    if (opened.head.length > 0) client.write(opened.head);
    if (head.length > 0) opened.socket.write(head);
    await relay(client, opened.socket, { signal });
  } catch (error) {
    endWith(client, failureOf(error));
  }
}

/** Answers an upgrade with a `Status`, which kubectl shows as it shows every refusal of the API. */
export function endWith(client: Duplex, failure: Failure): void {
  if (client.destroyed) return;
  const body = JSON.stringify(asStatus(failure));
  client.end(
    `HTTP/1.1 ${failure.status} Refused\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function hostPodOf({ host }: FoundPod): { namespace: string; name: string } {
  const { namespace = '', name = '' } = host.metadata;
  return { namespace, name };
}
