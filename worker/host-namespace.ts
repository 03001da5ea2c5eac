// The host namespace of an environment: its name, its labels, and whether one that is found is really that environment's.
import { hostNamespaceName } from '../src/environments/names.ts';
import type { Environment } from '../src/environments/resource.ts';
import type { KubeClient } from '../src/kube/client.ts';
import { isNotFound } from '../src/kube/errors.ts';
import { type KubeObject, NAMESPACES } from '../src/kube/resource.ts';
import { ConflictError } from '../src/lib/errors.ts';

export const MANAGED_BY_LABEL = 'mayfly.dev/managed-by';
export const ENVIRONMENT_LABEL = 'mayfly.dev/environment';
export const ENVIRONMENT_UID_LABEL = 'mayfly.dev/environment-uid';

/** On a namespace whose control plane was applied completely. */
export const CONTROL_PLANE_ANNOTATION = 'mayfly.dev/control-plane';

export interface HostNamespace extends KubeObject {
  status?: { phase?: string; conditions?: { type: string; status: string; message?: string }[] };
}

/** The name of the environment is also the name of its virtual cluster. */
export interface HostPlace {
  cluster: string;
  namespace: string;
}

export function hostPlaceOf({ metadata }: Environment): HostPlace {
  const { name = '', uid = '' } = metadata;
  return { cluster: name, namespace: hostNamespaceName(name, uid) };
}

export async function readNamespace(
  client: KubeClient,
  name: string,
  signal: AbortSignal,
): Promise<HostNamespace | undefined> {
  try {
    return await client.get<HostNamespace>(NAMESPACES, { name }, { signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** @throws ConflictError `ForeignNamespace` when the namespace was made for something else: nothing in it may be touched. */
export function assertOwn(namespace: HostNamespace, environment: Environment, release: string): void {
  const labels = namespace.metadata.labels ?? {};
  if (labels[MANAGED_BY_LABEL] === release && labels[ENVIRONMENT_UID_LABEL] === environment.metadata.uid) {
    return;
  }
  throw new ConflictError({
    code: 'ForeignNamespace',
    message: `the namespace ${namespace.metadata.name} was not made for this environment`,
  });
}
