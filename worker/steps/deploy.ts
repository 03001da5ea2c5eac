// The app in the virtual cluster: one Helm release, whatever it is made from, and the wait until it is ready.
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { previewHostLabel } from '../../src/environments/names.ts';
import {
  interpolate,
  interpolateValue,
  type ProjectVariables,
} from '../../src/environments/project-file-variables.ts';
import type { Environment } from '../../src/environments/resource.ts';
import { fetchSource } from '../../src/github/fetch-source.ts';
import { type KubeObject, NAMESPACES } from '../../src/kube/resource.ts';
import { InvalidInputError } from '../../src/lib/errors.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { stableHash } from '../../src/lib/stable-hash.ts';
import { issueDeployCredential, revokeDeployCredential } from '../deploy/credential.ts';
import { chartOfManifests, manifestsOfImage, readManifests, writeChart } from '../deploy/generated-chart.ts';
import { forgetUnfinishedRevisions } from '../deploy/pending-releases.ts';
import { APP_NAMESPACE, type Project, readProject } from '../deploy/project.ts';
import { untilAppIsReady } from '../deploy/readiness.ts';
import type { Helm } from '../helm.ts';
import { intentDigest } from '../intent.ts';
import type { PullRequests } from '../pull-requests.ts';
import type { Step } from '../step.ts';
import type { OpenVirtualCluster, VirtualCluster } from '../virtual-cluster.ts';

export interface DeployStepDeps {
  pullRequests: PullRequests;
  openVirtualCluster: OpenVirtualCluster;
  helm: Helm;
  /** `https://preview.example.com` */
  previewUrl: string;
  workFolder: string;
  logger: Logger;
}

const RELEASE = 'preview';
/** For the hooks of the app's own chart. */
const HOOKS_TIMEOUT_MS = 300_000;
const CREDENTIAL_LIFETIME_MS = 900_000;

export function createDeployStep(deps: DeployStepDeps): Step {
  const { pullRequests, openVirtualCluster, helm, logger } = deps;

  async function install(
    virtual: VirtualCluster,
    project: Project,
    environment: Environment,
    signal: AbortSignal,
  ): Promise<void> {
    const folder = await mkdtemp(join(deps.workFolder, 'deploy-'));
    try {
      const { chart, values } = await prepareChart(project, environment, folder, signal);
      const kubeconfig = join(folder, 'kubeconfig');
      const valuesFile = join(folder, 'values.json');
      await writeFile(valuesFile, JSON.stringify(values));
      await forgetUnfinishedRevisions(virtual.client, { release: RELEASE, namespace: APP_NAMESPACE }, signal);
      const credential = await issueDeployCredential(virtual, {
        lifetimeMs: CREDENTIAL_LIFETIME_MS,
        signal,
      });
      await writeFile(kubeconfig, credential, { mode: 0o600 });
      await helm.upgrade({
        release: RELEASE,
        namespace: APP_NAMESPACE,
        chart,
        valueFiles: [valuesFile],
        kubeconfig,
        folder,
        timeoutMs: HOOKS_TIMEOUT_MS,
        signal,
      });
      await revokeDeployCredential(virtual, signal);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** The chart to install and the values to give it. */
  async function prepareChart(
    { deploy, pullRequest }: Project,
    environment: Environment,
    folder: string,
    signal: AbortSignal,
  ): Promise<{ chart: string; values: object }> {
    const variables = variablesOf(environment, deps.previewUrl);
    const source = join(folder, 'source');
    await mkdir(source);
    const from = environment.spec.pullRequest;
    if (from && pullRequest && deploy.kind !== 'image') {
      const { repository, headCommit: commit } = pullRequest;
      const { leftOutLinks } = await fetchSource(
        pullRequests.clientOf(from),
        { repository, commit },
        source,
        signal,
      );
      if (leftOutLinks.length > 0) logger.info({ leftOutLinks }, 'links of the repository are left out');
    }
    if (deploy.kind === 'helm') {
      const chart = join(source, deploy.chart);
      const found = await stat(join(chart, 'Chart.yaml')).catch(() => undefined);
      if (!found) {
        throw new InvalidInputError({
          code: 'ChartNotFound',
          message: `deploy.helm.chart: there is no ${deploy.chart}/Chart.yaml`,
        });
      }
      return { chart, values: interpolateValue(deploy.values, variables) as object };
    }
    const manifests =
      deploy.kind === 'image'
        ? manifestsOfImage({ image: interpolate(deploy.image, variables), port: deploy.port })
        : await readManifests(source, deploy.paths, variables);
    const chart = join(folder, 'chart');
    await writeChart(chart, chartOfManifests(manifests));
    return { chart, values: {} };
  }

  return {
    name: 'deploy',
    condition: 'Deployed',

    async isDone({ environment }, signal) {
      if (environment.status?.deployed === undefined) return false;
      await using virtual = await openVirtualCluster(environment, signal);
      return environment.status.deployed === (await deployedDigest(environment, virtual, signal));
    },

    async run({ environment }, signal) {
      await using virtual = await openVirtualCluster(environment, signal);
      const deployed = await deployedDigest(environment, virtual, signal);
      const project = await readProject(pullRequests, environment, signal);
      if (!project) return { message: 'There is nothing to deploy', facts: { deployed } };
      await install(virtual, project, environment, signal);
      const { timeoutMs } = project.ready;
      await untilAppIsReady(virtual.client, APP_NAMESPACE, { timeoutMs, logger, signal });
      const commit = environment.spec.pullRequest?.commit;
      const what = commit ? `Commit ${commit.slice(0, 7)}` : (environment.spec.app?.image ?? 'The app');
      return { message: `${what} is deployed`, facts: { deployed, ...(commit && { commit }) } };
    },
  };
}

/** Also names the store that it was deployed to: a virtual cluster that lost its store has lost the app as well. */
async function deployedDigest(
  environment: Environment,
  { client }: VirtualCluster,
  signal: AbortSignal,
): Promise<string> {
  const system = await client.get<KubeObject>(NAMESPACES, { name: 'kube-system' }, { signal });
  return stableHash([intentDigest(environment), system.metadata.uid ?? ''], 16);
}

function variablesOf({ metadata, spec }: Environment, previewUrl: string): ProjectVariables {
  const { name = '', uid = '' } = metadata;
  return {
    commit: spec.pullRequest?.commit ?? '',
    host: `${previewHostLabel(name, uid)}.${new URL(previewUrl).hostname}`,
    number: String(spec.pullRequest?.number ?? ''),
    environment: name,
  };
}
