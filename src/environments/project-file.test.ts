// `.mayfly.yaml` as people write it, and every kind of mistake with the place it is reported at.
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { InvalidInputError } from '../lib/errors.ts';
import { parseProjectFile } from './project-file.ts';

function problemsOf(text: string): string[] {
  try {
    parseProjectFile(text);
  } catch (error) {
    if (error instanceof InvalidInputError && error.code === 'InvalidProjectFile')
      return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a project file', () => {
  test('is read as its reference shows it', async () => {
    const reference = await readFile(new URL('../../docs/spec/project-file.md', import.meta.url), 'utf8');
    const [, example = ''] = /```yaml\n(.*?)```/s.exec(reference) ?? [];
    expect(parseProjectFile(example)).toMatchObject({
      deploy: { kind: 'helm', chart: 'deploy/chart' },
      expose: [
        { service: 'web', port: 80, name: '' },
        { service: 'api', port: 8080, name: 'api' },
      ],
      ready: { path: '/healthz', timeoutMs: 180_000 },
    });
  });

  test('is read in full', () => {
    const text = `
version: 1
on: { branches: [main, "release/*"], paths: ["app/**"], drafts: false }
environment:
  ttl: 24h
  kubernetes: "1.34"
deploy:
  helm:
    chart: deploy/chart
    values: { image.tag: "\${{ commit }}", image.pull: Always, replicas: 2, nested: { a.b: [1, null] } }
expose:
  - service: web
    port: 80
  - service: api
    port: 8080
    name: api
ready: { path: /healthz, timeout: 90s }
`;
    expect(parseProjectFile(text)).toEqual({
      on: { branches: ['main', 'release/*'], paths: ['app/**'], drafts: false },
      environment: { ttlMs: 86_400_000, kubernetesVersion: '1.34' },
      deploy: {
        kind: 'helm',
        chart: 'deploy/chart',
        values: {
          image: { tag: '${{ commit }}', pull: 'Always' },
          replicas: 2,
          nested: { 'a.b': [1, null] },
        },
      },
      expose: [
        { service: 'web', port: 80, name: '' },
        { service: 'api', port: 8080, name: 'api' },
      ],
      ready: { path: '/healthz', timeoutMs: 90_000 },
    });
  });

  test('needs only a version and what to deploy', () => {
    expect(parseProjectFile('version: 1\ndeploy: { manifests: deploy }\n')).toEqual({
      on: { drafts: true },
      environment: {},
      deploy: { kind: 'manifests', paths: ['deploy'] },
      expose: [],
      ready: { timeoutMs: 180_000 },
    });
  });

  test('may deploy an image alone', () => {
    const text = 'version: 1\ndeploy: { image: { name: "ghcr.io/acme/web:${{ commit }}", port: 8080 } }';
    expect(parseProjectFile(text).deploy).toEqual({
      kind: 'image',
      image: 'ghcr.io/acme/web:${{ commit }}',
      port: 8080,
    });
  });
});

const DEPLOY = 'deploy: { manifests: deploy }';

