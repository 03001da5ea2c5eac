// Helm refuses to touch a release that an earlier Helm was killed over. Nobody else is at work here (the lease says so), so the
// record of the unfinished revision goes, and Helm takes over what that revision had made already.
import type { KubeClient } from '../../src/kube/client.ts';
import { SECRETS } from '../../src/kube/resource.ts';

export async function forgetUnfinishedRevisions(
  client: KubeClient,
  { release, namespace }: { release: string; namespace: string },
  signal: AbortSignal,
): Promise<void> {
  const labelSelector = `owner=helm,name=${release},status in (pending-install,pending-upgrade,pending-rollback)`;
  const { items } = await client.list(SECRETS, { namespace, labelSelector, signal });
  for (const { metadata } of items) {
    await client.delete(
      SECRETS,
      { namespace, name: metadata.name ?? '' },
      { preconditions: { uid: metadata.uid }, signal },
    );
  }
}
