import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { hostLabelKey } from '../../names.ts';
import type { Pod, PodSpec } from '../../objects.ts';
import { hostSelector, matchesSelector } from '../../selectors.ts';
import { placement, tolerationNotices } from './scheduling.ts';

const pod = (spec: Partial<PodSpec>): Pod => ({
  metadata: { namespace: 'default', name: 'web' },
  spec: { containers: [], ...spec },
});
const context = translationContext({
  namespaces: [
    { metadata: { name: 'a', labels: { team: 'x' } } },
    { metadata: { name: 'b', labels: { team: 'y' } } },
  ],
});
const own = { 'mayfly.dev/cluster': 'vc' };
const inNamespaces = (...values: string[]) => ({
  key: 'mayfly.dev/virtual-namespace',
  operator: 'In',
  values,
});
const labelSelector = { matchLabels: { app: 'web' } };
const affinityTo = (term: object) =>
  placement(
    pod({
      affinity: {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', labelSelector, ...term }],
        },
      },
    }),
    context,
  ).affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.[0]?.labelSelector;

describe('affinity to other pods', () => {
  it.each<[string, object, object[] | undefined]>([
    ['its own namespace', {}, [inNamespaces('default')]],
    ['the namespaces it names', { namespaces: ['a', 'c'] }, [inNamespaces('a', 'c')]],
    ['all namespaces', { namespaceSelector: {} }, undefined],
    ['namespaces by label', { namespaceSelector: { matchLabels: { team: 'x' } } }, [inNamespaces('a')]],
    [
      'named ones and those by label',
      { namespaces: ['c'], namespaceSelector: { matchLabels: { team: 'y' } } },
      [inNamespaces('c', 'b')],
    ],
    ['no namespace at all', { namespaceSelector: { matchLabels: { team: 'z' } } }, [inNamespaces('')]],
  ])('in %s is held to this cluster', (_, term, matchExpressions) => {
    expect(affinityTo(term)).toEqual({
      matchLabels: { ...own, [hostLabelKey('app')]: 'web' },
      ...(matchExpressions && { matchExpressions }),
    });
  });
});

describe('the node', () => {
  it('that a pod was created for becomes an affinity in every term', () => {
    const terms = [{ matchExpressions: [{ key: 'disk', operator: 'Exists' }] }, { matchExpressions: [] }];
    const { affinity } = placement(
      pod({
        nodeName: 'node-1',
        affinity: {
          nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
        },
      }),
      context,
    );
    const byName = { key: 'metadata.name', operator: 'In', values: ['node-1'] };
    expect(affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms).toEqual(
      [
        { ...terms[0], matchFields: [byName] },
        { ...terms[1], matchFields: [byName] },
      ],
    );
  });

  it('named by a tenant who is trusted takes the pod past the scheduler', () => {
    const trusted = translationContext({}, { profile: 'none' });
    expect(placement(pod({ nodeName: 'node-1' }), trusted)).toEqual({ nodeName: 'node-1' });
  });

  it('of a control plane is not tolerated, and that is said (T4)', () => {
    const tolerations = [
      { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' },
      { operator: 'Exists' },
      { key: 'gpu', operator: 'Exists' },
      { operator: 'Exists', effect: 'NoExecute' },
    ];
    expect(placement(pod({ tolerations }), context).tolerations).toEqual([tolerations[2], tolerations[3]]);
    expect(
      tolerationNotices(pod({ tolerations }), context).map(({ message }) => message.split(':')[0]),
    ).toEqual(['spec.tolerations[0]', 'spec.tolerations[1]']);
    const trusted = translationContext({}, { profile: 'none' });
    expect(placement(pod({ tolerations }), trusted).tolerations).toEqual(tolerations);
  });
});

describe('spreading', () => {
  it('counts pods of this cluster and namespace, and names a label once', () => {
    const constraint = {
      maxSkew: 1,
      topologyKey: 'zone',
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector,
      matchLabelKeys: ['app', 'pod-template-hash'],
    };
    expect(
      placement(pod({ topologySpreadConstraints: [constraint] }), context).topologySpreadConstraints,
    ).toEqual([
      {
        ...constraint,
        labelSelector: {
          matchLabels: { ...own, [hostLabelKey('app')]: 'web' },
          matchExpressions: [inNamespaces('default')],
        },
        matchLabelKeys: [hostLabelKey('pod-template-hash')],
      },
    ]);
  });
});

describe('selectors', () => {
  it.each<[string, boolean]>([
    ['In', true],
    ['NotIn', false],
    ['Exists', true],
    ['DoesNotExist', false],
    ['Unheard', false],
  ])('match by %s', (operator, expected) => {
    const values = ['In', 'NotIn'].includes(operator) ? ['web'] : [];
    expect(matchesSelector({ matchExpressions: [{ key: 'app', operator, values }] }, { app: 'web' })).toBe(
      expected,
    );
  });

  it('never select by a label of the host', () => {
    const selector = hostSelector({ matchLabels: { 'mayfly.dev/cluster': 'other' } }, 'vc', undefined);
    expect(selector.matchLabels).toEqual({ ...own, [hostLabelKey('mayfly.dev/cluster')]: 'other' });
  });
});
