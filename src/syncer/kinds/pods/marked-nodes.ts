// What a tenant's own labels, taints and cordons of nodes mean for a pod. The host's scheduler does not see them, so they are
// told it in the names of nodes, as they are when the pod is made.
import type { Affinity, Node, PodSpec, Toleration } from '../../objects.ts';
import { matchesSelector } from '../../selectors.ts';
import { type Marks, ofTenant, type Taint } from '../nodes/of-tenant.ts';

type NodeAffinity = NonNullable<Affinity['nodeAffinity']>;
type Term = NonNullable<
  NodeAffinity['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number];
type Requirement = NonNullable<Term['matchExpressions']>[number];

interface MarkedNode {
  name: string;
  marks: Marks;
}

/** What decides over nodes, in the words of the API. */
export interface NodeChoice {
  nodeSelector?: Record<string, string>;
  /** Of the required node affinity; one of them must match. */
  terms?: Term[];
}

const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
const MEANT_FOR_NO_NODE: Term = { matchExpressions: [{ key: 'mayfly.dev/no-node', operator: 'Exists' }] };
/** Which of these a Node without the label satisfies too. */
const POSITIVE = new Set(['In', 'Exists']);
const NEGATIVE = new Set(['NotIn', 'DoesNotExist']);

/** `choice` without the tenant's labels, and with the nodes that his marks allow in their place. */
export function choiceByMarks(choice: NodeChoice, spec: PodSpec, nodes: readonly Node[]): NodeChoice {
  const marked = nodes.map((node) => ({ name: node.metadata.name ?? '', marks: ofTenant(node) }));
  const ownKeys = new Set(marked.flatMap(({ marks }) => Object.keys(marks.labels)));
  const selector = Object.entries(choice.nodeSelector ?? {});
  const ofHost = selector.filter(([key]) => !ownKeys.has(key));
  const ofOwn = selector
    .filter(([key]) => ownKeys.has(key))
    .map(([key, value]): Requirement => ({ key, operator: 'In', values: [value] }));
  const closed = spec.nodeName ? [] : marked.filter(({ marks }) => isClosed(marks, spec.tolerations));
  const isTouched = ofOwn.length > 0 || closed.length > 0 || (choice.terms ?? []).some(names(ownKeys));
  if (!isTouched) return choice;
  const terms = (choice.terms ?? [{}]).flatMap((term) =>
    termsByName(term, ofOwn, ownKeys, marked).map((item) => notOn(closed, item)),
  );
  return {
    ...(choice.nodeSelector ? { nodeSelector: Object.fromEntries(ofHost) } : {}),
    terms: terms.length > 0 ? terms : [MEANT_FOR_NO_NODE],
  };
}

function names(ownKeys: ReadonlySet<string>): (term: Term) => boolean {
  return ({ matchExpressions = [] }) => matchExpressions.some((item) => isOwn(item, ownKeys));
}

function isOwn({ key, operator }: Requirement, ownKeys: ReadonlySet<string>): boolean {
  return ownKeys.has(key) && (POSITIVE.has(operator) || NEGATIVE.has(operator));
}

/** A term over the tenant's labels, as one term for each node that has them. */
function termsByName(
  { matchExpressions = [], ...term }: Term,
  ofSelector: readonly Requirement[],
  ownKeys: ReadonlySet<string>,
  marked: readonly MarkedNode[],
): Term[] {
  const own = [...ofSelector, ...matchExpressions.filter((item) => isOwn(item, ownKeys))];
  const others = matchExpressions.filter((item) => !isOwn(item, ownKeys));
  const rest: Term = { ...term, ...(others.length > 0 ? { matchExpressions: others } : {}) };
  const positive = own.filter(({ operator }) => POSITIVE.has(operator));
  const negative = own.filter(({ operator }) => NEGATIVE.has(operator));
  const matches = ({ marks }: MarkedNode, requirements: readonly Requirement[]) =>
    matchesSelector({ matchExpressions: [...requirements] }, marks.labels);
  const open = notOn(
    marked.filter((node) => !matches(node, negative)),
    rest,
  );
  if (positive.length === 0) return [open];
  return marked.filter((node) => matches(node, positive)).map(({ name }) => byName('In', name, open));
}

function notOn(nodes: readonly MarkedNode[], term: Term): Term {
  return nodes.reduce((all, { name }) => byName('NotIn', name, all), term);
}

/** The API takes one value for each requirement on a field. */
function byName(operator: 'In' | 'NotIn', name: string, term: Term): Term {
  const requirement: Requirement = { key: 'metadata.name', operator, values: [name] };
  return { ...term, matchFields: [...(term.matchFields ?? []), requirement] };
}

function isClosed({ taints = [], unschedulable }: Marks, tolerations: readonly Toleration[] = []): boolean {
  const kept = taints.filter(({ effect }) => effect === 'NoSchedule' || effect === 'NoExecute');
  const all = unschedulable ? [...kept, UNSCHEDULABLE] : kept;
  return all.some((taint) => !tolerations.some((toleration) => tolerates(toleration, taint)));
}

function tolerates({ key, operator = 'Equal', value = '', effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (Boolean(key) && value === (taint.value ?? ''));
}
