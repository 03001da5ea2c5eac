// What the syncer registers in the virtual API at its start: the webhook that reserves cluster IPs, and the policy over what
// is carried to kubelets.
import type {
  V1MutatingWebhookConfiguration,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
} from '@kubernetes/client-node';
import { ADMISSION_HOST } from '../../certificates/plan.ts';
import type { KubeObject, ResourceType } from '../../kube/resource.ts';

const GROUP = 'admissionregistration.k8s.io';
const kind = (plural: string, name: string): ResourceType => ({
  group: GROUP,
  version: 'v1',
  plural,
  kind: name,
  namespaced: false,
});
export const MUTATING_WEBHOOK_CONFIGURATIONS = kind(
  'mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
);
export const VALIDATING_ADMISSION_POLICIES = kind('validatingadmissionpolicies', 'ValidatingAdmissionPolicy');
export const VALIDATING_ADMISSION_POLICY_BINDINGS = kind(
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
);

export const SERVICES_PATH = '/services';
const WEBHOOK_NAME = 'services.syncer.mayfly.dev';
const POLICY_NAME = 'kubelet.syncer.mayfly.dev';
const CREATION_POLICY_NAME = 'store.syncer.mayfly.dev';

type Registered<T extends { metadata?: unknown }> = Omit<T, 'metadata'> & KubeObject;

/**
 * @param caBundle PEM of who signed the admission server's certificate.
 */
export function serviceWebhook(caBundle: string): Registered<V1MutatingWebhookConfiguration> {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: MUTATING_WEBHOOK_CONFIGURATIONS.kind,
    metadata: { name: WEBHOOK_NAME },
    webhooks: [
      {
        name: WEBHOOK_NAME,
        admissionReviewVersions: ['v1'],
        clientConfig: {
          url: `https://${ADMISSION_HOST}${SERVICES_PATH}`,
          caBundle: Buffer.from(caBundle).toString('base64'),
        },
        rules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['CREATE', 'UPDATE'],
            resources: ['services'],
            scope: 'Namespaced',
          },
        ],
        matchPolicy: 'Equivalent',
        failurePolicy: 'Fail',
        sideEffects: 'NoneOnDryRun',
        timeoutSeconds: 5,
        // Their cluster IPs are those of the chart's own host Services.
        matchConditions: [
          {
            name: 'not-of-the-chart',
            expression:
              "!(has(object.metadata.name) && request.namespace + '/' + object.metadata.name in " +
              "['default/kubernetes', 'kube-system/kube-dns'])",
          },
        ],
      },
    ],
  };
}

/** Paths of the kubelet under `nodes/<name>/proxy`: what shows a node's own state; nothing that acts on pods or reads them. */
const NODE_PATHS = ['/healthz', '/pods', '/stats/summary', '/metrics/resource'];

/**
 * The kubelet sees the API server, not its user. A WebSocket begins with GET, for which RBAC asks for the verb `get`; so what
 * acts on pods asks for `create` here, whatever the method.
 */
export function kubeletPolicy(): [
  Registered<V1ValidatingAdmissionPolicy>,
  Registered<V1ValidatingAdmissionPolicyBinding>,
] {
  const mayCreate =
    "authorizer.group('').resource('pods').subresource(request.subResource)" +
    ".namespace(request.namespace).name(request.name).check('create').allowed()";
  const policy: Registered<V1ValidatingAdmissionPolicy> = {
    apiVersion: `${GROUP}/v1`,
    kind: VALIDATING_ADMISSION_POLICIES.kind,
    metadata: { name: POLICY_NAME },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        matchPolicy: 'Equivalent',
        resourceRules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['CONNECT'],
            resources: ['pods/exec', 'pods/attach', 'pods/portforward', 'nodes/proxy'],
          },
        ],
      },
      validations: [
        {
          expression: `request.resource.resource != 'pods' || ${mayCreate}`,
          messageExpression: "'needs the verb create on pods/' + request.subResource",
          reason: 'Forbidden',
        },
        {
          expression: `request.resource.resource != 'nodes' || (has(object.path) && object.path in ${JSON.stringify(NODE_PATHS)})`,
          message: `of a node's proxy only ${NODE_PATHS.join(', ')} are served`,
          reason: 'Forbidden',
        },
      ],
    },
  };
  const binding: Registered<V1ValidatingAdmissionPolicyBinding> = {
    apiVersion: `${GROUP}/v1`,
    kind: VALIDATING_ADMISSION_POLICY_BINDINGS.kind,
    metadata: { name: POLICY_NAME },
    spec: { policyName: POLICY_NAME, validationActions: ['Deny'] },
  };
  return [policy, binding];
}

/** Refuses all new objects, once it is bound: for a store that is nearly full. Reviews and tokens, which nobody stores, pass. */
export function creationPolicy(): [
  Registered<V1ValidatingAdmissionPolicy>,
  Registered<V1ValidatingAdmissionPolicyBinding>,
] {
  const everything = { apiVersions: ['*'], operations: ['CREATE'], resources: ['*'] };
  const policy: Registered<V1ValidatingAdmissionPolicy> = {
    apiVersion: `${GROUP}/v1`,
    kind: VALIDATING_ADMISSION_POLICIES.kind,
    metadata: { name: CREATION_POLICY_NAME },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        matchPolicy: 'Equivalent',
        resourceRules: [{ ...everything, apiGroups: ['*'] }],
        excludeResourceRules: [
          { ...everything, apiGroups: ['authentication.k8s.io', 'authorization.k8s.io'] },
        ],
      },
      validations: [
        {
          expression: 'false',
          message:
            "the store of this virtual cluster is nearly full; its operator can give it more room (the chart's persistence.size)",
          reason: 'Forbidden',
        },
      ],
    },
  };
  const binding: Registered<V1ValidatingAdmissionPolicyBinding> = {
    apiVersion: `${GROUP}/v1`,
    kind: VALIDATING_ADMISSION_POLICY_BINDINGS.kind,
    metadata: { name: CREATION_POLICY_NAME },
    spec: { policyName: CREATION_POLICY_NAME, validationActions: ['Deny'] },
  };
  return [policy, binding];
}
