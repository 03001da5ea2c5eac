// charts/mayfly as Helm renders it, held against what the processes read.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadServerConfig } from '../../../src/config/server.ts';
import { loadWorkerConfig } from '../../../src/config/worker.ts';
import { type RunResult, tryRun } from '../../host/command.ts';
import { helmPath } from '../../support/tools.ts';

interface Container {
  name: string;
  env: { name: string; value?: string }[];
  securityContext: object;
}

interface Rendered {
  kind: string;
  metadata: { name: string; namespace?: string };
  spec: { replicas: number; template: { spec: { securityContext: object; containers: Container[] } } };
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
}

const REQUIRED = ['publicUrl=https://mayfly.test', 'previewUrl=https://preview.test'];
const EVERYTHING = [
  ...REQUIRED,
  'github.existingSecret=github,github.appId=12',
  'apiTokens.existingSecret=tokens,apiTokens.admins={one,two}',
  'redis.username=somebody,logLevel=debug',
  'environments.kubernetesVersions={1.34,1.33}',
  'server.replicas=2,worker.replicas=2,ingress.enabled=true,ingress.tlsSecret=tls',
];

async function template(values: readonly string[]): Promise<RunResult> {
  const flags = values.flatMap((value) => ['--set', value]);
  return tryRun(
    await helmPath(),
    ['template', 'mayfly', 'charts/mayfly', '--namespace', 'mayfly', ...flags],
    { timeoutMs: 30_000 },
  );
}

async function render(values: readonly string[]): Promise<Rendered[]> {
  const { stdout, stderr, code } = await template(values);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

function containerOf(objects: readonly Rendered[], name: string): Container {
  const deployment = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name);
  const container = deployment?.spec.template.spec.containers[0];
  if (!container) throw new Error(`there is no Deployment ${name}`);
  return container;
}

describe('the environment of a container', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mayfly-service-chart-'));
    await Promise.all(
      ['password', 'private-key', 'webhook-secrets'].map((name) => writeFile(join(folder, name), 'content')),
    );
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** As the container has it, with files of this machine in place of mounted ones. */
  function environmentOf({ env }: Container): Record<string, string> {
    return Object.fromEntries(
      env.map(({ name, value = 'from-a-field' }) => {
        if (name === 'MAYFLY_API_TOKENS_FOLDER') return [name, join(import.meta.dirname, 'nowhere')];
        return [
          name,
          name.endsWith('_FILE') && !name.includes('VALUES') ? join(folder, basename(value)) : value,
        ];
      }),
    );
  }

  test.each([
    ['with what must be given', REQUIRED],
    ['with everything', EVERYTHING],
  ])('is what the worker reads, %s', async (_what, values) => {
    const container = containerOf(await render(values), 'mayfly-worker');
    const config = await loadWorkerConfig(environmentOf(container));
    expect(config).toMatchObject({ namespace: 'mayfly', release: 'mayfly', redis: { password: 'content' } });
    expect(config.github?.appId).toBe(values === EVERYTHING ? 12 : undefined);
    expect(config.hostReadsRole).toBe('mayfly-environment-reads');
  });

  test('is what the server reads', async () => {
    const objects = await render(EVERYTHING.filter((value) => !value.startsWith('apiTokens')));
    const config = await loadServerConfig(environmentOf(containerOf(objects, 'mayfly-server')));
    expect(config).toMatchObject({ namespace: 'mayfly', publicUrl: 'https://mayfly.test' });
    expect(config.kubernetesVersions).toEqual(['1.34', '1.33']);
  });
});

describe('the chart', () => {
  test.each([
    [['publicUrl=mayfly.test', 'previewUrl=https://preview.test'], /publicUrl/],
    [[...REQUIRED, 'wroker.replicas=2'], /wroker/],
    [[...REQUIRED, 'environments.podSecurity=none'], /podSecurity/],
    [[REQUIRED[0] ?? ''], /previewUrl is required/],
    [[...REQUIRED, 'github.existingSecret=github'], /appId/],
  ])('refuses values that mean nothing: %s', async (values, message) => {
    const { code, stderr } = await template(values);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });

  test('runs no container with more than it needs', async () => {
    const objects = await render(EVERYTHING);
    const workloads = objects.filter(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind));
    expect(workloads).toHaveLength(3);
    for (const { spec } of workloads) {
      expect(spec.template.spec.securityContext).toMatchObject({ runAsNonRoot: true });
      for (const { securityContext } of spec.template.spec.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
    }
  });

  test('T33: grants nothing by a wildcard', async () => {
    const rules = (await render(EVERYTHING)).flatMap((object) => object.rules ?? []);
    expect(rules.length).toBeGreaterThan(5);
    for (const { apiGroups, resources, verbs } of rules) {
      expect([...apiGroups, ...resources, ...verbs]).not.toContain('*');
    }
  });

  test('lets environments read nothing of the host where the operator says so', async () => {
    const objects = await render([...REQUIRED, 'environments.hostReads=false']);
    expect(objects.map(({ metadata }) => metadata.name)).not.toContain('mayfly-environment-reads');
    expect(objects.flatMap(({ rules = [] }) => rules.flatMap(({ resources }) => resources))).not.toContain(
      'clusterrolebindings',
    );
    const { env } = containerOf(objects, 'mayfly-worker');
    expect(env.map(({ name }) => name)).not.toContain('MAYFLY_HOST_READS_ROLE');
  });

  test('has budgets for disruption only where there are several pods', async () => {
    const budgets = (objects: Rendered[]) =>
      objects.filter(({ kind }) => kind === 'PodDisruptionBudget').length;
    expect(budgets(await render(REQUIRED))).toBe(0);
    expect(budgets(await render(EVERYTHING))).toBe(2);
  });
});
