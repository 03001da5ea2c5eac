// What the virtual API has to know of its syncer before the cluster is usable: its webhook and its policies.
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isForbidden, isNotFound, isRetryable } from '../kube/errors.ts';
import { retry } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import {
  kubeletPolicy,
  MUTATING_WEBHOOK_CONFIGURATIONS,
  serviceWebhook,
  VALIDATING_ADMISSION_POLICIES,
  VALIDATING_ADMISSION_POLICY_BINDINGS,
} from './admission/configuration.ts';
import { FIELD_MANAGER } from './names.ts';

/** About two minutes: the virtual API may only be coming up. */
const RETRY = { backoff: { baseMs: 50, maxMs: 2_000 }, attempts: 80 };

export interface RegistrationDeps {
  /** Of the virtual API. */
  client: Pick<KubeClient, 'apply'>;
  /** PEM of who signed the webhook's certificate. */
  ca: string;
  clock: Clock;
}

/** Resolves when the virtual API has them all. @throws the last error when it does not take them. */
export async function register({ client, ca, clock }: RegistrationDeps, signal: AbortSignal): Promise<void> {
  const [policy, binding] = kubeletPolicy();
  const objects = [
    { type: MUTATING_WEBHOOK_CONFIGURATIONS, object: serviceWebhook(ca) },
    { type: VALIDATING_ADMISSION_POLICIES, object: policy },
    { type: VALIDATING_ADMISSION_POLICY_BINDINGS, object: binding },
  ];
  const mayPass = (error: unknown) =>
    isRetryable(error) || isConflict(error) || isNotFound(error) || isForbidden(error);
  await Promise.all(
    objects.map(({ type, object }) =>
      retry(() => client.apply(type, object, { fieldManager: FIELD_MANAGER, force: true, signal }), {
        ...RETRY,
        isRetryable: mayPass,
        signal,
        clock,
      }),
    ),
  );
}
