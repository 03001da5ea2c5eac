// Names of hosts that an operator lets tenants serve: `shop.example.com`, or `*.example.com` for every name below.
import { RefusedError } from './kind.ts';

/**
 * @param path of the field that holds the host.
 * @param host undefined: every host there is.
 * @throws RefusedError when none of the patterns covers it.
 */
export function requireHost(path: string, host: string | undefined, patterns: readonly string[]): void {
  if (!host)
    throw new RefusedError('HostRequired', `${path}: must name hosts, which may be ${patterns.join(', ')}`);
  const covers = (pattern: string) =>
    host === pattern || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)));
  if (!patterns.some(covers)) {
    throw new RefusedError('ForbiddenHost', `${path}: ${host} is none of ${patterns.join(', ')}`);
  }
}
