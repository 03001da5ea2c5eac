// What of Kubernetes the rules are made of: policies as networking.k8s.io/v1 has them, and pods reduced to what policies see.
import type { KubeObject, ResourceType } from '../../../src/kube/resource.ts';
import type { LabelSelector } from '../../../src/syncer/objects.ts';

export type Direction = 'ingress' | 'egress';
export type Protocol = 'TCP' | 'UDP' | 'SCTP';
export type Labels = Readonly<Record<string, string>>;

/** Exactly one of `ipBlock` and the selectors is set. */
export interface Peer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface PolicyPort {
  readonly protocol?: Protocol;
  readonly port?: number | string;
  readonly endPort?: number;
}

export interface NetworkPolicy extends KubeObject {
  readonly spec: {
    readonly podSelector?: LabelSelector;
    readonly policyTypes?: readonly ('Ingress' | 'Egress')[];
    readonly ingress?: readonly { readonly from?: readonly Peer[]; readonly ports?: readonly PolicyPort[] }[];
    readonly egress?: readonly { readonly to?: readonly Peer[]; readonly ports?: readonly PolicyPort[] }[];
  };
}

/** A pod with a network of its own. */
export interface NetworkedPod {
  readonly namespace: string;
  readonly node: string;
  readonly address: string;
  readonly labels: Labels;
  readonly ports: readonly { readonly name: string; readonly protocol: Protocol; readonly port: number }[];
}

export const NETWORK_POLICIES: ResourceType = {
  group: 'networking.k8s.io',
  version: 'v1',
  plural: 'networkpolicies',
  kind: 'NetworkPolicy',
  namespaced: true,
};
