// Containers of a host pod, field by field. What is not listed here does not exist on the host.
import { CONFIG_MAPS, SECRETS } from '../../../kube/resource.ts';
import { defined, fields, list, scalar } from '../../allow-list.ts';
import type { Reference, TranslationContext } from '../../kind.ts';
import type { Container, EnvVar, EphemeralContainer, Pod } from '../../objects.ts';
import { hostResources } from './resources.ts';
import { serviceLinks } from './service-links.ts';
import { hostFieldRef, resourceFieldRef } from './volumes.ts';

type Probe = NonNullable<Container['livenessProbe']>;
type Lifecycle = NonNullable<Container['lifecycle']>;
type Handler = NonNullable<Lifecycle['preStop']>;
type SecurityContext = NonNullable<Container['securityContext']>;
type Port = NonNullable<Container['ports']>[number];
type VolumeMount = NonNullable<Container['volumeMounts']>[number];
type EnvFrom = NonNullable<Container['envFrom']>[number];
type RestartRule = NonNullable<Container['restartPolicyRules']>[number];
type HttpGet = NonNullable<Probe['httpGet']>;

const exec = fields<NonNullable<Probe['exec']>>({ command: list(scalar) });
const httpGet = fields<HttpGet>({
  host: scalar,
  path: scalar,
  port: scalar,
  scheme: scalar,
  httpHeaders: list(fields<NonNullable<HttpGet['httpHeaders']>[number]>({ name: scalar, value: scalar })),
});
const tcpSocket = fields<NonNullable<Probe['tcpSocket']>>({ host: scalar, port: scalar });
const probe = fields<Probe>({
  exec,
  httpGet,
  tcpSocket,
  grpc: fields<NonNullable<Probe['grpc']>>({ port: scalar, service: scalar }),
  initialDelaySeconds: scalar,
  timeoutSeconds: scalar,
  periodSeconds: scalar,
  successThreshold: scalar,
  failureThreshold: scalar,
  terminationGracePeriodSeconds: scalar,
});
const handler = fields<Handler>({
  exec,
  httpGet,
  tcpSocket,
  sleep: fields<NonNullable<Handler['sleep']>>({ seconds: scalar }),
});

export const seccompProfile = fields<NonNullable<SecurityContext['seccompProfile']>>({
  type: scalar,
  localhostProfile: scalar,
});
export const appArmorProfile = fields<NonNullable<SecurityContext['appArmorProfile']>>({
  type: scalar,
  localhostProfile: scalar,
});
export const seLinuxOptions = fields<NonNullable<SecurityContext['seLinuxOptions']>>({
  level: scalar,
  role: scalar,
  type: scalar,
  user: scalar,
});

const plainContainer = fields<Container>({
  name: scalar,
  image: scalar,
  imagePullPolicy: scalar,
  command: list(scalar),
  args: list(scalar),
  workingDir: scalar,
  restartPolicy: scalar,
  restartPolicyRules: list(
    fields<RestartRule>({
      action: scalar,
      exitCodes: fields<NonNullable<RestartRule['exitCodes']>>({ operator: scalar, values: list(scalar) }),
    }),
  ),
  stdin: scalar,
  stdinOnce: scalar,
  tty: scalar,
  terminationMessagePath: scalar,
  terminationMessagePolicy: scalar,
  ports: list(
    fields<Port>({ name: scalar, containerPort: scalar, protocol: scalar, hostPort: scalar, hostIP: scalar }),
  ),
  resizePolicy: list(
    fields<NonNullable<Container['resizePolicy']>[number]>({ resourceName: scalar, restartPolicy: scalar }),
  ),
  volumeMounts: list(
    fields<VolumeMount>({
      name: scalar,
      mountPath: scalar,
      subPath: scalar,
      subPathExpr: scalar,
      readOnly: scalar,
      recursiveReadOnly: scalar,
      mountPropagation: scalar,
    }),
  ),
  volumeDevices: list(
    fields<NonNullable<Container['volumeDevices']>[number]>({ name: scalar, devicePath: scalar }),
  ),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  lifecycle: fields<Lifecycle>({ postStart: handler, preStop: handler, stopSignal: scalar }),
  securityContext: fields<SecurityContext>({
    allowPrivilegeEscalation: scalar,
    capabilities: fields<NonNullable<SecurityContext['capabilities']>>({
      add: list(scalar),
      drop: list(scalar),
    }),
    privileged: scalar,
    procMount: scalar,
    readOnlyRootFilesystem: scalar,
    runAsGroup: scalar,
    runAsNonRoot: scalar,
    runAsUser: scalar,
    seLinuxOptions,
    seccompProfile,
    appArmorProfile,
  }),
});

