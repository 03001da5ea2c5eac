// What a syncer is told from outside: which cluster it serves, and where both of its sides are.
import { join } from 'node:path';
import { z } from 'zod';
import { type ProcessEnvironment, parseEnvironment, readSecretFile } from './environment.ts';

const list = z
  .string()
  .default('')
  .transform((text) => text.split(',').filter(Boolean));

const names = z.array(z.string().min(1));

/** The chart's values `sync`, which it hands on whole. */
const syncSchema = z.strictObject({
  ingresses: z.strictObject({ annotations: names.default([]), hosts: names.default([]) }).prefault({}),
  httpRoutes: z.strictObject({ gateways: names.default([]), hosts: names.default([]) }).prefault({}),
  ingressClasses: names.default(['*']),
  runtimeClasses: names.default([]),
  priorityClasses: names.default([]),
  serviceAccounts: z
    .strictObject({ enabled: z.boolean().default(false), annotations: names.default([]) })
    .prefault({}),
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
  /** External admission webhooks that the virtual API server may dial. */
  MAYFLY_WEBHOOK_HOSTS: list,
  /** How many virtual clusters may stand within each other. */
  MAYFLY_MAX_DEPTH: z.coerce.number().int().min(1).max(9).default(2),
  /** Addresses of this process's own pod. */
  MAYFLY_POD_IPS: list.pipe(z.array(z.union([z.ipv4(), z.ipv6()])).min(1)),
  /** With the port of the host's API, as a kubelet sets them. */
  KUBERNETES_SERVICE_HOST: z.string().optional(),
});

const certificatesSchema = z.object({
  ...shared,
  MAYFLY_CERTIFICATES_LIFETIME_DAYS: z.coerce.number().int().positive().default(365),
  MAYFLY_CERTIFICATES_EXTRA_NAMES: list,
});

const DAY_MS = 24 * 3600_000;

function sharedConfig(env: z.infer<z.ZodObject<typeof shared>>) {
  return {
    logLevel: env.MAYFLY_LOG_LEVEL,
    cluster: env.MAYFLY_CLUSTER,
    hostNamespace: env.MAYFLY_NAMESPACE,
    hostKubeconfigFile: env.MAYFLY_HOST_KUBECONFIG_FILE,
    certificatesFolder: env.MAYFLY_CERTIFICATES_FOLDER,
  };
}

/** @throws InvalidInputError `InvalidConfiguration` */
export async function loadSyncerConfig(environment: ProcessEnvironment) {
  const env = parseEnvironment(runSchema, environment);
  const file = (name: string) =>
    readSecretFile('MAYFLY_CERTIFICATES_FOLDER', join(env.MAYFLY_CERTIFICATES_FOLDER, name));
  const pair = async (name: string) => ({ cert: await file(`${name}.crt`), key: await file(`${name}.key`) });
  return {
    ...sharedConfig(env),
    virtualKubeconfigFile: env.MAYFLY_VIRTUAL_KUBECONFIG_FILE,
    profile: env.MAYFLY_ISOLATION_PROFILE,
    network: {
      isolated: env.MAYFLY_NETWORK_ISOLATION === 'on',
      deniedCidrs: env.MAYFLY_DENIED_CIDRS,
    },
    sync: env.MAYFLY_SYNC,
    webhookHosts: env.MAYFLY_WEBHOOK_HOSTS,
    maxDepth: env.MAYFLY_MAX_DEPTH,
    podIps: env.MAYFLY_POD_IPS,
    hostApiAddresses: env.KUBERNETES_SERVICE_HOST ? [env.KUBERNETES_SERVICE_HOST] : [],
    certificates: {
      ca: await file('ca.crt'),
      syncer: await pair('syncer'),
      kubelet: await pair('kubelet'),
      webhook: await pair('webhook'),
    },
  };
}

/** @throws InvalidInputError `InvalidConfiguration` */
export function loadCertificatesConfig(environment: ProcessEnvironment) {
  const env = parseEnvironment(certificatesSchema, environment);
  return {
    ...sharedConfig(env),
    lifetimeMs: env.MAYFLY_CERTIFICATES_LIFETIME_DAYS * DAY_MS,
    extraNames: env.MAYFLY_CERTIFICATES_EXTRA_NAMES,
  };
}
