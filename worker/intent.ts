// What an environment is to serve, apart from how long: when this changes, a deploy under way is for nothing.
import type { Environment } from '../src/environments/resource.ts';
import { stableHash } from '../src/lib/stable-hash.ts';

/** Equal while the same thing is to be deployed. */
export function intentDigest({ metadata, spec }: Pick<Environment, 'metadata' | 'spec'>): string {
  const { pullRequest, app } = spec;
  return stableHash(
    [
      metadata.uid ?? '',
      pullRequest ? `${pullRequest.repositoryId}@${pullRequest.commit}` : '',
      app ? `${app.image}:${app.port}` : '',
    ],
    16,
  );
}

/** Whether a run that began with `before` must not go on, now that the environment is `now`. */
export function isSuperseded(before: Environment, now: Environment | undefined): boolean {
  return (
    now === undefined ||
    (now.metadata.deletionTimestamp !== undefined && before.metadata.deletionTimestamp === undefined) ||
    intentDigest(before) !== intentDigest(now)
  );
}
