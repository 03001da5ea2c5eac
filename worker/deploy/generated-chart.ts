// The chart that is made for apps which bring none: their manifests as they are, so that Helm orders, updates and prunes them.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { interpolate, type ProjectVariables } from '../../src/environments/project-file-variables.ts';
import type { ImageApp } from '../../src/environments/resource.ts';
import { InvalidInputError } from '../../src/lib/errors.ts';

/** File name inside the chart to content. */
export type ChartFiles = Record<string, string>;

/** Deployment and Service of an app that is an image alone. */
export const IMAGE_APP_NAME = 'app';

const EXTENSIONS = new Set(['.yaml', '.yml', '.json']);
const MAX_FILES = 500;

const CHART = `apiVersion: v2
name: preview
version: 0.0.0
`;

/** `.Files.Get` hands the content on as it is: what looks like a template in a manifest stays what it is. */
const TEMPLATE = `{{- range $path, $_ := .Files.Glob "manifests/*" }}
---
{{ $.Files.Get $path }}
{{- end }}
`;

/** A chart that installs these texts, in order, byte for byte. */
export function chartOfManifests(manifests: readonly string[]): ChartFiles {
  const numbered = manifests.map((text, index) => [`manifests/${String(index).padStart(4, '0')}.yaml`, text]);
  return { 'Chart.yaml': CHART, 'templates/manifests.yaml': TEMPLATE, ...Object.fromEntries(numbered) };
}

/** JSON is YAML. */
export function manifestsOfImage({ image, port }: ImageApp): string[] {
  const labels = { app: IMAGE_APP_NAME };
  const container = {
    name: IMAGE_APP_NAME,
    image,
    ports: [{ containerPort: port }],
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
  };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: IMAGE_APP_NAME, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: IMAGE_APP_NAME, labels },
    spec: { selector: labels, ports: [{ port, targetPort: port }] },
  };
  return [deployment, service].map((object) => JSON.stringify(object));
}

/**
 * The texts of files, and of the manifests directly in folders, by name. Variables are filled in.
 * @param source folder of the repository's files; holds no links.
 * @throws InvalidInputError `ManifestNotFound`, `InvalidManifest`, `UnknownVariable`, `TooManyManifests`
 */
export async function readManifests(
  source: string,
  paths: readonly string[],
  variables: ProjectVariables,
): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) files.push(...(await manifestFiles(source, path)));
  if (files.length > MAX_FILES) {
    throw new InvalidInputError({
      code: 'TooManyManifests',
      message: `${files.length} manifests, the limit is ${MAX_FILES}`,
    });
  }
  return Promise.all(
    files.map(async (file) => {
      try {
        const text = interpolate(await readFile(file, 'utf8'), variables);
        assertYaml(text);
        return text;
      } catch (error) {
        if (!(error instanceof InvalidInputError)) throw error;
        const message = `${relative(source, file)}: ${error.message}`;
        throw new InvalidInputError({ code: error.code, message, cause: error });
      }
    }),
  );
}

/** Helm would name the file of the generated chart, which nobody knows. */
function assertYaml(text: string): void {
  for (const { errors } of parseAllDocuments(text)) {
    const [error] = errors;
    if (error) throw new InvalidInputError({ code: 'InvalidManifest', message: error.message });
  }
}

async function manifestFiles(source: string, path: string): Promise<string[]> {
  const full = join(source, path);
  const found = await stat(full).catch(() => undefined);
  if (found?.isFile()) return [full];
  const names = found?.isDirectory() ? await readdir(full) : [];
  const manifests = names.filter((name) => EXTENSIONS.has(extname(name))).sort();
  if (manifests.length > 0) return manifests.map((name) => join(full, name));
  const what = found ? 'holds no .yaml, .yml or .json file' : 'does not exist';
  throw new InvalidInputError({ code: 'ManifestNotFound', message: `deploy.manifests: ${path} ${what}` });
}

export async function writeChart(folder: string, files: ChartFiles): Promise<void> {
  await Promise.all(['templates', 'manifests'].map((name) => mkdir(join(folder, name), { recursive: true })));
  await Promise.all(Object.entries(files).map(([name, content]) => writeFile(join(folder, name), content)));
}
