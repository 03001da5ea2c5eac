// Waits until the virtual cluster is of use: its API answers, its roles are there, Services get their addresses (the syncer's
// webhook is registered); and makes the accounts that pods run as and that people use it as.
import { ADMISSION_HOST } from '../../src/certificates/plan.ts';
import { USER_SERVICE_ACCOUNT } from '../../src/environments/cluster-access.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  type KubeObject,
  PODS,
  type ResourceType,
  SERVICE_ACCOUNTS,
} from '../../src/kube/resource.ts';
import { retry } from '../../src/lib/backoff.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { errorMessage, TimeoutError } from '../../src/lib/errors.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { hostPlaceOf } from '../host-namespace.ts';
import type { Step } from '../step.ts';
import { createCollectionWatcher } from '../until.ts';
import type { OpenVirtualCluster } from '../virtual-cluster.ts';
import { adminBinding, MUTATING_WEBHOOK_CONFIGURATIONS } from '../virtual-kinds.ts';

export interface ApiReadyStepDeps {
  /** Of the host. */
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  openVirtualCluster: OpenVirtualCluster;
}

/** Once it holds its default roles and priorities, which it looks after only once a second while the store is new. */
const READY = '/readyz';
/** Before that, an administrator is answered already. */
const ANSWERING =
  '/readyz?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/scheduling/bootstrap-system-priority-classes';
/**
 * No pod is admitted without it. The controller manager makes it too, but a second later: it starts with asking once a second
 * whether the default roles are there.
 */
const DEFAULT_SERVICE_ACCOUNT = { namespace: 'default', name: 'default' };
const START_TIMEOUT_MS = 180_000;
const PROBE_TIMEOUT_MS = 2_000;
const PROBE_BACKOFF = { baseMs: 50, maxMs: 250 };

export function createApiReadyStep({
  client: host,
  clock,
  logger,
  openVirtualCluster,
}: ApiReadyStepDeps): Step {
  async function untilApiIs(state: string, client: KubeClient, signal: AbortSignal): Promise<void> {
    await retry(() => client.text(state, { signal, timeoutMs: PROBE_TIMEOUT_MS }), {
      backoff: PROBE_BACKOFF,
      attempts: Number.POSITIVE_INFINITY,
      isRetryable: () => true,
      signal,
      clock,
    });
  }

  return {
    name: 'api-ready',
    condition: 'Provisioned',

    async isDone({ environment, ran }, signal) {
      if (ran.has('control-plane') || !environment.status?.host) return false;
      try {
        await using virtual = await openVirtualCluster(environment, signal);
        await virtual.client.text(READY, { signal, timeoutMs: PROBE_TIMEOUT_MS });
        return await isUsable(virtual.client, signal);
      } catch (error) {
        signal.throwIfAborted();
        logger.info({ reason: errorMessage(error) }, 'the virtual cluster does not answer');
        return false;
      }
    },

    async run({ environment }, signal) {
      const limit = AbortSignal.timeout(START_TIMEOUT_MS);
      const started = AbortSignal.any([signal, limit]);
      try {
        await using virtual = await openVirtualCluster(environment, started);
        await untilApiIs(ANSWERING, virtual.client, started);
        await allOrNone(started, (together) => [
          untilApiIs(READY, virtual.client, together),
          ensureAccounts(virtual.client, { clock, signal: together }),
          untilServicesGetAddresses(virtual.client, logger, together),
        ]);
        return { message: `The virtual cluster ${environment.metadata.name} is ready` };
      } catch (error) {
        signal.throwIfAborted();
        if (!limit.aborted) throw error;
        const { cluster, namespace } = hostPlaceOf(environment);
        const pod = await host
          .get<HostPod>(PODS, { namespace, name: `${cluster}-0` }, { signal })
          .catch(() => undefined);
        throw new TimeoutError({
          code: 'ControlPlaneNotReady',
          message: `The control plane is not ready after ${START_TIMEOUT_MS / 1000} s: ${describePod(pod)}`,
          cause: error,
        });
      }
    },
  };
}

type WebhookConfiguration = KubeObject & { webhooks?: { clientConfig?: { url?: string } }[] };

function isServiceWebhook({ webhooks = [] }: WebhookConfiguration): boolean {
  return webhooks.some(({ clientConfig }) => clientConfig?.url?.includes(`//${ADMISSION_HOST}`));
}

async function isUsable(client: KubeClient, signal: AbortSignal): Promise<boolean> {
  const accountsNamed = ({ namespace, name }: { namespace: string; name: string }) =>
    client.list(SERVICE_ACCOUNTS, { namespace, fieldSelector: `metadata.name=${name}`, signal });
  const [defaults, users, webhooks] = await Promise.all([
    accountsNamed(DEFAULT_SERVICE_ACCOUNT),
    accountsNamed(USER_SERVICE_ACCOUNT),
    client.list<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS, { signal }),
  ]);
  return defaults.items.length > 0 && users.items.length > 0 && webhooks.items.some(isServiceWebhook);
}

async function untilServicesGetAddresses(
  client: KubeClient,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const watcher = createCollectionWatcher(client, logger);
  const webhooks = watcher.follow<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS);
  const registered = () => webhooks().some(isServiceWebhook) || undefined;
  await watcher.until(registered, { timeoutMs: START_TIMEOUT_MS, signal });
}

async function ensureAccounts(
  client: KubeClient,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const apply = (type: ResourceType, object: KubeObject) =>
    retry(() => client.apply(type, object, { fieldManager: 'mayfly-worker', force: true, signal }), {
      backoff: PROBE_BACKOFF,
      attempts: Number.POSITIVE_INFINITY,
      // A new store gets its first namespaces a moment after the API server answers.
      isRetryable: isNotFound,
      signal,
      clock,
    });
  const account = (metadata: { namespace: string; name: string }) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata,
  });
  await apply(SERVICE_ACCOUNTS, account(DEFAULT_SERVICE_ACCOUNT));
  await apply(CLUSTER_ROLE_BINDINGS, adminBinding(USER_SERVICE_ACCOUNT));
  // Last: it is what says that all are there.
  await apply(SERVICE_ACCOUNTS, account(USER_SERVICE_ACCOUNT));
}

/** Waits for all; when one fails, the others are ended. */
async function allOrNone(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly Promise<unknown>[],
): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.all(start(AbortSignal.any([signal, over.signal])));
  } finally {
    over.abort();
  }
}

interface HostPod extends KubeObject {
  status?: {
    phase?: string;
    conditions?: { type: string; status: string; message?: string }[];
    containerStatuses?: {
      name: string;
      ready: boolean;
      restartCount: number;
      state?: {
        waiting?: { reason?: string; message?: string };
        terminated?: { reason?: string; exitCode?: number };
      };
    }[];
  };
}

/** What is wrong with the control plane's pod, for people. */
function describePod(pod: HostPod | undefined): string {
  if (!pod) return 'its pod does not exist';
  const containers = (pod.status?.containerStatuses ?? []).filter(({ ready }) => !ready);
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') return `its pod cannot be scheduled: ${scheduled.message}`;
  if (containers.length === 0) return `its pod is ${pod.status?.phase ?? 'unknown'}`;
  return containers
    .map(({ name, restartCount, state }) => {
      const why = state?.waiting ?? state?.terminated;
      const detail = state?.waiting?.message ? `: ${state.waiting.message}` : '';
      return `container ${name} is not ready (${why?.reason ?? 'running'}${detail}), restarted ${restartCount} times`;
    })
    .join('; ');
}
