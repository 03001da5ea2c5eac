// Where the previews answer: the addresses of the exposed Services, written down once they do answer.
import { once } from 'node:events';
import { connect } from 'node:net';
import { request } from 'undici';
import { isConditionTrue } from '../../src/environments/conditions.ts';
import { previewHostLabel } from '../../src/environments/names.ts';
import type { ExposedService } from '../../src/environments/project-file.ts';
import type { Environment, PreviewEndpoint } from '../../src/environments/resource.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { type KubeObject, SERVICES } from '../../src/kube/resource.ts';
import { retry } from '../../src/lib/backoff.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { errorMessage, InvalidInputError } from '../../src/lib/errors.ts';
import { urlHost } from '../../src/lib/ip-address.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { APP_NAMESPACE, readProject } from '../deploy/project.ts';
import { hostPlaceOf } from '../host-namespace.ts';
import type { PullRequests } from '../pull-requests.ts';
import type { Step } from '../step.ts';
import { createCollectionWatcher } from '../until.ts';
import type { OpenVirtualCluster } from '../virtual-cluster.ts';

export interface PublishStepDeps {
  /** Of the host. */
  client: KubeClient;
  pullRequests: PullRequests;
  openVirtualCluster: OpenVirtualCluster;
  /** `https://preview.example.com` */
  previewUrl: string;
  clock: Clock;
  logger: Logger;
}

type Service = KubeObject & {
  spec?: { clusterIP?: string; ports?: { port: number; protocol?: string }[] };
};

/** From the Service in the virtual cluster to the same one on the host. */
const SYNC_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 5_000;
const ANSWER_BACKOFF = { baseMs: 100, maxMs: 1_000 };

export function createPublishStep(deps: PublishStepDeps): Step {
  const { client: host, pullRequests, openVirtualCluster, clock, logger } = deps;

  /**
   * The cluster IP of a Service in the virtual cluster, once the host has a Service of this environment with that address: what
   * the virtual cluster says alone would let a tenant point the preview at somebody else's.
   */
  async function addressOf(
    virtual: KubeClient,
    environment: Environment,
    exposed: ExposedService,
    signal: AbortSignal,
  ): Promise<string> {
    const inside = createCollectionWatcher(virtual, logger);
    const services = inside.follow<Service>(SERVICES, {
      namespace: APP_NAMESPACE,
      fieldSelector: `metadata.name=${exposed.service}`,
    });
    const address = await inside.until(() => plainAddress(services()[0], exposed), {
      timeoutMs: SYNC_TIMEOUT_MS,
      signal,
    });
    if (!address) throw notExposable(exposed, 'does not exist');
    const outside = createCollectionWatcher(host, logger);
    const hostServices = outside.follow<Service>(SERVICES, {
      namespace: hostPlaceOf(environment).namespace,
    });
    const own = () => hostServices().some(({ spec }) => spec?.clusterIP === address) || undefined;
    if (await outside.until(own, { timeoutMs: SYNC_TIMEOUT_MS, signal })) return address;
    throw notExposable(exposed, `has the address ${address}, which is not this environment's`);
  }

  async function untilItAnswers(
    { clusterIp, port, hostLabel }: PreviewEndpoint,
    path: string | undefined,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    const host = `${hostLabel}.${new URL(deps.previewUrl).host}`;
    const address = { host: clusterIp, port };
    const limit = AbortSignal.timeout(timeoutMs);
    let last = 'it did not answer';
    try {
      await retry(
        async () => {
          try {
            const probing = AbortSignal.any([signal, limit, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
            if (path === undefined) return await accepts(address, probing);
            const status = await statusOf(address, path, host, probing);
            if (status >= 200 && status < 400) return;
            last = `it answers ${status}`;
          } catch (error) {
            last = errorMessage(error);
          }
          throw new Error(last);
        },
        {
          backoff: ANSWER_BACKOFF,
          attempts: Number.POSITIVE_INFINITY,
          isRetryable: () => true,
          signal: AbortSignal.any([signal, limit]),
          clock,
        },
      );
    } catch (error) {
      signal.throwIfAborted();
      throw new InvalidInputError({
        code: 'PreviewDoesNotAnswer',
        message: `Port ${port} at ${path ?? '/'} is not ready after ${Math.round(timeoutMs / 1000)} s: ${last}`,
        cause: error,
      });
    }
  }

  return {
    name: 'publish',
    condition: 'Published',

    async isDone({ environment, ran }) {
      return !ran.has('deploy') && isConditionTrue(environment.status?.conditions, 'Published');
    },

    async run({ environment }, signal) {
      const project = await readProject(pullRequests, environment, signal);
      const exposed = [...(project?.expose ?? [])].sort((a, b) => a.name.localeCompare(b.name));
      if (!project || exposed.length === 0) {
        return { message: 'Nothing is exposed', facts: { endpoints: [] } };
      }
      await using virtual = await openVirtualCluster(environment, signal);
      const endpoints = await Promise.all(
        exposed.map(async (service) => ({
          ...endpointNames(environment, service.name, deps.previewUrl),
          clusterIp: await addressOf(virtual.client, environment, service, signal),
          port: service.port,
        })),
      );
      const { path, timeoutMs } = project.ready;
      await Promise.all(
        endpoints.map((endpoint) =>
          untilItAnswers(endpoint, endpoint.name === '' ? path : undefined, { timeoutMs, signal }),
        ),
      );
      return { message: endpoints.map(({ url }) => url).join(', '), facts: { endpoints } };
    },
  };
}

function endpointNames(
  { metadata }: Environment,
  name: string,
  previewUrl: string,
): Pick<PreviewEndpoint, 'name' | 'url' | 'hostLabel'> {
  const hostLabel = previewHostLabel(metadata.name ?? '', metadata.uid ?? '', name);
  const { protocol, host } = new URL(previewUrl);
  return { name, hostLabel, url: `${protocol}//${hostLabel}.${host}` };
}

/** @returns undefined while there is no such Service or it has no address yet. */
function plainAddress(service: Service | undefined, exposed: ExposedService): string | undefined {
  if (!service) return undefined;
  const { clusterIP, ports = [] } = service.spec ?? {};
  if (clusterIP === 'None') throw notExposable(exposed, 'is headless: it has no address of its own');
  if (!ports.some(({ port, protocol = 'TCP' }) => port === exposed.port && protocol === 'TCP')) {
    const has = ports.map(({ port }) => port).join(', ') || 'none';
    throw notExposable(exposed, `has no TCP port ${exposed.port}; its ports: ${has}`);
  }
  return clusterIP || undefined;
}

function notExposable({ service }: ExposedService, why: string): InvalidInputError {
  return new InvalidInputError({ code: 'ServiceNotExposable', message: `Service \`${service}\` ${why}` });
}

/** Whether anything listens: the host refuses connections to a Service that has no ready pod. */
async function accepts(address: { host: string; port: number }, signal: AbortSignal): Promise<void> {
  const socket = connect(address);
  try {
    await once(socket, 'connect', { signal });
  } finally {
    socket.destroy();
  }
}

async function statusOf(
  { host: ip, port }: { host: string; port: number },
  path: string,
  host: string,
  signal: AbortSignal,
): Promise<number> {
  const { statusCode, body } = await request(`http://${urlHost(ip)}:${port}${path}`, {
    headers: { host, 'user-agent': 'mayfly' },
    signal,
  });
  await body.dump({ limit: 64 * 1024, signal });
  return statusCode;
}
