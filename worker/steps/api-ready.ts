// Waits until the virtual cluster is of use: its API answers, pods could run (the default ServiceAccount exists), Services get
// their addresses (the syncer's webhook is registered); and makes the account that people use it as.
import { ADMISSION_HOST } from '../../src/certificates/plan.ts';
import { USER_SERVICE_ACCOUNT } from '../../src/environments/cluster-access.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { type KubeObject, PODS, SERVICE_ACCOUNTS } from '../../src/kube/resource.ts';
import { retry } from '../../src/lib/backoff.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { errorMessage, TimeoutError } from '../../src/lib/errors.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { hostPlaceOf } from '../host-namespace.ts';
import type { Step } from '../step.ts';
import { createCollectionWatcher } from '../until.ts';
import type { OpenVirtualCluster } from '../virtual-cluster.ts';
import { adminBinding, CLUSTER_ROLE_BINDINGS, MUTATING_WEBHOOK_CONFIGURATIONS } from '../virtual-kinds.ts';

export interface ApiReadyStepDeps {
  /** Of the host. */
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  openVirtualCluster: OpenVirtualCluster;
}

/** Without two hooks that look only once a second whether a new store is bootstrapped; nothing waits for what they check. */
const READYZ =
  '/readyz?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/scheduling/bootstrap-system-priority-classes';
const START_TIMEOUT_MS = 180_000;
const PROBE_TIMEOUT_MS = 2_000;
const PROBE_BACKOFF = { baseMs: 50, maxMs: 250 };

export function createApiReadyStep({
  client: host,
  clock,
  logger,
  openVirtualCluster,
}: ApiReadyStepDeps): Step {
  async function untilApiAnswers(client: KubeClient, signal: AbortSignal): Promise<void> {
    await retry(() => client.text(READYZ, { signal, timeoutMs: PROBE_TIMEOUT_MS }), {
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
        await virtual.client.text(READYZ, { signal, timeoutMs: PROBE_TIMEOUT_MS });
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
        await untilApiAnswers(virtual.client, started);
        await Promise.all([
          ensureUser(virtual.client, started),
          untilUsable(virtual.client, logger, started),
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
    accountsNamed({ namespace: 'default', name: 'default' }),
    accountsNamed(USER_SERVICE_ACCOUNT),
    client.list<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS, { signal }),
  ]);
  return defaults.items.length > 0 && users.items.length > 0 && webhooks.items.some(isServiceWebhook);
}

async function untilUsable(client: KubeClient, logger: Logger, signal: AbortSignal): Promise<void> {
  const watcher = createCollectionWatcher(client, logger);
  const accounts = watcher.follow(SERVICE_ACCOUNTS, {
    namespace: 'default',
    fieldSelector: 'metadata.name=default',
  });
  const webhooks = watcher.follow<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS);
  const usable = () => (accounts().length > 0 && webhooks().some(isServiceWebhook)) || undefined;
  await watcher.until(usable, { timeoutMs: START_TIMEOUT_MS, signal });
}

/** Whoever gets a kubeconfig from the service is this account, and an administrator of the cluster. */
async function ensureUser(client: KubeClient, signal: AbortSignal): Promise<void> {
  const options = { fieldManager: 'mayfly-worker', force: true, signal };
  const { name, namespace } = USER_SERVICE_ACCOUNT;
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } };
  // The account last: it is what says that both are there.
  await client.apply(CLUSTER_ROLE_BINDINGS, adminBinding({ name, namespace }), options);
  await client.apply(SERVICE_ACCOUNTS, account, options);
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
