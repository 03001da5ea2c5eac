// The resource metrics API (metrics.k8s.io/v1beta1), which `kubectl top` and HorizontalPodAutoscalers read: what it answers to
// which path. Pods are this cluster's own, and a node uses what they use on it.
import { InvalidInputError, NotFoundError } from '../../lib/errors.ts';
import type { LabelSelector, Node } from '../objects.ts';
import { cpuQuantity, memoryQuantity } from '../quantity.ts';
import { matchesSelector } from '../selectors.ts';
import { parseLabelSelector } from './label-selector.ts';
import { METRICS_GROUP, METRICS_VERSION, type PodUsage, totalOf } from './usage.ts';

const API_VERSION = `${METRICS_GROUP}/${METRICS_VERSION}`;
export const METRICS_PATH = `/apis/${API_VERSION}`;

export interface MetricsQuery {
  resource: 'discovery' | 'pods' | 'nodes';
  namespace?: string;
  name?: string;
  selector: LabelSelector;
  fields: Readonly<Record<string, string>>;
}

/** @throws NotFoundError or InvalidInputError */
export function parseQuery(url: string): MetricsQuery {
  const { pathname, searchParams } = new URL(url, 'https://localhost');
  const plain = { selector: {}, fields: {} };
  if (pathname === METRICS_PATH) return { resource: 'discovery', ...plain };
  const [, scope, namespace, resource, name] =
    /^(\/namespaces\/([^/]+))?\/(pods|nodes)(?:\/([^/]+))?$/.exec(pathname.slice(METRICS_PATH.length)) ?? [];
  const isServed = resource === 'pods' ? scope || !name : resource === 'nodes' && !scope;
  if (!pathname.startsWith(METRICS_PATH) || !isServed || searchParams.get('watch') === 'true') {
    throw new NotFoundError({
      code: 'NotFound',
      message: 'the server could not find the requested resource',
    });
  }
  return {
    resource: resource as 'pods' | 'nodes',
    namespace,
    name,
    selector: parseLabelSelector(searchParams.get('labelSelector') ?? ''),
    fields: parseFields(searchParams.get('fieldSelector') ?? ''),
  };
}

function parseFields(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split(',')
      .filter(Boolean)
      .map((part) => {
        const [, field, value] = /^(metadata\.(?:name|namespace))==?([^=!]+)$/.exec(part) ?? [];
        if (field && value) return [field, value];
        throw new InvalidInputError({
          code: 'BadRequest',
          message: `cannot read the field selector "${part}"`,
        });
      }),
  );
}

function discovery(): object {
  const verbs = ['get', 'list'];
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: API_VERSION,
    resources: [
      { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs },
      { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs },
    ],
  };
}

/** @throws NotFoundError when what is named has no metrics. */
export function answer(query: MetricsQuery, usage: readonly PodUsage[], nodes: readonly Node[]): object {
  if (query.resource === 'discovery') return discovery();
  const [kind, all] =
    query.resource === 'pods'
      ? ['PodMetrics', usage.map(podMetrics)]
      : ['NodeMetrics', nodes.flatMap((node) => nodeMetrics(node, usage))];
  const items = all.filter((item) => isAskedFor(item, query));
  const identity = { apiVersion: API_VERSION, kind };
  if (!query.name) return { ...identity, kind: `${kind}List`, metadata: {}, items };
  const [item] = items;
  if (item) return { ...identity, ...item };
  throw new NotFoundError({
    code: 'NotFound',
    message: `${query.resource}.${METRICS_GROUP} "${query.name}" not found`,
  });
}

interface Metrics {
  metadata: { name: string; namespace?: string; creationTimestamp: string; labels: Record<string, string> };
  timestamp: string;
  window: string;
}

function isAskedFor({ metadata }: Metrics, { namespace, name, selector, fields }: MetricsQuery): boolean {
  return (
    (namespace === undefined || metadata.namespace === namespace) &&
    (name === undefined || metadata.name === name) &&
    (fields['metadata.name'] ?? metadata.name) === metadata.name &&
    (fields['metadata.namespace'] ?? metadata.namespace) === metadata.namespace &&
    matchesSelector(selector, metadata.labels)
  );
}

function podMetrics({ pod, timestamp, window, containers }: PodUsage): Metrics & { containers: object[] } {
  const { name = '', namespace, labels = {} } = pod.metadata;
  const metadata = { name, namespace, labels, creationTimestamp: timestamp };
  const told = containers.map(({ name: container, usage: { cpu, memory } }) => ({
    name: container,
    usage: { cpu, memory },
  }));
  return { metadata, timestamp, window, containers: told };
}

/** Nothing of nodes on which no pod of ours has been measured. */
function nodeMetrics({ metadata: node }: Node, usage: readonly PodUsage[]): (Metrics & { usage: object })[] {
  const onIt = usage.filter(({ pod }) => pod.spec?.nodeName === node.name);
  const newest = onIt.toSorted((one, other) => Date.parse(other.timestamp) - Date.parse(one.timestamp))[0];
  if (!newest) return [];
  const { cores, bytes } = totalOf(onIt.flatMap(({ containers }) => [...containers]));
  const { timestamp, window } = newest;
  return [
    {
      metadata: { name: node.name ?? '', labels: node.labels ?? {}, creationTimestamp: timestamp },
      timestamp,
      window,
      usage: { cpu: cpuQuantity(cores), memory: memoryQuantity(bytes) },
    },
  ];
}
