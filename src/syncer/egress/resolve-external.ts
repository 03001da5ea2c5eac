// From a name on the operator's list to the one address that is dialled: resolved once, so that a second answer of a
// resolver cannot lead somewhere else, and never into a private network unless that address is itself on the list.
import { lookup } from 'node:dns/promises';
import { ForbiddenError, UnavailableError } from '../../lib/errors.ts';
import { isPublicAddress } from '../../lib/ip-address.ts';
import type { AllowList } from './allow-list.ts';
import type { Authority } from './authority.ts';

/** All addresses of a name. */
export type Resolve = (hostName: string) => Promise<readonly string[]>;

/** The system's resolver, the name taken as complete: no search path of the host is tried. */
export const resolveWithSystem: Resolve = async (hostName) =>
  (await lookup(`${hostName}.`, { all: true })).map(({ address }) => address);

/** @throws ForbiddenError when no address may be dialled, UnavailableError when the name cannot be resolved. */
export async function resolveExternal(
  { host, port, isAddress }: Authority,
  allowList: AllowList,
  resolve: Resolve,
): Promise<string> {
  if (isAddress) return host;
  let addresses: readonly string[];
  try {
    addresses = await resolve(host);
  } catch (cause) {
    throw new UnavailableError({ code: 'UnknownHost', message: `${host} cannot be resolved`, cause });
  }
  const permitted = addresses.find(
    (address) => isPublicAddress(address) || allowList.allows({ host: address, isAddress: true, port }),
  );
  if (permitted !== undefined) return permitted;
  throw new ForbiddenError({
    code: 'PrivateAddress',
    message: `${host} resolves to addresses that are not public and not on the list of external webhook addresses`,
  });
}
