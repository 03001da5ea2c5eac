// Which headers may pass a proxy: those that are about one connection end here (RFC 9110, section 7.6.1).
import type { IncomingHttpHeaders } from 'node:http';

const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
];

/** What a client could otherwise have removed by naming it in `Connection`. */
const NEVER_NAMED = ['host', 'content-length', 'transfer-encoding'];

/** Removes them in place. `transfer-encoding` stays, because the proxy frames the body as it came. */
export function removeHopByHop(headers: IncomingHttpHeaders): void {
  const named = String(headers.connection ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => !NEVER_NAMED.includes(name));
  for (const name of [...HOP_BY_HOP, ...named]) delete headers[name];
}

/** The same for a request that asks for another protocol, which stays asked for. */
export function removeHopByHopButUpgrade(headers: IncomingHttpHeaders): void {
  const { upgrade } = headers;
  removeHopByHop(headers);
  headers.connection = 'Upgrade';
  headers.upgrade = upgrade;
}

export function removeMatching(headers: IncomingHttpHeaders, pattern: RegExp): void {
  for (const name of Object.keys(headers)) if (pattern.test(name)) delete headers[name];
}
