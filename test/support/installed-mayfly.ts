// Mayfly as its users have it: installed by Helm on the host cluster, with the chart's own rights, and a GitHub beside it.
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { ENVIRONMENTS, type Environment } from '../../src/environments/resource.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { type KubeObject, NAMESPACES, SECRETS, SERVICES } from '../../src/kube/resource.ts';
import { type ClusterAccess, clusterAccess } from './cluster.ts';
import { eventually } from './eventually.ts';
import { startGitHub, type TestGitHub } from './github/github.ts';
import { MACHINE_ADDRESS } from './machine-address.ts';
import { forwardPort } from './port-forward.ts';

const PREVIEW_DOMAIN = 'preview.test';
const CHART = 'charts/mayfly';
const REQUEST_TIMEOUT_MS = 30_000;
const INSTALL_TIMEOUT_MS = 180_000;
const UNINSTALL_TIMEOUT_MS = 120_000;

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export interface InstallOptions {
  /** Also the release's name. */
  name: string;
  /** `--set` values on top of what the tests need. */
  values?: Record<string, string>;
  /** Reach the server at this port of the loopback, as a browser of this machine does. Absent: at its cluster IP. */
  localPort?: number;
  signal?: AbortSignal;
}

export interface InstalledMayfly extends AsyncDisposable {
  namespace: string;
  cluster: ClusterAccess;
  github: TestGitHub;
  /** Where deliveries go. */
  webhookUrl: string;
  /** Through the server, with the token of an administrator unless another is given. */
  api(method: string, path: string, body?: unknown, token?: string): Promise<Answer>;
  /** What a browser gets that asks for this preview URL. */
  openPreview(url: string): Promise<Answer>;
  environment(name: string): Promise<Environment | undefined>;
  environments(): Promise<Environment[]>;
  /** Waits until `accept` returns something for the environment, and returns that. */
  environmentWhen<T>(
    name: string,
    what: string,
    accept: (environment: Environment | undefined) => T | undefined,
    timeoutMs?: number,
  ): Promise<T>;
  /** Takes away everything that Redis holds. */
  flushRedis(): Promise<void>;
  uninstall(): Promise<void>;
}

interface ServiceObject extends KubeObject {
  spec: { clusterIP: string; ports: { port: number }[] };
}

/** What fails halfway is taken away again. */
export async function installMayfly(options: InstallOptions): Promise<InstalledMayfly> {
  await using unfinished = new AsyncDisposableStack();
  const cluster = await clusterAccess();
  unfinished.defer(() => cluster.client.close());
  const github = await startGitHub({ host: MACHINE_ADDRESS });
  unfinished.defer(() => github.stop());
  // Nothing is taken away by a name that somebody else's installation has.
  await createNamespace(cluster, options.name);
  unfinished.defer(() => removeRelease(cluster, options.name));
  const mayfly = await install(options, cluster, github, unfinished);
  const installed = unfinished.move();
  const uninstall = () => installed.disposeAsync();
  return { ...mayfly, uninstall, [Symbol.asyncDispose]: uninstall };
}

