// Which labels of the host's nodes are shown inside; what is said about nodes elsewhere keeps to the same ones.

const LABELS = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'node.kubernetes.io/instance-type',
  'node.kubernetes.io/windows-build',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]);

export function isShownNodeLabel(key: string): boolean {
  return LABELS.has(key);
}
