// Where a host pod may run. The host schedules, so constraints over nodes are copied (virtual nodes carry the same labels)
// and constraints over other pods are rewritten to the host's labels and held to this virtual cluster.
import { defined, dictionary, fields, list, scalar } from '../../allow-list.ts';
import type { Notice, TranslationContext } from '../../kind.ts';
import { hostLabelKey } from '../../names.ts';
import type { Affinity, Pod, PodSpec, Toleration } from '../../objects.ts';
import { hostSelector, matchesEverything, matchesSelector } from '../../selectors.ts';
import { choiceByMarks, type NodeChoice } from './marked-nodes.ts';

type NodeAffinity = NonNullable<Affinity['nodeAffinity']>;
type NodeSelector = NonNullable<NodeAffinity['requiredDuringSchedulingIgnoredDuringExecution']>;
type NodeSelectorTerm = NodeSelector['nodeSelectorTerms'][number];
type PodAffinity = NonNullable<Affinity['podAffinity']>;
type PodAffinityTerm = NonNullable<PodAffinity['requiredDuringSchedulingIgnoredDuringExecution']>[number];
type SpreadConstraint = NonNullable<PodSpec['topologySpreadConstraints']>[number];
type Requirement = NonNullable<NodeSelectorTerm['matchExpressions']>[number];

const requirement = fields<Requirement>({ key: scalar, operator: scalar, values: list(scalar) });
const nodeSelectorTerm = fields<NodeSelectorTerm>({
  matchExpressions: list(requirement),
  matchFields: list(requirement),
});
const requiredNodes = fields<NodeSelector>({ nodeSelectorTerms: list(nodeSelectorTerm) });
const preferredNodes = fields<NodeAffinity>({
  preferredDuringSchedulingIgnoredDuringExecution: list(
    fields<{ weight: number; preference: NodeSelectorTerm }>({
      weight: scalar,
      preference: nodeSelectorTerm,
    }),
  ),
});
const toleration = fields<Toleration>({
  key: scalar,
  operator: scalar,
  value: scalar,
  effect: scalar,
  tolerationSeconds: scalar,
});
const spreadConstraint = fields<SpreadConstraint>({
  maxSkew: scalar,
  topologyKey: scalar,
  whenUnsatisfiable: scalar,
  minDomains: scalar,
  nodeAffinityPolicy: scalar,
  nodeTaintsPolicy: scalar,
});

type Placement = Pick<
  PodSpec,
  'nodeName' | 'nodeSelector' | 'affinity' | 'tolerations' | 'topologySpreadConstraints'
>;

export function placement(pod: Pod, context: TranslationContext): Placement {
  const spec = pod.spec ?? { containers: [] };
  const choice = nodeChoice(spec, context);
  return defined({
    // Past the host's scheduler, and so past its taints and what a node has left: only a kubelet can refuse it then.
    nodeName: context.profile === 'none' ? spec.nodeName : undefined,
    nodeSelector: choice.nodeSelector,
    affinity: hostAffinity(pod, choice.terms, context),
    tolerations: spec.tolerations
      ?.filter((item) => mayTolerate(item, context))
      .map((item) => toleration(item)),
    topologySpreadConstraints: spec.topologySpreadConstraints?.map((constraint) =>
      hostSpread(constraint, pod.metadata.namespace, context),
    ),
  });
}

function nodeChoice(spec: PodSpec, context: TranslationContext): NodeChoice {
  const { nodeSelector, affinity } = spec;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const asked = defined<NodeChoice>({
    nodeSelector: nodeSelector && dictionary(nodeSelector),
    terms: required && requiredNodes(required).nodeSelectorTerms,
  });
  return choiceByMarks(asked, spec, context.markedNodes());
}

const CONTROL_PLANE_TAINTS = new Set([
  'node-role.kubernetes.io/control-plane',
  'node-role.kubernetes.io/master',
]);

/** Not of control-plane nodes, which a toleration of every taint (no key) would include. */
function mayTolerate({ key, effect }: Toleration, { profile }: TranslationContext): boolean {
  if (profile === 'none') return true;
  return key ? !CONTROL_PLANE_TAINTS.has(key) : effect === 'NoExecute' || effect === 'PreferNoSchedule';
}

