// The job `reconcile-environment`: one run of the runner.
import type { KubeClient } from '../../src/kube/client.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { LEASES } from '../../src/kube/lease.ts';
import { MayflyError } from '../../src/lib/errors.ts';
import type { JobContext } from '../../src/queue/job-worker.ts';
import { type ReconcileEnvironment, syncPullRequest } from '../../src/queue/jobs.ts';
import type { JobProducer } from '../../src/queue/producer.ts';
import { PULL_REQUEST_MOVED } from '../pull-requests.ts';
import type { EnvironmentAccess, Runner } from '../runner.ts';

export interface ReconcileEnvironmentDeps {
  runner: Runner;
  environments: Pick<EnvironmentAccess, 'read'>;
  producer: Pick<JobProducer, 'enqueue'>;
  client: KubeClient;
  namespace: string;
}

export function createReconcileEnvironmentHandler(deps: ReconcileEnvironmentDeps) {
  const { runner, environments, producer, client, namespace } = deps;

  /** The pull request is elsewhere than the Environment says, and perhaps no delivery told of it. */
  async function askForSync(name: string, signal: AbortSignal): Promise<void> {
    const pullRequest = (await environments.read(name, signal))?.spec.pullRequest;
    if (pullRequest) await producer.enqueue(syncPullRequest, pullRequest);
  }

  async function removeLease(name: string, signal: AbortSignal): Promise<void> {
    try {
      await client.delete(LEASES, { namespace, name }, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  return async ({ name }: ReconcileEnvironment, { signal }: JobContext): Promise<void> => {
    try {
      if ((await runner.reconcile(name, signal)) === 'gone') await removeLease(name, signal);
    } catch (error) {
      if (error instanceof MayflyError && error.code === PULL_REQUEST_MOVED) await askForSync(name, signal);
      throw error;
    }
  };
}
