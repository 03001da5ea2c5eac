// Who calls: API tokens, of which the service knows only the SHA-256.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../environments/authorize.ts';
import { UnauthenticatedError } from '../lib/errors.ts';

export interface ApiToken {
  name: string;
  /** SHA-256 of the token: 32 bytes. */
  digest: Buffer;
}

export interface Authenticator {
  /**
   * @param authorization value of the header.
   * @throws UnauthenticatedError `TokenMissing`, `TokenUnknown`
   */
  authenticate(authorization: string | undefined): Principal;
}

const BEARER = /^Bearer ([\x21-\x7e]{1,512})$/i;

/** @param admins names of the tokens that may access every environment. */
export function createTokenAuthenticator(
  tokens: readonly ApiToken[],
  admins: readonly string[],
): Authenticator {
  return {
    authenticate(authorization) {
      const token = BEARER.exec(authorization ?? '')?.[1];
      if (token === undefined) {
        throw new UnauthenticatedError({
          code: 'TokenMissing',
          message: 'Send an API token as `Authorization: Bearer <token>`',
        });
      }
      const digest = createHash('sha256').update(token).digest();
      // Every digest is compared, so that the time taken says nothing about which one was near.
      const matches = tokens.filter((known) => timingSafeEqual(known.digest, digest));
      const match = matches[0];
      if (!match)
        throw new UnauthenticatedError({ code: 'TokenUnknown', message: 'The API token is not known' });
      return { id: `token:${match.name}`, admin: admins.includes(match.name) };
    },
  };
}
