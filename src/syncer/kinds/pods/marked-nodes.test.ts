import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { ANNOTATION_HOST_FIELDS } from '../../names.ts';
import type { Node, Pod, PodSpec } from '../../objects.ts';
import { createNodeStore, INDEX, MARKED } from '../../stores.ts';
import { placement } from './scheduling.ts';

const HOST_FIELDS = JSON.stringify({ labels: ['kubernetes.io/os'], taints: ['gpu:NoSchedule'] });

function node(name: string, labels: Record<string, string>, spec: Node['spec'] = {}): Node {
  return {
    metadata: {
      name,
      labels: { 'kubernetes.io/os': 'linux', ...labels },
      annotations: { [ANNOTATION_HOST_FIELDS]: HOST_FIELDS },
    },
    spec,
  };
}

function placed(spec: Partial<PodSpec>, ...markedNodes: Node[]) {
  const pod: Pod = { metadata: { name: 'web', namespace: 'default' }, spec: { containers: [], ...spec } };
  const { nodeSelector, affinity } = placement(pod, translationContext({ markedNodes }));
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return { nodeSelector, terms: required?.nodeSelectorTerms };
}
const on = (name: string) => ({ key: 'metadata.name', operator: 'In', values: [name] });
const notOn = (name: string) => ({ key: 'metadata.name', operator: 'NotIn', values: [name] });
const required = (...nodeSelectorTerms: object[]) =>
  ({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
  }) as Partial<PodSpec>;

const blue = node('node-1', { color: 'blue' });
const green = node('node-2', { color: 'green' });

describe('labels that a tenant gave nodes', () => {
  it('become the names of the nodes that a selector chooses by them', () => {
    const nodeSelector = { color: 'blue', 'kubernetes.io/os': 'linux' };
    expect(placed({ nodeSelector }, blue, green)).toEqual({
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      terms: [{ matchFields: [on('node-1')] }],
    });
  });

  it('choose no node when none has them, and leave selectors of other labels to the host', () => {
    expect(placed({ nodeSelector: { color: 'red' } }, blue).terms).toEqual([
      { matchExpressions: [{ key: 'mayfly.dev/no-node', operator: 'Exists' }] },
    ]);
    expect(placed({ nodeSelector: { disk: 'ssd' } }, blue)).toEqual({ nodeSelector: { disk: 'ssd' } });
  });

  it('count in every term of an affinity', () => {
    const os = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] };
    const any = { key: 'color', operator: 'Exists' };
    const notBlue = { key: 'color', operator: 'NotIn', values: ['blue'] };
    const asked = required({ matchExpressions: [os, any] }, { matchExpressions: [notBlue] });
    expect(placed(asked, blue, green).terms).toEqual([
      { matchExpressions: [os], matchFields: [on('node-1')] },
      { matchExpressions: [os], matchFields: [on('node-2')] },
      { matchFields: [notOn('node-1')] },
    ]);
  });

  it('hold beside the node that a DaemonSet has chosen', () => {
    const asked = { nodeSelector: { color: 'blue' }, ...required({ matchFields: [on('node-1')] }) };
    expect(placed(asked, blue, green).terms).toEqual([{ matchFields: [on('node-1'), on('node-1')] }]);
  });
});

describe('nodes that a tenant tainted or cordoned', () => {
  const tainted = node('node-1', {}, { taints: [{ key: 'mine', value: 'x', effect: 'NoSchedule' }] });
  const cordoned = node('node-1', {}, { unschedulable: true });

  it.each<[string, Node, PodSpec['tolerations'], boolean]>([
    ['are avoided', tainted, undefined, true],
    ['are avoided by who tolerates another value', tainted, [{ key: 'mine', value: 'y' }], true],
    [
      'are avoided by who tolerates another effect',
      tainted,
      [{ key: 'mine', operator: 'Exists', effect: 'NoExecute' }],
      true,
    ],
    ['are open to who tolerates the taint', tainted, [{ key: 'mine', value: 'x' }], false],
    ['are open to who tolerates everything', tainted, [{ operator: 'Exists' }], false],
    ['are avoided while cordoned', cordoned, undefined, true],
    [
      'are open to a DaemonSet while cordoned',
      cordoned,
      [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' }],
      false,
    ],
    [
      'are open when the taint is only a preference',
      node('node-1', {}, { taints: [{ key: 'mine', effect: 'PreferNoSchedule' }] }),
      undefined,
      false,
    ],
    [
      'are the host’s to avoid when the taint is its',
      node('node-1', {}, { taints: [{ key: 'gpu', effect: 'NoSchedule' }] }),
      undefined,
      false,
    ],
  ])('%s', (_, marked, tolerations, isAvoided) => {
    expect(placed({ tolerations }, marked).terms).toEqual(
      isAvoided ? [{ matchFields: [notOn('node-1')] }] : undefined,
    );
  });

  it('run a pod that names them', () => {
    expect(placed({ nodeName: 'node-1' }, tainted).terms).toEqual([{ matchFields: [on('node-1')] }]);
  });
});

it('marks are looked for on nodes of the host only', () => {
  const store = createNodeStore();
  const madeUp: Node = { metadata: { name: 'made-up', labels: { 'kubernetes.io/os': 'linux' } } };
  store.replace([blue, node('node-3', {}), madeUp]);
  expect(store.byIndex(INDEX.byTenantMarks, MARKED).map(({ metadata }) => metadata.name)).toEqual(['node-1']);
});
