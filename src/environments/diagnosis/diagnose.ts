// Says of a deployed app whether it is ready, what it waits for, or why it will not become ready. Pure: lists in, words out.
import type { ClusterObjects } from './objects.ts';
import { serviceProblem } from './services.ts';
import { type UnreadyWorkload, unreadyWorkloads } from './workloads.ts';

export type Diagnosis =
  | { state: 'ready' }
  | {
      /** `failed` when waiting longer will not help. */
      state: 'waiting' | 'failed';
      /** PascalCase, stable: the reason of a condition. */
      reason: string;
      /** A line for each workload that is not ready and each Service that answers nobody, in Markdown; names of objects in backquotes. */
      message: string;
    };

/** More lines than these help nobody, and a condition's message must stay small. */
const MAX_LINES = 8;
const MAX_LINE_LENGTH = 600;

export function diagnose(objects: ClusterObjects): Diagnosis {
  const unready = unreadyWorkloads(objects);
  if (unready.length === 0) return { state: 'ready' };
  const final = unready.find(({ problem }) => problem?.final)?.problem;
  const first = unready.find(({ problem }) => problem)?.problem;
  return {
    state: final ? 'failed' : 'waiting',
    reason: (final ?? first)?.reason ?? 'Waiting',
    message: explanation(unready, objects),
  };
}

/** Workloads with a known cause first, then the Services that suffer from one that no workload has said. */
function explanation(unready: readonly UnreadyWorkload[], objects: ClusterObjects): string {
  const workloads = [...unready].sort((a, b) => rank(a) - rank(b)).map(lineOf);
  const services = objects.services
    .map((service) => serviceProblem(service, objects))
    .filter((problem) => problem !== undefined)
    .filter(({ cause }) => !cause || !unready.some(({ problem }) => problem?.message === cause.message))
    .map(({ message }) => message);
  const lines = [...workloads, ...services].map((line) => cut(oneLine(line), MAX_LINE_LENGTH));
  const more = lines.length - MAX_LINES;
  return more > 0 ? [...lines.slice(0, MAX_LINES), `… and ${more} more`].join('\n') : lines.join('\n');
}

function rank({ problem }: UnreadyWorkload): number {
  if (problem?.final) return 0;
  return problem ? 1 : 2;
}

function lineOf({ title, state, problem }: UnreadyWorkload): string {
  return problem ? `${title} ${state}: ${problem.message}` : `${title} ${state}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
