// The environment's namespace on the host, the worker's rights in it, the server's right to read the kubeconfig there, and the
// right of the environment's syncer to read the host.
import { kubeconfigSecretName } from '../../src/certificates/secrets.ts';
import type { Environment } from '../../src/environments/resource.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isAlreadyExists } from '../../src/kube/errors.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  type KubeObject,
  NAMESPACES,
  ROLE_BINDINGS,
  ROLES,
} from '../../src/kube/resource.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { UnavailableError } from '../../src/lib/errors.ts';
import { onceGranted } from '../grants.ts';
import {
  assertOwn,
  CONTROL_PLANE_ANNOTATION,
  ENVIRONMENT_LABEL,
  ENVIRONMENT_UID_LABEL,
  type HostNamespace,
  type HostPlace,
  hostPlaceOf,
  MANAGED_BY_LABEL,
  readNamespace,
} from '../host-namespace.ts';
import type { Step } from '../step.ts';

export interface NamespaceStepDeps {
  client: KubeClient;
  clock: Clock;
  release: string;
  /** Where worker and server run, and as whom. */
  service: { namespace: string; workerAccount: string; serverAccount: string };
  /** Level of Pod Security. */
  podSecurity: string;
  /** The ClusterRole by which syncers read the host. Absent: they do not. */
  hostReadsRole?: string | undefined;
}

const RBAC = 'rbac.authorization.k8s.io';

export function createNamespaceStep(deps: NamespaceStepDeps): Step {
  const { client, clock, release, service } = deps;

  async function ensureNamespace(environment: Environment, signal: AbortSignal): Promise<HostNamespace> {
    const desired = desiredNamespace(environment, deps);
    try {
      return await client.create<HostNamespace>(NAMESPACES, desired, { signal });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const existing = await readNamespace(client, desired.metadata.name ?? '', signal);
    if (!existing || existing.metadata.deletionTimestamp) {
      throw new UnavailableError({
        code: 'NamespaceTerminating',
        message: `the namespace ${desired.metadata.name} is being deleted`,
      });
    }
    assertOwn(existing, environment, release);
    return existing;
  }

  async function bindToSelf(namespace: string, signal: AbortSignal): Promise<void> {
    const binding = roleBinding(
      { name: service.workerAccount, namespace },
      { kind: 'ClusterRole', name: `${release}-environment` },
      { name: service.workerAccount, namespace: service.namespace },
    );
    try {
      await client.create(ROLE_BINDINGS, binding, { signal });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  async function letServerReadKubeconfig(
    { namespace, cluster }: HostPlace,
    signal: AbortSignal,
  ): Promise<void> {
    const name = service.serverAccount;
    const role = {
      apiVersion: `${RBAC}/v1`,
      kind: 'Role',
      metadata: { name, namespace },
      rules: [
        {
          apiGroups: [''],
          resources: ['secrets'],
          resourceNames: [kubeconfigSecretName(cluster)],
          verbs: ['get'],
        },
      ],
    };
    const binding = roleBinding(
      { name, namespace },
      { kind: 'Role', name },
      { name, namespace: service.namespace },
    );
    const options = { fieldManager: 'mayfly-worker', force: true, signal };
    await onceGranted(() => client.apply(ROLES, role, options), { clock, signal });
    await onceGranted(() => client.apply(ROLE_BINDINGS, binding, options), { clock, signal });
  }

  /**
   * The binding goes with the namespace, whoever deletes that, and is named after its UID: the one of a namespace that had this
   * name before may not be gone yet.
   */
  async function letSyncerReadHost(
    { namespace, cluster }: HostPlace,
    { metadata: { uid = '', labels } }: HostNamespace,
    signal: AbortSignal,
  ): Promise<void> {
    if (deps.hostReadsRole === undefined) return;
    const binding = {
      metadata: {
        name: `mayfly:${namespace}:${uid}`,
        labels: { [MANAGED_BY_LABEL]: release, [ENVIRONMENT_LABEL]: labels?.[ENVIRONMENT_LABEL] ?? '' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Namespace', name: namespace, uid }],
      },
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: deps.hostReadsRole },
      subjects: [{ kind: 'ServiceAccount', name: cluster, namespace }],
    };
    try {
      await onceGranted(() => client.create(CLUSTER_ROLE_BINDINGS, binding, { signal }), { clock, signal });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  return {
    name: 'namespace',
    condition: 'Provisioned',

    async isDone({ environment }, signal) {
      const { namespace: name } = hostPlaceOf(environment);
      const recordedUid = environment.status?.host?.namespaceUid;
      if (recordedUid === undefined) return false;
      const namespace = await readNamespace(client, name, signal);
      return namespace?.metadata.uid === recordedUid && namespace.metadata.deletionTimestamp === undefined;
    },

    async run({ environment }, signal) {
      const place = hostPlaceOf(environment);
      const made = await ensureNamespace(environment, signal);
      await bindToSelf(place.namespace, signal);
      await Promise.all([letServerReadKubeconfig(place, signal), letSyncerReadHost(place, made, signal)]);
      return {
        message: `Namespace ${place.namespace} is there`,
        facts: { host: { namespace: place.namespace, namespaceUid: made.metadata.uid } },
      };
    },
  };
}

function desiredNamespace(
  environment: Environment,
  { release, podSecurity }: Pick<NamespaceStepDeps, 'release' | 'podSecurity'>,
): HostNamespace {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: hostPlaceOf(environment).namespace,
      labels: {
        [MANAGED_BY_LABEL]: release,
        [ENVIRONMENT_LABEL]: environment.metadata.name ?? '',
        [ENVIRONMENT_UID_LABEL]: environment.metadata.uid ?? '',
        'pod-security.kubernetes.io/enforce': podSecurity,
      },
      annotations: { [CONTROL_PLANE_ANNOTATION]: 'absent' },
    },
  };
}

function roleBinding(
  metadata: { name: string; namespace: string },
  role: { kind: 'Role' | 'ClusterRole'; name: string },
  account: { name: string; namespace: string },
): KubeObject & { roleRef: object; subjects: object[] } {
  return {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: RBAC, ...role },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  };
}
