// What a pod needs beside it on the host: the config maps, secrets, claims and the account it names.
import type { ResourceType } from '../../../kube/resource.ts';
import { CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, SECRETS, SERVICE_ACCOUNTS } from '../../../kube/resource.ts';
import type { Reference } from '../../kind.ts';
import type { Container, EphemeralContainer, Pod, PodSpec, VolumeProjection } from '../../objects.ts';

/** In every namespace, made by the controller manager a moment after it. A kubelet that misses it tries again a second later. */
const ROOT_CERTIFICATE = 'kube-root-ca.crt';

/** All containers of a pod, whichever way they run. */
export function allContainers(spec: PodSpec | undefined): (Container | EphemeralContainer)[] {
  const { initContainers = [], containers = [], ephemeralContainers = [] } = spec ?? {};
  return [...initContainers, ...containers, ...ephemeralContainers];
}

/** Each once. */
export function podReferences({ metadata, spec }: Pod): Reference[] {
  const found = new Map<string, Reference>();
  const add = (type: ResourceType, name: string | undefined) => {
    if (!name) return;
    const isExpected = type === CONFIG_MAPS && name === ROOT_CERTIFICATE;
    found.set(`${type.plural}|${name}`, {
      ...{ type, namespace: metadata.namespace, name },
      ...(isExpected ? { isExpected } : {}),
    });
  };
  const addProjection = ({ configMap, secret }: VolumeProjection) => {
    add(CONFIG_MAPS, configMap?.name);
    add(SECRETS, secret?.name);
  };
  for (const { env = [], envFrom = [] } of allContainers(spec)) {
    for (const { configMapRef, secretRef } of envFrom) {
      add(CONFIG_MAPS, configMapRef?.name);
      add(SECRETS, secretRef?.name);
    }
    for (const { valueFrom } of env) {
      add(CONFIG_MAPS, valueFrom?.configMapKeyRef?.name);
      add(SECRETS, valueFrom?.secretKeyRef?.name);
    }
  }
  for (const { name, configMap, secret, projected, persistentVolumeClaim, ephemeral } of spec?.volumes ??
    []) {
    add(CONFIG_MAPS, configMap?.name);
    add(SECRETS, secret?.secretName);
    projected?.sources?.forEach(addProjection);
    add(PERSISTENT_VOLUME_CLAIMS, persistentVolumeClaim?.claimName);
    if (ephemeral) add(PERSISTENT_VOLUME_CLAIMS, `${metadata.name}-${name}`);
  }
  for (const { name } of spec?.imagePullSecrets ?? []) add(SECRETS, name);
  add(SERVICE_ACCOUNTS, spec?.serviceAccountName);
  return [...found.values()];
}
