// The downward API: fields of the virtual pod, read by the host's kubelet from marks on the host pod. Because they are
// annotations and labels there, a change inside flows into mounted volumes as it does in any cluster.
import {
  ANNOTATION_ALL_ANNOTATIONS,
  ANNOTATION_ALL_LABELS,
  ANNOTATION_NAME,
  ANNOTATION_NAMESPACE,
  ANNOTATION_SERVICE_ACCOUNT,
  ANNOTATION_UID,
  hostAnnotationKey,
  hostLabelKey,
} from '../../names.ts';
import type { Pod, PodSpec } from '../../objects.ts';
import { allContainers } from './references.ts';

/** Fields of which the host pod's own value is the true one inside as well. */
const SAME_ON_HOST = new Set([
  'status.podIP',
  'status.podIPs',
  'status.hostIP',
  'status.hostIPs',
  'spec.nodeName',
]);

const FROM_ANNOTATION: Readonly<Record<string, string>> = {
  'metadata.name': ANNOTATION_NAME,
  'metadata.namespace': ANNOTATION_NAMESPACE,
  'metadata.uid': ANNOTATION_UID,
  'metadata.labels': ANNOTATION_ALL_LABELS,
  'metadata.annotations': ANNOTATION_ALL_ANNOTATIONS,
  'spec.serviceAccountName': ANNOTATION_SERVICE_ACCOUNT,
};

const SUBSCRIPT = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/** Where the host's kubelet finds a field of the virtual pod; undefined for fields that no API server lets through. */
export function hostFieldPath(path: string): string | undefined {
  if (SAME_ON_HOST.has(path)) return path;
  const annotation = FROM_ANNOTATION[path];
  if (annotation) return `metadata.annotations['${annotation}']`;
  const [, map, key = ''] = SUBSCRIPT.exec(path) ?? [];
  if (map === 'labels') return `metadata.labels['${hostLabelKey(key)}']`;
  if (map === 'annotations') return `metadata.annotations['${hostAnnotationKey(key)}']`;
  return undefined;
}

/** The annotations that the pod's own downward API fields need on the host pod; those it does not ask for stay inside. */
export function downwardAnnotations({ metadata, spec }: Pod): Record<string, string> {
  const annotations: Record<string, string> = {};
  for (const path of spec ? fieldPaths(spec) : []) {
    if (path === 'metadata.labels') annotations[ANNOTATION_ALL_LABELS] = formatMap(metadata.labels);
    if (path === 'metadata.annotations')
      annotations[ANNOTATION_ALL_ANNOTATIONS] = formatMap(metadata.annotations);
    if (path === 'spec.serviceAccountName') {
      annotations[ANNOTATION_SERVICE_ACCOUNT] = spec?.serviceAccountName ?? '';
    }
    const [, map, key = ''] = SUBSCRIPT.exec(path) ?? [];
    const value = metadata.annotations?.[key];
    if (map === 'annotations' && value !== undefined) annotations[hostAnnotationKey(key)] = value;
  }
  return annotations;
}

function* fieldPaths(spec: PodSpec): Generator<string> {
  for (const container of allContainers(spec)) {
    for (const { valueFrom } of container.env ?? [])
      if (valueFrom?.fieldRef) yield valueFrom.fieldRef.fieldPath;
  }
  for (const volume of spec.volumes ?? []) {
    const projected = (volume.projected?.sources ?? []).map((source) => source.downwardAPI);
    for (const source of [volume.downwardAPI, ...projected]) {
      for (const { fieldRef } of source?.items ?? []) if (fieldRef) yield fieldRef.fieldPath;
    }
  }
}

/** One `key="value"` a line, sorted by key: the kubelet's own format (pkg/fieldpath, FormatMap). */
export function formatMap(map: Readonly<Record<string, string>> = {}): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${goQuote(map[key] ?? '')}`)
    .join('\n');
}

const GO_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};
const GO_PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** A string as Go's strconv.Quote writes it. */
function goQuote(text: string): string {
  const quoted = [...text].map((character) => {
    const escaped = GO_ESCAPES[character];
    if (escaped) return escaped;
    if (GO_PRINTABLE.test(character)) return character;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code < 0x10000
      ? `\\u${code.toString(16).padStart(4, '0')}`
      : `\\U${code.toString(16).padStart(8, '0')}`;
  });
  return `"${quoted.join('')}"`;
}
