// The synced kind Secret: on the host exactly while a synced object refers to it, or always by option.
import { SECRETS } from '../../../kube/resource.ts';
import { defined, dictionary } from '../../allow-list.ts';
import { mergeMetadata, type SyncedKind } from '../../kind.ts';
import type { Secret } from '../../objects.ts';

/** Types that the host's own controllers would act on, or fill with tokens of the host. */
const HOST_OWNED_TYPES = new Set(['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token']);

/** The type without what controllers would make of it. */
export function plainType(type: string | undefined): string | undefined {
  return type && HOST_OWNED_TYPES.has(type) ? 'Opaque' : type;
}

export const secrets: SyncedKind<Secret> = {
  type: SECRETS,
  when: ({ secrets }) => (secrets === 'all' ? 'always' : 'referenced'),
  // `immutable` stays inside: a Secret may be made anew there while its host copy is still in use.
  toHost: ({ type, data }) =>
    defined({
      metadata: {},
      type: plainType(type),
      data: data && dictionary(data),
    }),
  merge: (host, { metadata, data }) => ({ ...host, metadata: mergeMetadata(host.metadata, metadata), data }),
};