const fileRef = fields<NonNullable<NonNullable<EnvVar['valueFrom']>['fileKeyRef']>>({
  key: scalar,
  optional: scalar,
  path: scalar,
  volumeName: scalar,
});

/** @throws RefusedError for a field reference that has no place on the host. */
export function hostContainer(container: Container, pod: Pod, context: TranslationContext): Container {
  const { envFrom = [] } = container;
  return defined({
    ...plainContainer(container),
    resources: hostResources(container.resources, pod, context),
    env: environment(container, pod, context),
    envFrom: envFrom.length > 0 ? envFrom.map((source) => hostEnvFrom(source, pod, context)) : undefined,
  });
}

/** An ephemeral container has fewer fields than others have, and names the one it looks at. */
export function hostEphemeralContainer(
  container: EphemeralContainer,
  pod: Pod,
  context: TranslationContext,
): EphemeralContainer {
  // It may ask for no resources of its own.
  const { resources: _, ...translated } = hostContainer(container, pod, context);
  return defined({
    ...translated,
    targetContainerName: container.targetContainerName,
  });
}

/**
 * The variables of Services come first, so that the container's own may use them in `$(NAME)`, and only where the container
 * sets no variable of that name, not even from a whole config map: as with a kubelet, the user's word is last.
 */
function environment(container: Container, pod: Pod, context: TranslationContext): EnvVar[] {
  const { env = [], envFrom = [] } = container;
  const taken = new Set([
    ...env.map(({ name }) => name),
    ...envFrom.flatMap((source) => namesOf(source, pod, context)),
  ]);
  const namespace = pod.metadata.namespace ?? '';
  const linked = pod.spec?.enableServiceLinks === false ? [] : context.services(namespace);
  const links = serviceLinks([...linked, apiService(context)]).filter(({ name }) => !taken.has(name));
  return [...links, ...env.map((variable) => hostVariable(variable, pod, context))];
}

/** `default/kubernetes`, whose variables every container gets. */
function apiService({ api }: TranslationContext) {
  return {
    metadata: { name: 'kubernetes' },
    spec: { clusterIP: api.clusterIp, ports: [{ name: 'https', port: api.port, protocol: 'TCP' }] },
  };
}

function namesOf(
  { prefix = '', configMapRef, secretRef }: EnvFrom,
  pod: Pod,
  context: TranslationContext,
): string[] {
  const type = configMapRef ? CONFIG_MAPS : SECRETS;
  const name = (configMapRef ?? secretRef)?.name ?? '';
  const reference: Reference = { type, namespace: pod.metadata.namespace, name };
  return context.dataKeys(reference).map((key) => `${prefix}${key}`);
}

function hostVariable({ name, value, valueFrom }: EnvVar, pod: Pod, context: TranslationContext): EnvVar {
  if (!valueFrom) return defined({ name, value });
  const namespace = pod.metadata.namespace;
  const { configMapKeyRef, secretKeyRef, fieldRef, fileKeyRef, resourceFieldRef: resource } = valueFrom;
  const inObject = (ref: typeof configMapKeyRef, type: typeof SECRETS) =>
    ref &&
    defined({
      name: context.hostName(type, { namespace, name: ref.name ?? '' }),
      key: ref.key,
      optional: ref.optional,
    });
  return {
    name,
    valueFrom: defined({
      configMapKeyRef: inObject(configMapKeyRef, CONFIG_MAPS),
      secretKeyRef: inObject(secretKeyRef, SECRETS),
      fieldRef: fieldRef && hostFieldRef(fieldRef),
      // Of a volume of the pod's own.
      fileKeyRef: fileKeyRef && fileRef(fileKeyRef),
      resourceFieldRef: resource && resourceFieldRef(resource),
    }),
  };
}

function hostEnvFrom(
  { prefix, configMapRef, secretRef }: EnvFrom,
  pod: Pod,
  context: TranslationContext,
): EnvFrom {
  const namespace = pod.metadata.namespace;
  const named = (ref: typeof configMapRef, type: typeof SECRETS) =>
    ref &&
    defined({ name: context.hostName(type, { namespace, name: ref.name ?? '' }), optional: ref.optional });
  return defined({
    prefix,
    configMapRef: named(configMapRef, CONFIG_MAPS),
    secretRef: named(secretRef, SECRETS),
  });
}
