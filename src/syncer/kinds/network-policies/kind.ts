// The synced kind NetworkPolicy: selectors rewritten, and never wider than the operator's own policies.
import {
  type KubeObject,
  keyOf,
  NAMESPACES,
  NETWORK_POLICIES,
  type ObjectKey,
  PODS,
} from '../../../kube/resource.ts';
import type { ReadStore } from '../../../kube/store.ts';
import { defined } from '../../allow-list.ts';
import { mergeMetadata, type SyncedKind } from '../../kind.ts';
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicySpec } from '../../objects.ts';
import { hostSelector } from '../../selectors.ts';
import { policyTypesOf } from './open-pods.ts';
import { hostEgress, hostIngress, ruleNotices } from './rules.ts';

function peersOf(spec: NetworkPolicySpec | undefined): NetworkPolicyPeer[] {
  return [
    ...(spec?.ingress ?? []).flatMap(({ from = [] }) => from),
    ...(spec?.egress ?? []).flatMap(({ to = [] }) => to),
  ];
}

function keysWith(own: ReadStore<KubeObject>, field: 'ipBlock' | 'namespaceSelector'): ObjectKey[] {
  return (own as ReadStore<NetworkPolicy>)
    .list()
    .filter(({ spec }) => peersOf(spec).some((peer) => peer[field]))
    .map(keyOf);
}

export const networkPolicies: SyncedKind<NetworkPolicy> = {
  type: NETWORK_POLICIES,
  when: 'always',
  toHost({ metadata: { namespace = '' }, spec }, context) {
    if (!spec) return undefined;
    const ingress = (spec.ingress ?? []).flatMap((rule) => hostIngress(rule, namespace, context));
    const egress = (spec.egress ?? []).flatMap((rule) => hostEgress(rule, namespace, context));
    return {
      metadata: {},
      spec: defined({
        podSelector: hostSelector(spec.podSelector ?? {}, context.cluster, [namespace]),
        // Always said: a policy whose rules are all gone must not turn into one of another type.
        policyTypes: policyTypesOf(spec),
        ingress: ingress.length > 0 ? ingress : undefined,
        egress: egress.length > 0 ? egress : undefined,
      }),
    };
  },
  merge: (host, { metadata, spec }) => ({ ...host, metadata: mergeMetadata(host.metadata, metadata), spec }),
  observes: [
    { side: 'virtual', type: NAMESPACES, keys: (_, own) => keysWith(own, 'namespaceSelector') },
    // Blocks stand for the addresses that pods have.
    { side: 'host', type: PODS, keys: (_, own) => keysWith(own, 'ipBlock') },
  ],
  notices: ruleNotices,
};
