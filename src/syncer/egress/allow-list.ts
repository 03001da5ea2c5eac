// The operator's list of external addresses that webhooks may be called at.
import { InvalidInputError } from '../../lib/errors.ts';
import { type Authority, parseAuthority } from './authority.ts';

/** Each of the form `name:port`, `*.name:port` (one or more labels in front), `address:port` or `[address]:port`. */
export interface AllowList {
  /** Whether the operator wrote this very host or address, or a pattern it matches. */
  allows(target: Authority): boolean;
}

const ANY_LABEL = '*.';

/** @throws InvalidInputError for an entry of no such form: an operator's mistake must not pass as an empty list. */
export function createAllowList(entries: readonly string[]): AllowList {
  const exact = new Set<string>();
  const suffixes: { suffix: string; port: number }[] = [];
  for (const entry of entries) {
    const wildcard = entry.startsWith(ANY_LABEL);
    const authority = parseAuthority(wildcard ? entry.slice(ANY_LABEL.length) : entry);
    if (!authority || (wildcard && authority.isAddress)) {
      throw new InvalidInputError({
        code: 'InvalidEgressAddress',
        message: `"${entry}" is not name:port, *.name:port, address:port or [address]:port in lower case`,
      });
    }
    if (wildcard) suffixes.push({ suffix: `.${authority.host}`, port: authority.port });
    else exact.add(`${authority.host} ${authority.port}`);
  }
  return {
    allows: ({ host, port, isAddress }) =>
      exact.has(`${host} ${port}`) ||
      (!isAddress && suffixes.some((entry) => entry.port === port && host.endsWith(entry.suffix))),
  };
}
