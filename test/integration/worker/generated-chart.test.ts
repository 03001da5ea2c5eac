// The generated chart through the real Helm: what comes out is what the repository has.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { chartOfManifests, writeChart } from '../../../worker/deploy/generated-chart.ts';
import { createHelm, type Helm } from '../../../worker/helm.ts';
import { helmPath } from '../../support/tools.ts';

let helm: Helm;
let folder: string;
beforeAll(async () => {
  helm = createHelm({ program: await helmPath() });
  folder = await mkdtemp(join(tmpdir(), 'mayfly-chart-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function render(manifests: readonly string[]): Promise<string> {
  const chart = await mkdtemp(join(folder, 'chart-'));
  await writeChart(chart, chartOfManifests(manifests));
  const signal = AbortSignal.timeout(30_000);
  return helm.template({ release: 'preview', namespace: 'default', chart, valueFiles: [], folder, signal });
}

const configMap = (name: string, text: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  text: ${JSON.stringify(text)}\n`;

describe('a manifest', () => {
  test.each([
    ['what looks like a template', '{{ .Values.secret }} {{- fail "no" }} {{ lookup "v1" "Secret" "" "" }}'],
    ['quotes, tabs and line ends', '\t"\'\r\n\\n'],
    ['characters beyond ASCII', 'ä 漢 🦋'],
  ])('keeps %s', async (_what, text) => {
    const [document] = parseAllDocuments(await render([configMap('kept', text)]));
    expect(document?.toJS()).toMatchObject({ data: { text } });
  });

  test('comes out byte for byte', async () => {
    const text = `# a comment\n${configMap('kept', 'x')}  # and another\n`;
    expect(await render([text])).toContain(text.trim());
  });

  test('of one file is not joined to that of the next, also without a last line end', async () => {
    const rendered = await render([configMap('a', 'x').trimEnd(), `---\n${configMap('b', 'y')}`]);
    const names = parseAllDocuments(rendered)
      .map((document) => document.toJS())
      .filter((object) => object !== null)
      .map(({ metadata }) => metadata.name);
    expect(names).toEqual(['a', 'b']);
  });

  test('that Helm cannot read is an error of whoever wrote it', async () => {
    await expect(render(['a: [\n'])).rejects.toMatchObject({ code: 'ChartNotRendered' });
  });
});
