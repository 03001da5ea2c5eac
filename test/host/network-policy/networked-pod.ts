// A pod with a network of its own, reduced to what policies see of it.

export type Direction = 'ingress' | 'egress';
export type Protocol = 'TCP' | 'UDP' | 'SCTP';
export type Labels = Readonly<Record<string, string>>;

export interface NetworkedPod {
  readonly namespace: string;
  readonly node: string;
  /** One of each family. */
  readonly addresses: readonly string[];
  readonly labels: Labels;
  readonly ports: readonly { readonly name: string; readonly protocol: Protocol; readonly port: number }[];
}
