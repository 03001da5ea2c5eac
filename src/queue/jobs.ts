// The jobs there are. Both are hints to look at something again: what to do is decided from what is read then.
import * as z from 'zod';
import { defineJob } from './define-job.ts';

const MINUTE_MS = 60_000;

const pullRequest = z.object({
  /** `owner/name` as it was called in the delivery; may have changed since. */
  repository: z.string(),
  repositoryId: z.int().positive(),
  installationId: z.int().positive(),
  number: z.int().positive(),
});

/** Read the pull request from GitHub, and make its environment what the pull request says. */
export const syncPullRequest = defineJob({
  name: 'sync-pull-request',
  payload: pullRequest,
  attempts: 12,
  backoff: { baseMs: 1_000, maxMs: 2 * MINUTE_MS },
  timeoutMs: MINUTE_MS,
  dedupeId: ({ repositoryId, number }) => `${repositoryId}-${number}`,
});

export type SyncPullRequest = z.infer<typeof pullRequest>;

const environment = z.object({ name: z.string() });

/** Bring an environment to what its newest generation wants, or tear it down. */
export const reconcileEnvironment = defineJob({
  name: 'reconcile-environment',
  payload: environment,
  attempts: 20,
  backoff: { baseMs: 500, maxMs: MINUTE_MS },
  timeoutMs: 15 * MINUTE_MS,
  dedupeId: ({ name }) => name,
});

export type ReconcileEnvironment = z.infer<typeof environment>;
