// What the worker is told from outside. Durations are in seconds in the environment and in milliseconds in the program.
import * as z from 'zod';
import {
  httpUrl,
  type ProcessEnvironment,
  parseEnvironment,
  readSecretFile,
  seconds,
} from './environment.ts';

const minorVersion = z.string().regex(/^1\.[0-9]{2}$/);

const schema = z
  .object({
    MAYFLY_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
    /** Where the Environments are. */
    MAYFLY_NAMESPACE: z.string().min(1),
    /** Value of the label `mayfly.dev/managed-by`, and prefix of the names of the chart's cluster-wide objects. */
    MAYFLY_RELEASE: z.string().min(1),
    /** Who holds leases: the pod's name. */
    MAYFLY_POD_NAME: z.string().min(1),
    MAYFLY_SERVICE_ACCOUNT: z.string().min(1),
    MAYFLY_SERVER_SERVICE_ACCOUNT: z.string().min(1),
    /** Absent: the service account of the pod. */
    MAYFLY_KUBECONFIG_FILE: z.string().optional(),
    MAYFLY_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
    MAYFLY_REDIS_USERNAME: z.string().optional(),
    MAYFLY_REDIS_PASSWORD_FILE: z.string().optional(),
    MAYFLY_GITHUB_API_URL: httpUrl.default('https://api.github.com'),
    /** What pull requests from other repositories get. */
    MAYFLY_FORKS: z.enum(['refuse', 'allow']).default('refuse'),
    MAYFLY_GITHUB_APP_ID: z.coerce.number().int().positive().optional(),
    MAYFLY_GITHUB_PRIVATE_KEY_FILE: z.string().optional(),
    /** Previews answer at `<label>.` before this host: `https://preview.example.com`. */
    MAYFLY_PREVIEW_URL: httpUrl,
    /** Folder of charts/virtual-cluster, and a YAML file of values that the operator gives to each. */
    MAYFLY_VIRTUAL_CLUSTER_CHART: z.string().default('/app/charts/virtual-cluster'),
    MAYFLY_VIRTUAL_CLUSTER_VALUES_FILE: z.string().optional(),
    MAYFLY_HELM: z.string().default('/usr/local/bin/helm'),
    /** For sources and charts while they are deployed; must be writable. */
    MAYFLY_WORK_FOLDER: z.string().default('/tmp'),
    MAYFLY_POD_SECURITY: z.enum(['privileged', 'baseline', 'restricted']).default('baseline'),
    /** The ClusterRole by which syncers of environments read classes, nodes and volumes of the host. Absent: they do not. */
    MAYFLY_HOST_READS_ROLE: z.string().optional(),
    MAYFLY_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(4),
    MAYFLY_HEALTH_PORT: z.coerce.number().int().min(0).max(65535).default(8081),
    MAYFLY_DRAIN_SECONDS: seconds(60),
    MAYFLY_SWEEP_SECONDS: seconds(30),
    MAYFLY_RESYNC_SECONDS: seconds(600),
    MAYFLY_MAX_LIFETIME_SECONDS: seconds(7 * 24 * 3600),
    MAYFLY_FORCE_TEARDOWN_SECONDS: seconds(300),
    MAYFLY_TIME_TO_LIVE_SECONDS: seconds(24 * 3600),
    MAYFLY_MAX_TIME_TO_LIVE_SECONDS: seconds(72 * 3600),
    /** Comma-separated, the default first. */
    MAYFLY_KUBERNETES_VERSIONS: z
      .string()
      .default('1.34')
      .transform((value) => value.split(','))
      .pipe(z.tuple([minorVersion], minorVersion)),
  })
  .refine(
    (env) => (env.MAYFLY_GITHUB_APP_ID === undefined) === (env.MAYFLY_GITHUB_PRIVATE_KEY_FILE === undefined),
    {
      message: 'MAYFLY_GITHUB_APP_ID and MAYFLY_GITHUB_PRIVATE_KEY_FILE belong together',
    },
  );

export type WorkerConfig = Awaited<ReturnType<typeof loadWorkerConfig>>;

/** @throws InvalidInputError `InvalidConfiguration` */
export async function loadWorkerConfig(environment: ProcessEnvironment) {
  const env = parseEnvironment(schema, environment);
  const {
    MAYFLY_REDIS_PASSWORD_FILE: passwordFile,
    MAYFLY_GITHUB_APP_ID: appId,
    MAYFLY_GITHUB_PRIVATE_KEY_FILE: privateKeyFile,
  } = env;
  return {
    logLevel: env.MAYFLY_LOG_LEVEL,
    namespace: env.MAYFLY_NAMESPACE,
    release: env.MAYFLY_RELEASE,
    podName: env.MAYFLY_POD_NAME,
    serviceAccount: env.MAYFLY_SERVICE_ACCOUNT,
    serverServiceAccount: env.MAYFLY_SERVER_SERVICE_ACCOUNT,
    kubeconfigFile: env.MAYFLY_KUBECONFIG_FILE,
    redis: {
      url: env.MAYFLY_REDIS_URL,
      username: env.MAYFLY_REDIS_USERNAME,
      password:
        passwordFile === undefined
          ? undefined
          : await readSecretFile('MAYFLY_REDIS_PASSWORD_FILE', passwordFile),
    },
    github:
      appId !== undefined && privateKeyFile !== undefined
        ? {
            appId,
            privateKey: await readSecretFile('MAYFLY_GITHUB_PRIVATE_KEY_FILE', privateKeyFile),
            baseUrl: env.MAYFLY_GITHUB_API_URL,
          }
        : undefined,
    forks: env.MAYFLY_FORKS,
    previewUrl: env.MAYFLY_PREVIEW_URL,
    virtualCluster: {
      chart: env.MAYFLY_VIRTUAL_CLUSTER_CHART,
      valuesFile: env.MAYFLY_VIRTUAL_CLUSTER_VALUES_FILE,
    },
    helm: env.MAYFLY_HELM,
    workFolder: env.MAYFLY_WORK_FOLDER,
    podSecurity: env.MAYFLY_POD_SECURITY,
    hostReadsRole: env.MAYFLY_HOST_READS_ROLE,
    concurrency: env.MAYFLY_CONCURRENCY,
    healthPort: env.MAYFLY_HEALTH_PORT,
    drainMs: env.MAYFLY_DRAIN_SECONDS,
    sweepIntervalMs: env.MAYFLY_SWEEP_SECONDS,
    resyncMs: env.MAYFLY_RESYNC_SECONDS,
    forceTeardownMs: env.MAYFLY_FORCE_TEARDOWN_SECONDS,
    ttl: {
      defaultTtlMs: env.MAYFLY_TIME_TO_LIVE_SECONDS,
      maxTtlMs: env.MAYFLY_MAX_TIME_TO_LIVE_SECONDS,
      maxLifetimeMs: env.MAYFLY_MAX_LIFETIME_SECONDS,
    },
    kubernetesVersions: env.MAYFLY_KUBERNETES_VERSIONS,
  };
}