describe('a mistake says where it is', () => {
  test.each([
    [
      'an unknown key near a known one',
      'version: 1\ndeploy:\n    helmm:\n      chart: x',
      ['.mayfly.yaml:3:5 deploy: unknown key "helmm", did you mean "helm"?'],
    ],
    [
      'an unknown key like no other',
      `version: 1\n${DEPLOY}\nfrobnicate: true`,
      ['.mayfly.yaml:3:1 unknown key "frobnicate"'],
    ],
    [
      'several mistakes, in the order of the file',
      'version: 1\nenviroment: {}\ndeploy:\n  manifests: ../etc\nexpose:\n  - service: web\n    prot: 80',
      [
        '.mayfly.yaml:2:1 unknown key "enviroment", did you mean "environment"?',
        '.mayfly.yaml:4:3 deploy.manifests[0]: must be a path inside the repository, like deploy/chart',
        '.mayfly.yaml:6:5 expose[0].port: is missing',
        '.mayfly.yaml:7:5 expose[0]: unknown key "prot", did you mean "port"?',
      ],
    ],
    ['a missing version', DEPLOY, ['.mayfly.yaml:1:1 version: must be 1']],
    ['another version', `version: 2\n${DEPLOY}`, ['.mayfly.yaml:1:10 version: must be 1']],
    ['nothing to deploy', 'version: 1', ['.mayfly.yaml:1:1 deploy: is missing']],
    [
      'an empty deploy',
      'version: 1\ndeploy: {}',
      ['.mayfly.yaml:2:1 deploy: needs one of manifests, helm, image'],
    ],
    [
      'two things to deploy',
      'version: 1\ndeploy:\n  manifests: a\n  helm: { chart: b }',
      ['.mayfly.yaml:4:3 deploy.helm: stands beside "manifests": only one is possible'],
    ],
    [
      'what a later version will have',
      `version: 1\n${DEPLOY}\nseed: job.yaml`,
      ['.mayfly.yaml:3:7 seed: is not supported yet'],
    ],
    [
      'a number where Kubernetes versions are text',
      `version: 1\nenvironment:\n  kubernetes: 1.30\n${DEPLOY}`,
      ['.mayfly.yaml:3:15 environment.kubernetes: must be a quoted string like "1.34"'],
    ],
    [
      'a duration without a unit',
      `version: 1\nenvironment: { ttl: "24" }\n${DEPLOY}`,
      ['.mayfly.yaml:2:21 environment.ttl: must be a duration like 90s, 30m, 24h or 7d'],
    ],
    [
      'an unknown variable',
      'version: 1\ndeploy: { helm: { chart: c, values: { a: { b: "${{ comit }}" } } } }',
      ['.mayfly.yaml:2:47 deploy.helm.values.a.b: unknown variable "comit", did you mean "commit"?'],
    ],
    [
      'a value that is set twice',
      'version: 1\ndeploy: { helm: { chart: c, values: { a: 1, a.b: 2 } } }',
      ['.mayfly.yaml:2:50 deploy.helm.values.a.b: is set by another key already'],
    ],
    [
      'two main previews',
      `version: 1\n${DEPLOY}\nexpose:\n  - { service: a, port: 1 }\n  - { service: b, port: 2 }`,
      ['.mayfly.yaml:5:5 expose[1]: needs a name: only one entry may have none'],
    ],
    [
      'a port out of range',
      `version: 1\n${DEPLOY}\nexpose:\n  - { service: a, port: 70000 }`,
      ['.mayfly.yaml:4:25 expose[0].port: must be a port from 1 to 65535'],
    ],
    ['a broken line', 'version: 1\ndeploy: [', [expect.stringMatching(/^\.mayfly\.yaml:2:10 /)]],
    [
      'a key twice',
      'version: 1\nversion: 1',
      [expect.stringMatching(/^\.mayfly\.yaml:2:1 Map keys must be unique/)],
    ],
    [
      'two documents',
      `version: 1\n${DEPLOY}\n---\nversion: 1`,
      [expect.stringMatching(/^\.mayfly\.yaml:3:1 /)],
    ],
    ['an empty file', '', ['.mayfly.yaml:1:1 must be an object, not empty']],
    ['a list', '- 1', ['.mayfly.yaml:1:1 must be an object, not a list']],
  ])('%s', (_title, text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  test.each([
    '/etc',
    '../a',
    'a/../b',
    '-f',
    'a/-x',
    'oci://registry/chart',
    'https://host/c.tgz',
    'a//b',
    'a\\b',
  ])('a chart that is not in the repository: %s', (chart) => {
    expect(problemsOf(`version: 1\ndeploy: { helm: { chart: ${JSON.stringify(chart)} } }`)).toEqual([
      expect.stringContaining('must be a path inside the repository'),
    ]);
  });

  test('aliases that unfold without end are refused', () => {
    const bomb = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`)}]`);
    expect(problemsOf(`version: 1\na0: &a0 [x]\n${bomb.join('\n')}`)).toEqual([
      expect.stringContaining('Excessive alias count'),
    ]);
  });

  test('nesting deeper than the parser can follow is refused', () => {
    expect(problemsOf(`version: 1\ndeploy: ${'['.repeat(100_000)}`)).not.toEqual([]);
  });

  test('a hundred mistakes are not all told', () => {
    const keys = Array.from({ length: 100 }, (_, index) => `key${index}: 1`).join('\n');
    expect(problemsOf(`version: 1\n${DEPLOY}\n${keys}`).at(-1)).toBe('… and 80 more');
  });
});
