// Puts the runner together with its steps.
import type { WorkerConfig } from '../src/config/worker.ts';
import type { ClusterAccess } from '../src/environments/cluster-access.ts';
import type { KubeClient } from '../src/kube/client.ts';
import { createLease } from '../src/kube/lease.ts';
import type { Clock } from '../src/lib/clock.ts';
import type { Logger } from '../src/lib/logger.ts';
import { createHelm } from './helm.ts';
import type { PullRequests } from './pull-requests.ts';
import { createRunner, type EnvironmentAccess, type Runner } from './runner.ts';
import { createApiReadyStep } from './steps/api-ready.ts';
import { createControlPlaneStep } from './steps/control-plane.ts';
import { createDeployStep } from './steps/deploy.ts';
import { createNamespaceStep } from './steps/namespace.ts';
import { createPublishStep } from './steps/publish.ts';
import { createReportStep } from './steps/report.ts';
import { createTeardownStep } from './steps/teardown.ts';
import { createVirtualClusterOpener } from './virtual-cluster.ts';

export interface EnvironmentRunnerDeps {
  config: WorkerConfig;
  /** Of the host. */
  client: KubeClient;
  access: ClusterAccess;
  environments: EnvironmentAccess;
  pullRequests: PullRequests;
  clock: Clock;
  /** The API server's time. */
  serverClock: Clock;
  logger: Logger;
}

/** After a worker dies, its environments wait this long. */
const LEASE_DURATION_MS = 15_000;

const PROFILES = { privileged: 'none', baseline: 'baseline', restricted: 'restricted' } as const;

export function createEnvironmentRunner(deps: EnvironmentRunnerDeps): Runner {
  const { config, client, pullRequests, clock, logger } = deps;
  const { namespace, release, workFolder, previewUrl } = config;
  const helm = createHelm({ program: config.helm });
  const openVirtualCluster = createVirtualClusterOpener({ client, access: deps.access });
  return createRunner({
    environments: deps.environments,
    acquireLease: (name, signal) =>
      createLease({
        client,
        namespace,
        name,
        holder: config.podName,
        durationMs: LEASE_DURATION_MS,
        clock,
        logger,
      }).acquire(signal),
    provision: [
      createNamespaceStep({
        client,
        clock,
        release,
        service: {
          namespace,
          workerAccount: config.serviceAccount,
          serverAccount: config.serverServiceAccount,
        },
        podSecurity: config.podSecurity,
        hostReadsRole: config.hostReadsRole,
      }),
      createControlPlaneStep({
        client,
        clock,
        helm,
        ...config.virtualCluster,
        workFolder,
        serviceNamespace: namespace,
        isolationProfile: PROFILES[config.podSecurity],
      }),
      createApiReadyStep({ client, clock, logger, openVirtualCluster }),
      createDeployStep({ pullRequests, openVirtualCluster, helm, previewUrl, workFolder, logger }),
      createPublishStep({ client, pullRequests, openVirtualCluster, previewUrl, clock, logger }),
    ],
    teardown: [
      createTeardownStep({
        client,
        clock: deps.serverClock,
        logger,
        release,
        forceAfterMs: config.forceTeardownMs,
      }),
    ],
    report: createReportStep({ pullRequests, clock: deps.serverClock }),
    clock,
    logger,
  });
}
