// The synced kind ServiceAccount, by option: a name on the host that pods run under, for what the host's operator ties to such
// names, identities of a cloud for one. It has no rights, no Secrets and no token there.
import { SERVICE_ACCOUNTS } from '../../../kube/resource.ts';
import type { SyncedKind } from '../../kind.ts';
import type { ServiceAccount } from '../../objects.ts';
import { mergePassed, passedAnnotations } from '../../passed-annotations.ts';

export const serviceAccounts: SyncedKind<ServiceAccount> = {
  type: SERVICE_ACCOUNTS,
  when: 'referenced',
  isWanted: ({ serviceAccounts: { enabled } }) => enabled,
  toHost: ({ metadata }, { sync }) => ({
    metadata: { annotations: passedAnnotations(metadata, sync.serviceAccounts.annotations) },
    automountServiceAccountToken: false,
  }),
  merge: (host, { metadata, automountServiceAccountToken }) => ({
    ...host,
    metadata: mergePassed(host.metadata, metadata),
    automountServiceAccountToken,
  }),
};
