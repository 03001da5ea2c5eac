// The app's side of authentication: its key, the JWTs it signs with it, and the installation tokens it gets for them.
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { jwtVerify } from 'jose';

const TOKEN_LIFETIME_MS = 3_600_000;
const MAX_JWT_LIFETIME_SECONDS = 600;

export interface AppCredentials {
  appId: number;
  /** PEM, PKCS #1, as GitHub hands it out. */
  privateKey: string;
  /** Resolves whether `authorization` carries a JWT of the app, within the lifetime GitHub allows. */
  isApp(authorization: string | undefined): Promise<boolean>;
  issueToken(): { token: string; expiresAt: string };
  /** Whether `authorization` carries a token that was issued and is still good. */
  isInstallation(authorization: string | undefined): boolean;
  /** From now on the tokens issued so far are refused. */
  expireTokens(): void;
}

export function createAppCredentials(appId: number): AppCredentials {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const tokens = new Map<string, number>();
  return {
    appId,
    privateKey: pair.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    isApp: (authorization) => isAppToken(credential(authorization, 'bearer'), pair.publicKey, appId),
    issueToken() {
      const token = `ghs_${randomBytes(18).toString('hex')}`;
      const expiresMs = Date.now() + TOKEN_LIFETIME_MS;
      tokens.set(token, expiresMs);
      return { token, expiresAt: new Date(expiresMs).toISOString().replace(/\.\d+Z$/, 'Z') };
    },
    isInstallation(authorization) {
      const expiresMs = tokens.get(credential(authorization, 'token'));
      return expiresMs !== undefined && expiresMs > Date.now();
    },
    expireTokens: () => tokens.clear(),
  };
}

function credential(authorization: string | undefined, scheme: string): string {
  const [given = '', value = ''] = authorization?.split(' ') ?? [];
  return given.toLowerCase() === scheme ? value : '';
}

async function isAppToken(jwt: string, key: KeyObject, appId: number): Promise<boolean> {
  try {
    const { payload } = await jwtVerify(jwt, key, {
      algorithms: ['RS256'],
      requiredClaims: ['iat', 'exp', 'iss'],
    });
    const { iat = 0, exp = 0, iss } = payload;
    return String(iss) === String(appId) && exp - iat <= MAX_JWT_LIFETIME_SECONDS && iat * 1000 <= Date.now();
  } catch {
    return false;
  }
}
