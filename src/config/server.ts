// What the server is told from outside. Durations are in seconds in the environment and in milliseconds in the program.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { InvalidInputError } from '../lib/errors.ts';
import {
  httpUrl,
  type ProcessEnvironment,
  parseEnvironment,
  readSecretFile,
  seconds,
} from './environment.ts';

const commaSeparated = (value: string) =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const minorVersion = z.string().regex(/^1\.[0-9]{2}$/);

const SHA_256 = /^[0-9a-f]{64}$/;

const schema = z.object({
  MAYFLY_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** Where the Environments are. */
  MAYFLY_NAMESPACE: z.string().min(1),
  /** Absent: the service account of the pod. */
  MAYFLY_KUBECONFIG_FILE: z.string().optional(),
  MAYFLY_PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  /** Where people and CI reach the service. */
  MAYFLY_PUBLIC_URL: httpUrl,
  /** Who signed the certificate of the public URL, PEM; for kubeconfigs. Absent: everybody trusts it. */
  MAYFLY_PUBLIC_CA_FILE: z.string().optional(),
  /** Previews answer at `<label>.` before the host of this URL. */
  MAYFLY_PREVIEW_URL: httpUrl,
  MAYFLY_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
  MAYFLY_REDIS_USERNAME: z.string().optional(),
  MAYFLY_REDIS_PASSWORD_FILE: z.string().optional(),
  /** A file for each token: its name is the token's, its content the SHA-256 of the token in hex. */
  MAYFLY_API_TOKENS_FOLDER: z.string().optional(),
  /** Comma-separated names of tokens that may access every environment. */
  MAYFLY_API_TOKEN_ADMINS: z.string().default('').transform(commaSeparated),
  /** One a line, the newest first. Absent: no webhook is served. */
  MAYFLY_GITHUB_WEBHOOK_SECRETS_FILE: z.string().optional(),
  MAYFLY_TIME_TO_LIVE_SECONDS: seconds(24 * 3600),
  MAYFLY_MAX_TIME_TO_LIVE_SECONDS: seconds(72 * 3600),
  MAYFLY_MAX_LIFETIME_SECONDS: seconds(7 * 24 * 3600),
  /** Comma-separated, the default first. */
  MAYFLY_KUBERNETES_VERSIONS: z
    .string()
    .default('1.34')
    .transform(commaSeparated)
    .pipe(z.tuple([minorVersion], minorVersion)),
  MAYFLY_DRAIN_SECONDS: seconds(20),
});

/** @throws InvalidInputError `InvalidConfiguration` */
export async function loadServerConfig(environment: ProcessEnvironment) {
  const env = parseEnvironment(schema, environment);
  const secret = (variable: keyof typeof env & string, path: string | undefined) =>
    path === undefined ? undefined : readSecretFile(variable, path);
  const webhookSecrets = await secret(
    'MAYFLY_GITHUB_WEBHOOK_SECRETS_FILE',
    env.MAYFLY_GITHUB_WEBHOOK_SECRETS_FILE,
  );
  return {
    logLevel: env.MAYFLY_LOG_LEVEL,
    namespace: env.MAYFLY_NAMESPACE,
    kubeconfigFile: env.MAYFLY_KUBECONFIG_FILE,
    port: env.MAYFLY_PORT,
    publicUrl: env.MAYFLY_PUBLIC_URL,
    publicCa: await secret('MAYFLY_PUBLIC_CA_FILE', env.MAYFLY_PUBLIC_CA_FILE),
    previewUrl: env.MAYFLY_PREVIEW_URL,
    redis: {
      url: env.MAYFLY_REDIS_URL,
      username: env.MAYFLY_REDIS_USERNAME,
      password: await secret('MAYFLY_REDIS_PASSWORD_FILE', env.MAYFLY_REDIS_PASSWORD_FILE),
    },
    apiTokens: await readTokens(env.MAYFLY_API_TOKENS_FOLDER),
    apiTokenAdmins: env.MAYFLY_API_TOKEN_ADMINS,
    webhookSecrets: (webhookSecrets?.split('\n') ?? [])
      .map((line) => line.trim())
      .filter((line) => line !== ''),
    ttl: {
      defaultTtlMs: env.MAYFLY_TIME_TO_LIVE_SECONDS,
      maxTtlMs: env.MAYFLY_MAX_TIME_TO_LIVE_SECONDS,
      maxLifetimeMs: env.MAYFLY_MAX_LIFETIME_SECONDS,
    },
    kubernetesVersions: env.MAYFLY_KUBERNETES_VERSIONS,
    drainMs: env.MAYFLY_DRAIN_SECONDS,
  };
}

/** Files that begin with a dot are the kubelet's own (`..data` and the like, of a mounted Secret). */
async function readTokens(folder: string | undefined): Promise<{ name: string; digest: Buffer }[]> {
  if (folder === undefined) return [];
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  return Promise.all(
    names.map(async (name) => {
      const digest = (await readSecretFile('MAYFLY_API_TOKENS_FOLDER', join(folder, name))).toLowerCase();
      if (SHA_256.test(digest)) return { name, digest: Buffer.from(digest, 'hex') };
      throw new InvalidInputError({
        code: 'InvalidConfiguration',
        message: `MAYFLY_API_TOKENS_FOLDER: ${name} is not a SHA-256 in hex`,
      });
    }),
  );
}
