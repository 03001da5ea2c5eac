// Waits until what was deployed is ready, or until it is known why it will not be.
import { diagnose } from '../../src/environments/diagnosis/diagnose.ts';
import type {
  DaemonSet,
  Deployment,
  EndpointSlice,
  Event,
  Job,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  Service,
  StatefulSet,
  StorageClass,
} from '../../src/environments/diagnosis/objects.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { InvalidInputError } from '../../src/lib/errors.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { createCollectionWatcher } from '../until.ts';
import { APP_KINDS } from '../virtual-kinds.ts';

/** @throws InvalidInputError with the diagnosis, when waiting longer will not help or `timeoutMs` have passed. */
export async function untilAppIsReady(
  client: KubeClient,
  namespace: string,
  { timeoutMs, logger, signal }: { timeoutMs: number; logger: Logger; signal: AbortSignal },
): Promise<void> {
  const watcher = createCollectionWatcher(client, logger);
  const inNamespace = { namespace };
  const collections = {
    deployments: watcher.follow<Deployment>(APP_KINDS.deployments, inNamespace),
    replicaSets: watcher.follow<ReplicaSet>(APP_KINDS.replicaSets, inNamespace),
    statefulSets: watcher.follow<StatefulSet>(APP_KINDS.statefulSets, inNamespace),
    daemonSets: watcher.follow<DaemonSet>(APP_KINDS.daemonSets, inNamespace),
    jobs: watcher.follow<Job>(APP_KINDS.jobs, inNamespace),
    pods: watcher.follow<Pod>(APP_KINDS.pods, inNamespace),
    events: watcher.follow<Event>(APP_KINDS.events, inNamespace),
    services: watcher.follow<Service>(APP_KINDS.services, inNamespace),
    endpointSlices: watcher.follow<EndpointSlice>(APP_KINDS.endpointSlices, inNamespace),
    persistentVolumeClaims: watcher.follow<PersistentVolumeClaim>(
      APP_KINDS.persistentVolumeClaims,
      inNamespace,
    ),
    storageClasses: watcher.follow<StorageClass>(APP_KINDS.storageClasses),
  };
  const diagnoseNow = () =>
    diagnose({
      deployments: collections.deployments(),
      replicaSets: collections.replicaSets(),
      statefulSets: collections.statefulSets(),
      daemonSets: collections.daemonSets(),
      jobs: collections.jobs(),
      pods: collections.pods(),
      events: collections.events(),
      services: collections.services(),
      endpointSlices: collections.endpointSlices(),
      persistentVolumeClaims: collections.persistentVolumeClaims(),
      storageClasses: collections.storageClasses(),
    });
  const decided = await watcher.until(
    () => {
      const diagnosis = diagnoseNow();
      return diagnosis.state === 'waiting' ? undefined : diagnosis;
    },
    { timeoutMs, signal },
  );
  const diagnosis = decided ?? diagnoseNow();
  if (diagnosis.state === 'ready') return;
  const waited = decided ? '' : `Not ready after ${Math.round(timeoutMs / 1000)} s. `;
  throw new InvalidInputError({ code: diagnosis.reason, message: `${waited}${diagnosis.message}` });
}
