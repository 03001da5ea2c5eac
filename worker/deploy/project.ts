// What is to be deployed for an environment, whether it comes from a repository or from the request itself.
import type { ExposedService, ProjectDeploy, ProjectFile } from '../../src/environments/project-file.ts';
import type { Environment } from '../../src/environments/resource.ts';
import type { PullRequest } from '../../src/github/read-pull-request.ts';
import type { PullRequests } from '../pull-requests.ts';
import { IMAGE_APP_NAME } from './generated-chart.ts';

export interface Project {
  deploy: ProjectDeploy;
  expose: readonly ExposedService[];
  ready: ProjectFile['ready'];
  /** Present when the files of a repository are needed or named. */
  pullRequest?: PullRequest;
}

/** Where apps go inside the virtual cluster. */
export const APP_NAMESPACE = 'default';

const DEFAULT_READY = { timeoutMs: 180_000 };

/** @returns undefined when there is nothing to deploy. @throws as `PullRequests.confirm` does. */
export async function readProject(
  pullRequests: PullRequests,
  environment: Environment,
  signal: AbortSignal,
): Promise<Project | undefined> {
  const { app, pullRequest: source } = environment.spec;
  if (app) return projectOf({ kind: 'image', ...app }, [], DEFAULT_READY);
  if (!source) return undefined;
  const { pullRequest, file } = await pullRequests.confirm(environment, signal);
  return { ...projectOf(file.deploy, file.expose, file.ready), pullRequest };
}

/** An image answers at its own port. */
function projectOf(
  deploy: ProjectDeploy,
  expose: readonly ExposedService[],
  ready: ProjectFile['ready'],
): Project {
  const own = deploy.kind === 'image' ? [{ service: IMAGE_APP_NAME, port: deploy.port, name: '' }] : expose;
  return { deploy, expose: own, ready };
}
