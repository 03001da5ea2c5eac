// The head of an upgrade, on its way to the host and back: made anew from the few fields that belong to the protocols, so that
// no identity, credential or hop-by-hop field of either side reaches the other.
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';

export interface HostUpgrade {
  /** POST for SPDY; a WebSocket can only begin with GET. */
  method: 'GET' | 'POST';
  headers: OutgoingHttpHeaders;
}

const SPDY = 'spdy/3.1';
const WEBSOCKET = 'websocket';
const PROTOCOL_VERSIONS = /^[A-Za-z0-9.+/, -]{1,200}$/;
/** Not `base64url.bearer.authorization.k8s.io.…`, in which browsers send their token. */
const CHANNEL_PROTOCOL = /^(v[1-9]\.)?(base64\.)?channel\.k8s\.io$/;
const WEBSOCKET_KEY = /^[A-Za-z0-9+/=]{1,64}$/;

const RESPONSE_FIELDS = [
  'x-stream-protocol-version',
  'sec-websocket-accept',
  'sec-websocket-protocol',
] as const;

/** @returns undefined when it is no upgrade that the API server makes. */
export function hostUpgrade(request: IncomingMessage): HostUpgrade | undefined {
  const { headers, headersDistinct } = request;
  switch (headers.upgrade?.toLowerCase()) {
    case SPDY: {
      const versions = (headersDistinct['x-stream-protocol-version'] ?? []).filter((value) =>
        PROTOCOL_VERSIONS.test(value),
      );
      const negotiation = versions.length > 0 ? { 'X-Stream-Protocol-Version': versions } : {};
      return { method: 'POST', headers: { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', ...negotiation } };
    }
    case WEBSOCKET: {
      const key = headers['sec-websocket-key'] ?? '';
      const protocols = (headers['sec-websocket-protocol'] ?? '')
        .split(',')
        .map((protocol) => protocol.trim())
        .filter((protocol) => CHANNEL_PROTOCOL.test(protocol));
      if (!WEBSOCKET_KEY.test(key) || headers['sec-websocket-version'] !== '13') return undefined;
      return {
        method: 'GET',
        headers: {
          Connection: 'Upgrade',
          Upgrade: WEBSOCKET,
          'Sec-WebSocket-Version': '13',
          'Sec-WebSocket-Key': key,
          ...(protocols.length > 0 && { 'Sec-WebSocket-Protocol': protocols.join(', ') }),
        },
      };
    }
    default:
      return undefined;
  }
}

/** The head of the answer that tells the API server its upgrade was accepted. */
export function acceptedHead(upgrade: HostUpgrade, headers: IncomingHttpHeaders): string {
  const fields = RESPONSE_FIELDS.flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [`${name}: ${value}`];
  });
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'connection: Upgrade',
    `upgrade: ${upgrade.headers.Upgrade}`,
    ...fields,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}
