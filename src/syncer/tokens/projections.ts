// Which ServiceAccount tokens a pod mounts, and how the host Secret that holds them is laid out.
import type { ObjectKey, ObjectMeta } from '../../kube/resource.ts';
import { ANNOTATION_TOKENS_OF, hostName } from '../names.ts';
import type { Pod } from '../objects.ts';

/** A token that a projected volume of a pod asks for. */
export interface TokenProjection {
  /** The key of the Secret it is kept under. */
  key: string;
  /** Absent: the audience of the API server. */
  audience?: string;
  expirationSeconds: number;
}

/** The API's default for `serviceAccountToken.expirationSeconds`. */
const DEFAULT_EXPIRATION_SECONDS = 3600;

/** A volume's name is a DNS label, so no two projections of a pod share a key. */
export function tokenKey(volume: string, source: number): string {
  return `${volume}.${source}`;
}

export function tokenSecretName(cluster: string, { namespace, name = '' }: ObjectMeta): string {
  return hostName(cluster, 'pods/tokens', { namespace, name });
}

/** The pod whose tokens a host Secret holds; nothing for other objects. */
export function tokensOf({ annotations }: ObjectMeta): ObjectKey[] {
  const pod = annotations?.[ANNOTATION_TOKENS_OF];
  return pod === undefined ? [] : [pod];
}

export function tokenProjections({ spec }: Pod): TokenProjection[] {
  return (spec?.volumes ?? []).flatMap(({ name, projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken: token }, index) =>
      token
        ? [
            {
              key: tokenKey(name, index),
              expirationSeconds: token.expirationSeconds ?? DEFAULT_EXPIRATION_SECONDS,
              ...(token.audience ? { audience: token.audience } : {}),
            },
          ]
        : [],
    ),
  );
}
