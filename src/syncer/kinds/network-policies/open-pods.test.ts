import { describe, expect, it } from 'vitest';
import { podNamed, podOnHost, startSyncer } from '../../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { NETWORK_POLICIES, PODS } from '../../../kube/resource.ts';
import type { NetworkPolicy, NetworkPolicySpec, Pod } from '../../objects.ts';
import { openLabels } from './open-pods.ts';

const INGRESS = { 'mayfly.dev/open-ingress': 'true' };
const EGRESS = { 'mayfly.dev/open-egress': 'true' };
const pod: Pod = { metadata: { namespace: 'default', name: 'web', labels: { app: 'web' } } };
const policy = (spec: Partial<NetworkPolicySpec>, namespace = 'default'): NetworkPolicy => ({
  metadata: { namespace, name: 'policy' },
  spec: { podSelector: {}, ...spec },
});

describe('a pod', () => {
  it.each([
    ['no policy', [], { ...INGRESS, ...EGRESS }],
    ['a policy of another namespace', [policy({}, 'other')], { ...INGRESS, ...EGRESS }],
    [
      'a policy about others',
      [policy({ podSelector: { matchLabels: { app: 'db' } } })],
      { ...INGRESS, ...EGRESS },
    ],
    ['a policy for ingress', [policy({ policyTypes: ['Ingress'] })], EGRESS],
    ['a policy for egress', [policy({ policyTypes: ['Egress'] })], INGRESS],
    [
      'two policies',
      [
        policy({ policyTypes: ['Egress'], podSelector: { matchLabels: { app: 'web' } } }),
        policy({
          policyTypes: ['Ingress'],
          podSelector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] },
        }),
      ],
      {},
    ],
  ])('is open to what %s isolates it from', (_, networkPolicies, labels) => {
    expect(openLabels(pod, translationContext({ networkPolicies }))).toEqual(labels);
  });

  it('has no such labels where the operator has no policies', () => {
    const network = { isolated: false, deniedCidrs: [], controlPlaneAddresses: [] };
    expect(openLabels(pod, translationContext({}, { network }))).toEqual({});
  });

  it('is labelled anew when policies of its namespace come, change and go', async () => {
    const syncer = await startSyncer();
    const labels = async () => {
      await syncer.quiet();
      return podOnHost(syncer.host, 'default/web')?.metadata.labels;
    };
    syncer.virtual.put(PODS, podNamed('default/web'));
    expect(await labels()).toMatchObject({ ...INGRESS, ...EGRESS });
    syncer.virtual.put(NETWORK_POLICIES, policy({ policyTypes: ['Ingress'] }));
    expect(await labels()).not.toHaveProperty(['mayfly.dev/open-ingress']);
    syncer.virtual.change<NetworkPolicy>(NETWORK_POLICIES, 'default/policy', ({ spec }) => {
      if (spec) spec.policyTypes = ['Egress'];
    });
    expect(await labels()).toMatchObject(INGRESS);
    expect(await labels()).not.toHaveProperty(['mayfly.dev/open-egress']);
    syncer.virtual.remove(NETWORK_POLICIES, 'default/policy');
    expect(await labels()).toMatchObject({ ...INGRESS, ...EGRESS });
    await syncer.stop();
  });
});
