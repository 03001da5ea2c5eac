// charts/virtual-cluster as Helm renders it, as objects.
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { KubeObject } from '../../../src/kube/resource.ts';
import { type RunResult, tryRun } from '../../host/command.ts';
import { helmPath } from '../../support/tools.ts';

export const CHARTS = join(import.meta.dirname, '../../../charts');
const CHART = join(CHARTS, 'virtual-cluster');

export interface Release {
  name: string;
  namespace: string;
}

/** Any field of a rendered object may be asked for; a test that asks for a wrong one fails. */
export interface Rendered extends KubeObject {
  kind: string;
  spec: Record<string, unknown>;
  [field: string]: unknown;
}

export interface Container {
  name: string;
  image: string;
  args?: string[];
  command?: string[];
  env?: { name: string; value?: string }[];
  resources: { requests: Record<string, string>; limits: Record<string, string> };
  securityContext: {
    allowPrivilegeEscalation: boolean;
    readOnlyRootFilesystem: boolean;
    runAsNonRoot: boolean;
    capabilities: { drop: string[]; add?: string[] };
  };
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
}

export interface Volume {
  name: string;
  secret?: { secretName: string; items: { key: string; path: string }[] };
  emptyDir?: { medium?: string; sizeLimit?: string };
  persistentVolumeClaim?: { claimName: string };
}

export interface PodSpec {
  automountServiceAccountToken: boolean;
  initContainers?: Container[];
  containers: Container[];
  volumes: Volume[];
}

const RELEASE: Release = { name: 'pr-17', namespace: 'previews' };

/** Runs `helm <command>` on the chart with these values. */
export async function helmOnChart(
  command: string[],
  values: object = {},
  env: NodeJS.ProcessEnv = {},
): Promise<RunResult> {
  const args = [...command, CHART, '--values', '-'];
  return tryRun(await helmPath(), args, {
    input: stringify(values),
    env: { ...process.env, ...env },
  });
}

/** The manifest as text. @throws what Helm said when it refused. */
export async function renderText(values: object = {}, release = RELEASE, chart = CHART): Promise<string> {
  const args = ['template', release.name, chart, '--namespace', release.namespace, '--values', '-'];
  const result = await tryRun(await helmPath(), args, { input: stringify(values) });
  if (result.code !== 0) throw new Error(result.stderr);
  return result.stdout;
}

export async function render(values: object = {}, release = RELEASE, chart = CHART): Promise<Rendered[]> {
  const text = await renderText(values, release, chart);
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

export function find(objects: readonly Rendered[], kind: string, name: string): Rendered {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name} was rendered`);
  return found;
}

export function podSpec(objects: readonly Rendered[]): PodSpec {
  const [workload] = objects.filter(({ kind }) => kind === 'StatefulSet');
  if (!workload) throw new Error('no StatefulSet was rendered');
  return (workload.spec as { template: { spec: PodSpec } }).template.spec;
}

export function allContainers({ initContainers = [], containers }: PodSpec): Container[] {
  return [...initContainers, ...containers];
}

export function container(objects: readonly Rendered[], name: string): Container {
  const found = allContainers(podSpec(objects)).find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no container ${name} was rendered`);
  return found;
}