async function install(
  { name, values = {}, localPort, signal: interrupted }: InstallOptions,
  cluster: ClusterAccess,
  github: TestGitHub,
  opened: AsyncDisposableStack,
): Promise<Omit<InstalledMayfly, 'uninstall' | typeof Symbol.asyncDispose>> {
  const limit = AbortSignal.timeout(INSTALL_TIMEOUT_MS);
  const signal = interrupted ? AbortSignal.any([interrupted, limit]) : limit;
  const token = randomBytes(24).toString('hex');
  await createSecret(cluster, name, 'github', {
    'private-key': github.privateKey,
    'webhook-secrets': github.webhookSecret,
  });
  await createSecret(cluster, name, 'api-tokens', {
    tests: createHash('sha256').update(token).digest('hex'),
  });
  const settings = {
    'image.tag': 'dev',
    'redis.image': 'docker.io/library/redis:7',
    publicUrl: 'http://mayfly.test',
    previewUrl: `http://${PREVIEW_DOMAIN}`,
    'github.apiUrl': github.url,
    'github.appId': String(github.appId),
    'github.existingSecret': 'github',
    'apiTokens.existingSecret': 'api-tokens',
    'apiTokens.admins': '{tests}',
    'environments.virtualCluster.image.tag': 'dev',
    ...values,
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  // The kind outlives the release that installed it, which may have had another name.
  const release = [name, CHART, '--namespace', name, '--take-ownership'];
  await cluster.helm(['install', ...release, '--wait', '--timeout', '150s', ...flags], { signal });
  const service = `${chartName(name)}-server`;
  const server = await cluster.client.get<ServiceObject>(
    SERVICES,
    { namespace: name, name: service },
    { signal },
  );
  const servicePort = server.spec.ports[0]?.port ?? 80;
  const address =
    localPort === undefined
      ? { host: server.spec.clusterIP, port: servicePort }
      : { host: '127.0.0.1', port: localPort };
  if (localPort !== undefined) {
    opened.use(await forwardPort({ cluster, namespace: name, service, servicePort, localPort, signal }));
  }

  const send = (method: string, path: string, headers: Record<string, string>, body?: string) =>
    answerOf({ ...address, method, path, headers }, body);

  const environment = (environmentName: string) => findEnvironment(cluster, name, environmentName);
  const environments = () => listEnvironments(cluster, name);

  const flushRedis = async () => {
    const redis = `${chartName(name)}-redis`;
    const { data } = await cluster.client.get<KubeObject & { data: { password: string } }>(
      SECRETS,
      { namespace: name, name: redis },
      { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) },
    );
    const password = Buffer.from(data.password, 'base64').toString();
    const command = ['redis-cli', '--no-auth-warning', '-a', password, 'FLUSHALL'];
    const answer = await cluster.kubectl(['exec', `${redis}-0`, `--namespace=${name}`, '--', ...command]);
    if (answer.trim() !== 'OK') throw new Error(`FLUSHALL answers: ${answer}`);
  };

  return {
    namespace: name,
    cluster,
    github,
    webhookUrl: `http://${address.host}:${address.port}/v1/webhooks/github`,
    api: (method, path, body, bearer = token) =>
      send(
        method,
        path,
        {
          host: 'mayfly.test',
          authorization: `Bearer ${bearer}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body === undefined ? undefined : JSON.stringify(body),
      ),
    openPreview: (url) => {
      const { host, pathname, search } = new URL(url);
      return send('GET', pathname + search, { host });
    },
    environment,
    environments,
    environmentWhen: (environmentName, what, accept, timeoutMs = 60_000) =>
      eventually(async () => accept(await environment(environmentName)), { what, timeoutMs }),
    flushRedis,
  };
}

async function findEnvironment(
  { client }: ClusterAccess,
  namespace: string,
  name: string,
): Promise<Environment | undefined> {
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    return await client.get<Environment>(ENVIRONMENTS, { namespace, name }, { signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Empty also where the kind is not installed. */
async function listEnvironments({ client }: ClusterAccess, namespace: string): Promise<Environment[]> {
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    return (await client.list<Environment>(ENVIRONMENTS, { namespace, signal })).items;
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** Environments first: only a running worker takes away what they hold on the host. */
async function removeRelease(cluster: ClusterAccess, name: string): Promise<void> {
  const signal = AbortSignal.timeout(UNINSTALL_TIMEOUT_MS);
  for (const { metadata } of await listEnvironments(cluster, name)) {
    const key = { namespace: name, name: metadata.name ?? '' };
    await cluster.client.delete(ENVIRONMENTS, key, { signal }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }
  await eventually(async () => ((await listEnvironments(cluster, name)).length === 0 ? true : undefined), {
    what: 'every environment is torn down',
    timeoutMs: UNINSTALL_TIMEOUT_MS,
    signal,
  });
  await cluster.helm(['uninstall', name, '--namespace', name, '--wait', '--ignore-not-found']);
  await cluster.kubectl(['delete', 'namespace', name, '--wait', '--timeout=180s', '--ignore-not-found'], {
    timeoutMs: 200_000,
  });
}

/** What the chart begins its names with: the release's name, with `mayfly` in it. */
function chartName(release: string): string {
  return release.includes('mayfly') ? release : `${release}-mayfly`;
}

async function createNamespace({ client }: ClusterAccess, name: string): Promise<void> {
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  await client.create(NAMESPACES, { metadata: { name } }, { signal });
}

async function createSecret(
  { client }: ClusterAccess,
  namespace: string,
  name: string,
  stringData: Record<string, string>,
): Promise<void> {
  const secret = { metadata: { namespace, name }, stringData };
  await client.create(SECRETS, secret, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
}

function answerOf(
  options: { host: string; port: number; method: string; path: string; headers: Record<string, string> },
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { ...options, agent: false, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) },
      (response) => {
        text(response).then(
          (content) =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: content }),
          reject,
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
