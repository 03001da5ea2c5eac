// Reads a kubeconfig. Apart from connection.ts because the syncer, which must stay small, never needs a YAML parser.
import { parse } from 'yaml';
import * as z from 'zod';
import { InvalidInputError } from '../lib/errors.ts';
import type { KubeConnection } from './connection.ts';

const clusterSchema = z.object({
  server: z.url({ protocol: /^https?$/ }),
  'certificate-authority-data': z.base64().optional(),
  'tls-server-name': z.string().optional(),
});

const userSchema = z.object({
  'client-certificate-data': z.base64().optional(),
  'client-key-data': z.base64().optional(),
  token: z.string().optional(),
});

const kubeconfigSchema = z.object({
  'current-context': z.string().optional(),
  contexts: z.array(
    z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }),
  ),
  clusters: z.array(z.object({ name: z.string(), cluster: z.looseObject({}) })),
  users: z.array(z.object({ name: z.string(), user: z.looseObject({}) })),
});

/** What would make us read other files, run programs or trust anybody: refused, never ignored. */
const REFUSED_FIELDS = [
  'certificate-authority',
  'insecure-skip-tls-verify',
  'proxy-url',
  'client-certificate',
  'client-key',
  'tokenFile',
  'username',
  'exec',
  'auth-provider',
  'as',
];

/**
 * The connection that a context of a kubeconfig says; `current-context` when none is named. Certificates and tokens must be
 * embedded, as `kubectl config view --raw --flatten` prints them: a kubeconfig names no files and runs no programs here.
 * @throws InvalidInputError with the code `InvalidKubeconfig`; its message never holds a credential.
 */
export function connectionFromKubeconfig(text: string, context?: string): KubeConnection {
  const config = check(kubeconfigSchema, parseYaml(text), 'the kubeconfig');
  const contextName = context ?? config['current-context'];
  if (!contextName) throw invalid('no context is named and there is no current-context');
  const chosen = find(config.contexts, contextName, 'context').context;
  const cluster = checkFields(clusterSchema, find(config.clusters, chosen.cluster, 'cluster').cluster);
  const user = checkFields(userSchema, find(config.users, chosen.user, 'user').user);
  const { token } = user;
  return {
    server: cluster.server.replace(/\/+$/, ''),
    ca: decoded(cluster['certificate-authority-data']),
    cert: decoded(user['client-certificate-data']),
    key: decoded(user['client-key-data']),
    token: token === undefined ? undefined : () => token,
    servername: cluster['tls-server-name'],
  };
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    // The parser quotes the offending line, which may hold a credential.
    throw invalid('it is not YAML');
  }
}

function checkFields<T extends z.ZodType>(schema: T, fields: Record<string, unknown>): z.infer<T> {
  const refused = REFUSED_FIELDS.filter((field) => fields[field]);
  if (refused.length > 0) {
    throw invalid(
      `${refused.join(', ')} cannot be used; embed the data with "kubectl config view --raw --flatten"`,
    );
  }
  return check(schema, fields, 'the kubeconfig');
}

function check<T extends z.ZodType>(schema: T, value: unknown, what: string): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => issue.path.join('.') || what);
  throw invalid(`missing or malformed: ${fields.join(', ')}`);
}

function find<T extends { name: string }>(entries: T[], name: string, what: string): T {
  const entry = entries.find((candidate) => candidate.name === name);
  if (!entry) throw invalid(`there is no ${what} "${name}"`);
  return entry;
}

function decoded(base64: string | undefined): string | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('utf8');
}

function invalid(reason: string): InvalidInputError {
  return new InvalidInputError({
    code: 'InvalidKubeconfig',
    message: `The kubeconfig cannot be used: ${reason}`,
  });
}
