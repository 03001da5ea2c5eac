// What a syncer is told from outside: which cluster it serves, and where both of its sides are.
import * as z from 'zod';
import { parseDurationMs } from '../lib/duration.ts';
import { customResourcesSchema, fromHostSchema } from './custom-resources.ts';
import { dnsSchema } from './dns.ts';
import { type ProcessEnvironment, parseEnvironment } from './environment.ts';

const list = z
  .string()
  .default('')
  .transform((text) => text.split(',').filter(Boolean));

/** In milliseconds. */
const duration = z.string().transform((text, context) => {
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined) return durationMs;
  context.addIssue({ code: 'custom', message: 'is no duration such as 365d, 12h, 30m or 90s' });
  return z.NEVER;
});

const names = z.array(z.string().min(1));
const whichCopies = z.enum(['referenced', 'all']).default('referenced');

/** The chart's values `sync`, which it hands on whole. */
const syncSchema = z.strictObject({
  ingresses: z.strictObject({ annotations: names.default([]), hosts: names.default([]) }).prefault({}),
  httpRoutes: z.strictObject({ gateways: names.default([]), hosts: names.default([]) }).prefault({}),
  ingressClasses: names.default(['*']),
  runtimeClasses: names.default([]),
  priorityClasses: names.default([]),
  nodes: z
    .strictObject({
      mode: z.enum(['used', 'all', 'selector']).default('used'),
      selector: z.record(z.string(), z.string()).default({}),
    })
    .prefault({}),
  serviceAccounts: z
    .strictObject({ enabled: z.boolean().default(false), annotations: names.default([]) })
    .prefault({}),
  configMaps: whichCopies,
  secrets: whichCopies,
  fromHost: fromHostSchema,
  customResources: customResourcesSchema,
});

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: 'custom', message: 'is no JSON' });
    return z.NEVER;
  }
});

const shared = {
  MAYFLY_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** Name of the virtual cluster: its Helm release. */
  MAYFLY_CLUSTER: z.string().regex(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/),
  /** The host namespace that it lives in. */
  MAYFLY_NAMESPACE: z.string().min(1),
  /** Of the host. Absent: the service account of the pod. */
  MAYFLY_HOST_KUBECONFIG_FILE: z.string().optional(),
  MAYFLY_CERTIFICATES_FOLDER: z.string().default('/etc/mayfly/certificates'),
  /** Of the server and client certificates. */
  MAYFLY_CERTIFICATES_LIFETIME: duration.prefault('365d'),
  /** More names and addresses that the API server answers to. */
  MAYFLY_CERTIFICATES_EXTRA_NAMES: list,
};

const runSchema = z.object({
  ...shared,
  /** Of the virtual cluster. Absent: its API server in the same pod. */
  MAYFLY_VIRTUAL_KUBECONFIG_FILE: z.string().optional(),
  MAYFLY_ISOLATION_PROFILE: z.enum(['baseline', 'restricted', 'none']).default('baseline'),
  /** Whether the chart's own network policies are there. */
  MAYFLY_NETWORK_ISOLATION: z.enum(['on', 'off']).default('on'),
  /** Ranges that no workload may reach. */
  MAYFLY_DENIED_CIDRS: list.pipe(z.array(z.union([z.cidrv4(), z.cidrv6()]))),
  /** What is synced by option, in JSON. */
  MAYFLY_SYNC: json.prefault('{}').pipe(syncSchema),
  /** The folders of all containers, to put renewed certificates into. Absent: they are somebody else's to renew. */
  MAYFLY_ALL_CERTIFICATES_FOLDER: z.string().optional(),
  /** On the volume of the store. Absent: the store is not in this pod. */
  MAYFLY_STORE_FOLDER: z.string().optional(),
  /** Empty: the files /etc/hosts of pods are the host kubelet's. */
  MAYFLY_HOSTS_IMAGE: z.string().default(''),
  /** Limits of containers on the host that have none: `memory=512Mi,cpu=1`. */
  MAYFLY_DEFAULT_LIMITS: list.pipe(z.array(z.string().regex(/^[^=]+=[^=]+$/))),
  /** What DNS answers by the operator's word, in JSON. */
  MAYFLY_DNS: json.prefault('{}').pipe(dnsSchema),
  /** External admission webhooks that the virtual API server may dial. */
  MAYFLY_WEBHOOK_HOSTS: list,
  /** How many virtual clusters may stand within each other. */
  MAYFLY_MAX_DEPTH: z.coerce.number().int().min(1).max(9).default(2),
  /** Logs, exec, attach and port-forward that may be open at once. */
  MAYFLY_MAX_STREAMS: z.coerce.number().int().min(1).default(64),
  /** Addresses of this process's own pod. */
  MAYFLY_POD_IPS: list.pipe(z.array(z.union([z.ipv4(), z.ipv6()])).min(1)),
  /** With the port of the host's API, as a kubelet sets them. */
  KUBERNETES_SERVICE_HOST: z.string().optional(),
});

const certificatesSchema = z.object(shared);

function sharedConfig(env: z.infer<z.ZodObject<typeof shared>>) {
  return {
    logLevel: env.MAYFLY_LOG_LEVEL,
    cluster: env.MAYFLY_CLUSTER,
    hostNamespace: env.MAYFLY_NAMESPACE,
    hostKubeconfigFile: env.MAYFLY_HOST_KUBECONFIG_FILE,
    certificatesFolder: env.MAYFLY_CERTIFICATES_FOLDER,
    lifetimeMs: env.MAYFLY_CERTIFICATES_LIFETIME,
    extraNames: env.MAYFLY_CERTIFICATES_EXTRA_NAMES,
  };
}

/** @throws InvalidInputError `InvalidConfiguration` */
export function loadSyncerConfig(environment: ProcessEnvironment) {
  const env = parseEnvironment(runSchema, environment);
  return {
    ...sharedConfig(env),
    virtualKubeconfigFile: env.MAYFLY_VIRTUAL_KUBECONFIG_FILE,
    profile: env.MAYFLY_ISOLATION_PROFILE,
    network: {
      isolated: env.MAYFLY_NETWORK_ISOLATION === 'on',
      deniedCidrs: env.MAYFLY_DENIED_CIDRS,
    },
    sync: env.MAYFLY_SYNC,
    hostsImage: env.MAYFLY_HOSTS_IMAGE || undefined,
    defaultLimits: Object.fromEntries(env.MAYFLY_DEFAULT_LIMITS.map((limit) => limit.split('='))) as Record<
      string,
      string
    >,
    dns: env.MAYFLY_DNS,
    webhookHosts: env.MAYFLY_WEBHOOK_HOSTS,
    storeFolder: env.MAYFLY_STORE_FOLDER,
    maxDepth: env.MAYFLY_MAX_DEPTH,
    maxStreams: env.MAYFLY_MAX_STREAMS,
    podIps: env.MAYFLY_POD_IPS,
    hostApiAddresses: env.KUBERNETES_SERVICE_HOST ? [env.KUBERNETES_SERVICE_HOST] : [],
    allCertificatesFolder: env.MAYFLY_ALL_CERTIFICATES_FOLDER,
  };
}

/** @throws InvalidInputError `InvalidConfiguration` */
export function loadCertificatesConfig(environment: ProcessEnvironment) {
  const env = parseEnvironment(certificatesSchema, environment);
  return sharedConfig(env);
}
