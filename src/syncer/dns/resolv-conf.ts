// The name servers of a resolv.conf.
import { isIP } from 'node:net';

export interface Upstream {
  address: string;
  port: number;
}

const DNS_PORT = 53;
/** As many as the C library looks at (resolv.conf(5)). */
const MAX_UPSTREAMS = 3;

/**
 * @param text a resolv.conf; its search path is of no use here.
 * @param own addresses of this server itself: asking it would be a loop.
 */
export function upstreamsOf(text: string, own: readonly string[]): Upstream[] {
  return text
    .split('\n')
    .flatMap((line) => {
      const [keyword, address = ''] = line.trim().split(/\s+/);
      return keyword === 'nameserver' && isIP(address) !== 0 && !own.includes(address) ? [address] : [];
    })
    .slice(0, MAX_UPSTREAMS)
    .map((address) => ({ address, port: DNS_PORT }));
}
