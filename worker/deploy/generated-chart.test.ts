import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chartOfManifests, manifestsOfImage, readManifests } from './generated-chart.ts';

const VARIABLES = { commit: 'c0ffee', host: 'shop-x.preview.test', number: '7', environment: 'shop-7' };

let source: string;
beforeAll(async () => {
  source = await mkdtemp(join(tmpdir(), 'mayfly-manifests-'));
  await mkdir(join(source, 'deploy'));
  await writeFile(join(source, 'deploy/b.yaml'), 'kind: B');
  await writeFile(join(source, 'deploy/a.yml'), 'kind: A # ${{ commit }}\n');
  await writeFile(join(source, 'deploy/c.json'), '{"kind":"C"}');
  await writeFile(join(source, 'deploy/README.md'), '# no manifest');
  await writeFile(join(source, 'syntax.yaml'), 'a: [1,\nb: }\n');
  await writeFile(join(source, 'broken.yaml'), 'a: 1\nb: ${{ secret }}\n');
});
afterAll(() => rm(source, { recursive: true, force: true }));

describe('manifests of a repository', () => {
  test('are the files of a folder by name, with variables filled in', async () => {
    expect(await readManifests(source, ['deploy'], VARIABLES)).toEqual([
      'kind: A # c0ffee\n',
      'kind: B',
      '{"kind":"C"}',
    ]);
  });

  test('come in the order in which they are named', async () => {
    expect(await readManifests(source, ['deploy/c.json', 'deploy/b.yaml'], VARIABLES)).toEqual([
      '{"kind":"C"}',
      'kind: B',
    ]);
  });

  test.each([
    ['elsewhere', /elsewhere does not exist/],
    ['syntax.yaml', /syntax\.yaml: .* at line 2/],
    ['broken.yaml', /broken\.yaml: unknown variable "secret"/],
  ])('that cannot be read say which file is meant: %s', async (path, message) => {
    await expect(readManifests(source, [path], VARIABLES)).rejects.toThrow(message);
  });
});

test('the chart keeps each text as it is', () => {
  const texts = ['a: "{{ .Values.x }}"\r\n', '# ä\u0000'];
  const files = chartOfManifests(texts);
  expect([files['manifests/0000.yaml'], files['manifests/0001.yaml']]).toEqual(texts);
});

test('an image becomes a Deployment and a Service at its port', () => {
  const [deployment, service] = manifestsOfImage({ image: 'web:1', port: 8080 }).map((text) =>
    JSON.parse(text),
  );
  expect(deployment.spec.template.spec.containers[0]).toMatchObject({
    image: 'web:1',
    ports: [{ containerPort: 8080 }],
  });
  expect(service.spec).toMatchObject({
    selector: deployment.spec.selector.matchLabels,
    ports: [{ port: 8080, targetPort: 8080 }],
  });
});
