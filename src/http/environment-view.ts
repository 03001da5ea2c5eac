// From the resource to what the API shows of it: nothing of where on the host it lives.
import type { EnvironmentView } from '../api/environment.ts';
import { findCondition } from '../environments/conditions.ts';
import { phaseOf } from '../environments/phase.ts';
import type { Environment } from '../environments/resource.ts';

export function environmentView(environment: Environment): EnvironmentView {
  const { metadata, spec, status } = environment;
  const ready = findCondition(status?.conditions, 'Ready');
  const { pullRequest } = spec;
  return {
    name: metadata.name ?? '',
    owner: spec.owner,
    pullRequest: pullRequest && {
      repository: pullRequest.repository,
      number: pullRequest.number,
      commit: pullRequest.commit,
    },
    app: spec.app && { image: spec.app.image, port: spec.app.port },
    kubernetesVersion: spec.kubernetesVersion,
    createdAt: metadata.creationTimestamp ?? '',
    expiresAt: spec.expiresAt,
    phase: phaseOf(environment),
    reason: ready?.reason,
    message: ready?.message,
    commit: status?.commit,
    previews: (status?.endpoints ?? []).map(({ name, url }) => ({ name, url })),
    conditions: (status?.conditions ?? []).map(({ type, status, reason, message, lastTransitionTime }) => ({
      type,
      status,
      reason,
      message,
      lastTransitionTime,
    })),
    steps: (status?.steps ?? []).map(({ name, startedAt, durationMs }) => ({ name, startedAt, durationMs })),
  };
}