export function tolerationNotices({ spec }: Pod, context: TranslationContext): Notice[] {
  return (spec?.tolerations ?? []).flatMap((item, index) =>
    mayTolerate(item, context)
      ? []
      : [
          {
            reason: 'TolerationDropped',
            message: `spec.tolerations[${index}]: a toleration of ${item.key ?? 'every taint'} is not given to pods on the host`,
          },
        ],
  );
}

function hostAffinity(
  { metadata, spec }: Pod,
  terms: NodeSelectorTerm[] | undefined,
  context: TranslationContext,
): Affinity | undefined {
  const { affinity } = spec ?? {};
  const nodeName = context.profile === 'none' ? undefined : spec?.nodeName;
  if (!affinity && !nodeName && !terms) return undefined;
  const preferred = affinity?.nodeAffinity && preferredNodes(affinity.nodeAffinity);
  const required = terms && { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } };
  const ofNodes = preferred || required ? { ...preferred, ...required } : undefined;
  const ofPods = (group: PodAffinity | undefined): PodAffinity | undefined =>
    group &&
    defined({
      requiredDuringSchedulingIgnoredDuringExecution:
        group.requiredDuringSchedulingIgnoredDuringExecution?.map((term) =>
          hostTerm(term, metadata.namespace, context),
        ),
      preferredDuringSchedulingIgnoredDuringExecution:
        group.preferredDuringSchedulingIgnoredDuringExecution?.map(({ weight, podAffinityTerm }) => ({
          weight,
          podAffinityTerm: hostTerm(podAffinityTerm, metadata.namespace, context),
        })),
    });
  return defined({
    nodeAffinity: nodeName ? onNode(nodeName, ofNodes) : ofNodes,
    podAffinity: ofPods(affinity?.podAffinity),
    podAntiAffinity: ofPods(affinity?.podAntiAffinity),
  });
}

/** A pod created with a node name skips the virtual scheduler; on the host it becomes a hard affinity, as in a DaemonSet. */
function onNode(nodeName: string, affinity: NodeAffinity = {}): NodeAffinity {
  const byName: Requirement = { key: 'metadata.name', operator: 'In', values: [nodeName] };
  const terms = affinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [{}];
  return {
    ...affinity,
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: terms.map((term) => ({
        ...term,
        matchFields: [...(term.matchFields ?? []), byName],
      })),
    },
  };
}

/** `matchLabelKeys` need no copy: the virtual API server has merged them into the selector already. */
function hostTerm(
  { labelSelector, namespaces, namespaceSelector, topologyKey }: PodAffinityTerm,
  ownNamespace: string | undefined,
  context: TranslationContext,
): PodAffinityTerm {
  if (!labelSelector) return { topologyKey, ...defined({ labelSelector }) };
  const listed = namespaces ?? [];
  const chosen = (): readonly string[] | undefined => {
    if (!namespaceSelector) return listed.length > 0 ? listed : [ownNamespace ?? ''];
    if (matchesEverything(namespaceSelector)) return undefined;
    return [
      ...new Set([
        ...listed,
        ...context.namespacesWith((labels) => matchesSelector(namespaceSelector, labels)),
      ]),
    ];
  };
  const within = chosen();
  // No namespace matches: `In` needs a value, and no namespace has an empty name.
  const places = within && within.length === 0 ? [''] : within;
  return { topologyKey, labelSelector: hostSelector(labelSelector, context.cluster, places) };
}

function hostSpread(
  constraint: SpreadConstraint,
  namespace: string | undefined,
  context: TranslationContext,
): SpreadConstraint {
  const { labelSelector, matchLabelKeys = [] } = constraint;
  const selected = new Set([
    ...Object.keys(labelSelector?.matchLabels ?? {}),
    ...(labelSelector?.matchExpressions ?? []).map(({ key }) => key),
  ]);
  const keys = labelSelector ? matchLabelKeys.filter((key) => !selected.has(key)).map(hostLabelKey) : [];
  return {
    ...spreadConstraint(constraint),
    ...(labelSelector
      ? { labelSelector: hostSelector(labelSelector, context.cluster, [namespace ?? '']) }
      : {}),
    ...(keys.length > 0 ? { matchLabelKeys: keys } : {}),
  };
}
