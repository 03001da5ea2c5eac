// Volumes of a host pod. Every name in them goes through the name map; which types may pass is decided in isolation.ts.

import { CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, SECRETS } from '../../../kube/resource.ts';
import { defined, fields, list, scalar } from '../../allow-list.ts';
import { RefusedError, type TranslationContext } from '../../kind.ts';
import type { Pod, Volume, VolumeProjection } from '../../objects.ts';
import { tokenKey, tokenSecretName } from '../../tokens/projections.ts';
import { hostFieldPath } from './downward-api.ts';

type KeyToPath = NonNullable<NonNullable<Volume['configMap']>['items']>[number];
type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];
type FieldRef = NonNullable<DownwardItem['fieldRef']>;
type ResourceFieldRef = NonNullable<DownwardItem['resourceFieldRef']>;

const keyToPath = fields<KeyToPath>({ key: scalar, path: scalar, mode: scalar });
const emptyDir = fields<NonNullable<Volume['emptyDir']>>({ medium: scalar, sizeLimit: scalar });
const image = fields<NonNullable<Volume['image']>>({ reference: scalar, pullPolicy: scalar });
const hostPath = fields<NonNullable<Volume['hostPath']>>({ path: scalar, type: scalar });
export const resourceFieldRef = fields<ResourceFieldRef>({
  containerName: scalar,
  resource: scalar,
  divisor: scalar,
});

/** @throws RefusedError for a field that has no place on the host. */
export function hostFieldRef({ fieldPath }: FieldRef): FieldRef {
  const path = hostFieldPath(fieldPath);
  if (!path)
    throw new RefusedError('UnsupportedField', `fieldRef: ${fieldPath} is not known to the downward API`);
  return { fieldPath: path };
}

/** @throws RefusedError for a type of volume or projection that has no place on the host. */
export function hostVolume(volume: Volume, pod: Pod, context: TranslationContext): Volume {
  const { name } = volume;
  const namespace = pod.metadata.namespace;
  const claim = (claimName: string, readOnly?: boolean): Volume => ({
    name,
    persistentVolumeClaim: defined({
      claimName: context.hostName(PERSISTENT_VOLUME_CLAIMS, { namespace, name: claimName }),
      readOnly,
    }),
  });
  if (volume.configMap) {
    const { name: configMap, items, defaultMode, optional } = volume.configMap;
    const hostName = context.hostName(CONFIG_MAPS, { namespace, name: configMap ?? '' });
    return {
      name,
      configMap: defined({ name: hostName, items: items && list(keyToPath)(items), defaultMode, optional }),
    };
  }
  if (volume.secret) {
    const { secretName, items, defaultMode, optional } = volume.secret;
    const hostName = context.hostName(SECRETS, { namespace, name: secretName ?? '' });
    return {
      name,
      secret: defined({
        secretName: hostName,
        items: items && list(keyToPath)(items),
        defaultMode,
        optional,
      }),
    };
  }
  if (volume.projected) {
    const { sources = [], defaultMode } = volume.projected;
    return {
      name,
      projected: defined({
        sources: sources.map((source, index) => hostProjection(source, tokenKey(name, index), pod, context)),
        defaultMode,
      }),
    };
  }
  if (volume.downwardAPI) {
    const { items = [], defaultMode } = volume.downwardAPI;
    return { name, downwardAPI: defined({ items: items.map(downwardItem), defaultMode }) };
  }
  if (volume.persistentVolumeClaim) {
    return claim(volume.persistentVolumeClaim.claimName, volume.persistentVolumeClaim.readOnly);
  }
  // The virtual controller manager makes the claim of an ephemeral volume, under this name.
  if (volume.ephemeral) return claim(`${pod.metadata.name}-${name}`);
  if (volume.image) return { name, image: image(volume.image) };
  if (volume.hostPath) return { name, hostPath: hostPath(volume.hostPath) };
  return { name, emptyDir: emptyDir(volume.emptyDir ?? {}) };
}

function downwardItem({ path, mode, fieldRef, resourceFieldRef: resource }: DownwardItem): DownwardItem {
  return defined({
    path,
    mode,
    fieldRef: fieldRef && hostFieldRef(fieldRef),
    resourceFieldRef: resource && resourceFieldRef(resource),
  });
}

/** As a kubelet has it for tokens; that the group may read it too is what it then sees to. */
function tokenMode({ spec }: Pod): { mode?: number } {
  return spec?.securityContext?.fsGroup === undefined ? {} : { mode: 0o600 };
}

function hostProjection(
  source: VolumeProjection,
  key: string,
  pod: Pod,
  context: TranslationContext,
): VolumeProjection {
  const namespace = pod.metadata.namespace;
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  if (configMap) {
    const { name = '', items, optional } = configMap;
    const hostName = context.hostName(CONFIG_MAPS, { namespace, name });
    return { configMap: defined({ name: hostName, items: items && list(keyToPath)(items), optional }) };
  }
  if (secret) {
    const { name = '', items, optional } = secret;
    const hostName = context.hostName(SECRETS, { namespace, name });
    return { secret: defined({ name: hostName, items: items && list(keyToPath)(items), optional }) };
  }
  if (downwardAPI) return { downwardAPI: { items: (downwardAPI.items ?? []).map(downwardItem) } };
  if (serviceAccountToken) {
    return {
      secret: {
        name: tokenSecretName(context.cluster, pod.metadata),
        items: [{ key, path: serviceAccountToken.path, ...tokenMode(pod) }],
      },
    };
  }
  const [type = 'unknown'] = Object.keys(source);
  const volume = (pod.spec?.volumes ?? []).findIndex(({ projected }) => projected?.sources?.includes(source));
  const index = pod.spec?.volumes?.[volume]?.projected?.sources?.indexOf(source);
  throw new RefusedError(
    'UnsupportedVolume',
    `spec.volumes[${volume}].projected.sources[${index}].${type}: projections of this type are not given to virtual clusters`,
  );
}
