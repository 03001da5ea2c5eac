// Labels, taints and cordons that a tenant gives the nodes that he sees. They stay inside, beside those of the host; which
// are whose is recorded on the virtual Node.
import { ANNOTATION_HOST_FIELDS } from '../../names.ts';
import type { Node } from '../../objects.ts';

export type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];

/** The part of a Node that both sides have a say in. */
export interface Marks {
  labels: Record<string, string>;
  taints?: Taint[];
  unschedulable?: boolean;
}

interface HostFields {
  labels: string[];
  /** `key:effect`. */
  taints: string[];
  unschedulable: boolean;
}

/** Say what state a node is in; the API server puts one on every new Node and leaves it to others to take it off. */
const CONDITION_TAINTS = 'node.kubernetes.io/';

const NOTHING: HostFields = { labels: [], taints: [], unschedulable: false };

/** Marks of a virtual Node that are not the host's. */
export function ofTenant(node: Node | undefined): Marks {
  const host = hostFields(node);
  const labels = Object.entries(node?.metadata.labels ?? {}).filter(([key]) => !host.labels.includes(key));
  const taints = node?.spec?.taints?.filter(
    (taint) => !host.taints.includes(idOf(taint)) && !taint.key.startsWith(CONDITION_TAINTS),
  );
  const isCordoned = node?.spec?.unschedulable === true && !host.unschedulable;
  return {
    labels: Object.fromEntries(labels),
    ...(taints && taints.length > 0 ? { taints } : {}),
    ...(isCordoned ? { unschedulable: true } : {}),
  };
}

/** Of a Node that the host has; one that a tenant has made up runs nothing. */
export function isMarkedByTenant(node: Node): boolean {
  if (node.metadata.annotations?.[ANNOTATION_HOST_FIELDS] === undefined) return false;
  const { labels, taints, unschedulable } = ofTenant(node);
  return Object.keys(labels).length > 0 || taints !== undefined || unschedulable === true;
}

export function recordOfHost({ labels, taints = [], unschedulable = false }: Marks): Record<string, string> {
  const fields: HostFields = { labels: Object.keys(labels).sort(), taints: taints.map(idOf), unschedulable };
  return { [ANNOTATION_HOST_FIELDS]: JSON.stringify(fields) };
}

export function mergeTaints(host: readonly Taint[] = [], own: readonly Taint[] = []): Taint[] | undefined {
  const given = new Set(host.map(idOf));
  const all = [...host, ...own.filter((taint) => !given.has(idOf(taint)))];
  return all.length > 0 ? all : undefined;
}

/** The API lets a Node have one taint of each. */
function idOf({ key, effect }: Taint): string {
  return `${key}:${effect}`;
}

/** A tenant may write anything there; what cannot be read says that nothing is the host's, and is written anew. */
function hostFields(node: Node | undefined): HostFields {
  const text = node?.metadata.annotations?.[ANNOTATION_HOST_FIELDS];
  if (text === undefined) return NOTHING;
  try {
    const { labels, taints, unschedulable } = JSON.parse(text) as Partial<HostFields>;
    return {
      labels: Array.isArray(labels) ? labels : [],
      taints: Array.isArray(taints) ? taints : [],
      unschedulable: unschedulable === true,
    };
  } catch {
    return NOTHING;
  }
}
