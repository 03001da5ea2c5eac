// What the enforcers may read, and who they are to the API server.

export const NETWORK_POLICY_USER = 'system:network-policy';

export function networkPolicyAccess(): object[] {
  const group = 'rbac.authorization.k8s.io';
  const verbs = ['list', 'watch'];
  return [
    {
      apiVersion: `${group}/v1`,
      kind: 'ClusterRole',
      metadata: { name: NETWORK_POLICY_USER },
      rules: [
        { apiGroups: [''], resources: ['pods', 'namespaces'], verbs },
        { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs },
      ],
    },
    {
      apiVersion: `${group}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: NETWORK_POLICY_USER },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: NETWORK_POLICY_USER },
      subjects: [{ apiGroup: group, kind: 'User', name: NETWORK_POLICY_USER }],
    },
  ];
}
