// Label selectors, matched inside and rewritten for the host, where all namespaces of a virtual cluster share one.
import { hostLabelKey, LABEL_CLUSTER, LABEL_NAMESPACE } from './names.ts';
import type { LabelSelector } from './objects.ts';

type Labels = Readonly<Record<string, string>>;

export function hostLabels(labels: Labels = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [hostLabelKey(key), value]));
}

/** Whether labels match, by the rules of metav1.LabelSelector: an empty selector matches everything. */
export function matchesSelector(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Labels,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

export function matchesEverything({ matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean {
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}

/**
 * A selector of virtual pods as one of host pods, held to this cluster and to `namespaces` inside.
 * @param namespaces virtual namespaces, or undefined for all of them.
 */
export function hostSelector(
  { matchLabels, matchExpressions = [] }: LabelSelector,
  cluster: string,
  namespaces: readonly string[] | undefined,
): LabelSelector {
  const place = namespaces ? [{ key: LABEL_NAMESPACE, operator: 'In', values: [...namespaces] }] : [];
  const expressions = [
    ...matchExpressions.map(({ key, operator, values }) => ({
      key: hostLabelKey(key),
      operator,
      ...(values ? { values: [...values] } : {}),
    })),
    ...place,
  ];
  return {
    matchLabels: { ...hostLabels(matchLabels), [LABEL_CLUSTER]: cluster },
    ...(expressions.length > 0 ? { matchExpressions: expressions } : {}),
  };
}
