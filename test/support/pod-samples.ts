// Pods for tests of translators: one that uses every field there is, and any number of generated ones.
import type { Pod } from '../../src/syncer/objects.ts';

/** What no field list holds; wherever it turns up in a host object, something was copied without being listed. */
export const JUNK = 'junk-that-nobody-listed';

const probe = () => ({
  exec: { command: ['true'] },
  httpGet: { path: '/', port: 'http', scheme: 'HTTP', httpHeaders: [{ name: 'X-A', value: 'b' }] },
  tcpSocket: { port: 80 },
  grpc: { port: 9000, service: 'health' },
  initialDelaySeconds: 1,
  timeoutSeconds: 2,
  periodSeconds: 3,
  successThreshold: 1,
  failureThreshold: 4,
  terminationGracePeriodSeconds: 5,
});

const container = (name: string) => ({
  name,
  image: 'example/app:1',
  imagePullPolicy: 'IfNotPresent',
  command: ['run'],
  args: ['$(A)'],
  workingDir: '/work',
  restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
  stdin: true,
  stdinOnce: true,
  tty: true,
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  env: [
    { name: 'A', value: '1' },
    { name: 'NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    { name: 'NOTE', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['example.com/note']" } } },
    {
      name: 'CPU',
      valueFrom: { resourceFieldRef: { containerName: name, resource: 'limits.cpu', divisor: '1' } },
    },
    { name: 'B', valueFrom: { configMapKeyRef: { name: 'settings', key: 'b', optional: true } } },
    { name: 'C', valueFrom: { secretKeyRef: { name: 'password', key: 'c' } } },
    { name: 'D', valueFrom: { fileKeyRef: { volumeName: 'config', path: 'env', key: 'd', optional: true } } },
  ],
  envFrom: [
    { prefix: 'P_', configMapRef: { name: 'all-settings', optional: true } },
    { secretRef: { name: 'all-secrets' } },
  ],
  ports: [{ name: 'http', containerPort: 80, protocol: 'TCP', hostPort: 80, hostIP: '127.0.0.1' }],
  resources: { limits: { cpu: '1' }, requests: { memory: '1Mi' }, claims: [{ name: 'device' }] },
  resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }],
  volumeMounts: [
    {
      name: 'config',
      mountPath: '/config',
      subPath: 'a',
      subPathExpr: '$(A)',
      readOnly: true,
      recursiveReadOnly: 'Disabled',
      mountPropagation: 'None',
    },
  ],
  volumeDevices: [{ name: 'data', devicePath: '/dev/xvda' }],
  livenessProbe: probe(),
  readinessProbe: probe(),
  startupProbe: probe(),
  lifecycle: {
    postStart: {
      exec: { command: ['true'] },
      httpGet: { port: 80 },
      tcpSocket: { port: 80 },
      sleep: { seconds: 1 },
    },
    preStop: { sleep: { seconds: 1 } },
    stopSignal: 'SIGTERM',
  },
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { add: ['NET_BIND_SERVICE'], drop: ['ALL'] },
    privileged: true,
    procMount: 'Default',
    readOnlyRootFilesystem: true,
    runAsGroup: 1,
    runAsNonRoot: true,
    runAsUser: 1,
    seLinuxOptions: { level: 's0', role: '', type: 'container_t', user: '' },
    seccompProfile: { type: 'RuntimeDefault', localhostProfile: 'x' },
    appArmorProfile: { type: 'RuntimeDefault', localhostProfile: 'x' },
    windowsOptions: { hostProcess: false },
  },
});

const selector = () => ({
  matchLabels: { app: 'web' },
  matchExpressions: [{ key: 'tier', operator: 'In', values: ['a', 'b'] }],
});
const podAffinity = () => ({
  requiredDuringSchedulingIgnoredDuringExecution: [
    { topologyKey: 'kubernetes.io/hostname', labelSelector: selector(), namespaces: ['other'] },
  ],
  preferredDuringSchedulingIgnoredDuringExecution: [
    { weight: 1, podAffinityTerm: { topologyKey: 'zone', labelSelector: selector(), namespaceSelector: {} } },
  ],
});
const requirement = () => ({ key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] });

/** A pod with everything that a profile of `none` lets through, and much that no profile does. */
export function fullPod(): Pod {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-0',
      namespace: 'default',
      uid: 'pod-uid',
      resourceVersion: '7',
      generation: 3,
      labels: { app: 'web', 'mayfly.dev/cluster': 'somebody-else' },
      annotations: { 'example.com/note': 'a "note"', 'nginx.ingress.kubernetes.io/server-snippet': JUNK },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: JUNK, uid: JUNK }],
      finalizers: [`example.com/${JUNK}`],
    },
    spec: {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      activeDeadlineSeconds: 600,
      dnsPolicy: 'ClusterFirst',
      dnsConfig: {
        nameservers: ['192.0.2.53'],
        searches: ['example.com'],
        options: [{ name: 'timeout', value: '1' }],
      },
      hostname: 'web-0',
      subdomain: JUNK,
      setHostnameAsFQDN: false,
      hostNetwork: true,
      hostPID: true,
      hostIPC: true,
      hostUsers: false,
      hostnameOverride: 'web-0.example.com',
      shareProcessNamespace: true,
      serviceAccountName: JUNK,
      serviceAccount: JUNK,
      automountServiceAccountToken: true,
      schedulerName: JUNK,
      priorityClassName: JUNK,
      priority: 1000,
      preemptionPolicy: 'Never',
      overhead: { cpu: '1' },
      nodeName: 'node-1',
      os: { name: 'linux' },
      resources: { limits: { cpu: '2' } },
      nodeSelector: { disk: 'ssd' },
      hostAliases: [{ ip: '192.0.2.1', hostnames: ['a.example.com'] }],
      readinessGates: [{ conditionType: 'example.com/ready' }],
      imagePullSecrets: [{ name: 'pull' }],
      tolerations: [{ key: 'a', operator: 'Equal', value: 'b', effect: 'NoExecute', tolerationSeconds: 3 }],
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'zone',
          whenUnsatisfiable: 'DoNotSchedule',
          minDomains: 1,
          nodeAffinityPolicy: 'Honor',
          nodeTaintsPolicy: 'Ignore',
          labelSelector: selector(),
          matchLabelKeys: ['app', 'pod-template-hash'],
        },
      ],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [requirement()], matchFields: [requirement()] }],
          },
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, preference: { matchExpressions: [requirement()] } },
          ],
        },
        podAffinity: podAffinity(),
        podAntiAffinity: podAffinity(),
      },
      securityContext: {
        runAsUser: 1,
        runAsGroup: 1,
        runAsNonRoot: true,
        supplementalGroups: [1],
        supplementalGroupsPolicy: 'Merge',
        fsGroup: 1,
        fsGroupChangePolicy: 'Always',
        seLinuxChangePolicy: 'Recursive',
        seLinuxOptions: { type: 'container_t' },
        seccompProfile: { type: 'RuntimeDefault' },
        appArmorProfile: { type: 'RuntimeDefault' },
        sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }],
      },
      initContainers: [{ ...container('init'), restartPolicy: 'Always' }],
      containers: [container('app')],
      ephemeralContainers: [{ name: JUNK, image: JUNK, targetContainerName: 'app' }],
      volumes: [
        {
          name: 'config',
          configMap: {
            name: 'settings',
            items: [{ key: 'a', path: 'a', mode: 256 }],
            defaultMode: 420,
            optional: true,
          },
        },
        {
          name: 'secret',
          secret: {
            secretName: 'password',
            items: [{ key: 'a', path: 'a' }],
            defaultMode: 420,
            optional: false,
          },
        },
        { name: 'scratch', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        {
          name: 'info',
          downwardAPI: {
            defaultMode: 420,
            items: [
              { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' }, mode: 256 },
              { path: 'notes', fieldRef: { fieldPath: 'metadata.annotations' } },
              {
                path: 'cpu',
                resourceFieldRef: { containerName: 'app', resource: 'limits.cpu', divisor: '1m' },
              },
            ],
          },
        },
        {
          name: 'api',
          projected: {
            defaultMode: 420,
            sources: [
              { serviceAccountToken: { path: 'token', audience: 'vault', expirationSeconds: 3607 } },
              {
                configMap: {
                  name: 'kube-root-ca.crt',
                  items: [{ key: 'ca.crt', path: 'ca.crt' }],
                  optional: true,
                },
              },
              { secret: { name: 'password', items: [{ key: 'a', path: 'b' }], optional: true } },
              {
                downwardAPI: {
                  items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }],
                },
              },
            ],
          },
        },
        { name: 'data', persistentVolumeClaim: { claimName: 'data-web-0', readOnly: true } },
        { name: 'cache', ephemeral: { volumeClaimTemplate: { spec: { storageClassName: JUNK } } } },
        { name: 'layer', image: { reference: 'example/data:1', pullPolicy: 'Always' } },
        { name: 'node', hostPath: { path: '/var/log', type: 'Directory' } },
      ],
    },
    status: { phase: 'Pending', qosClass: 'Burstable' },
  };
  return pod as unknown as Pod;
}

/** A reproducible sequence of numbers in [0, 1) (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Objects whose keys are data and not fields: all of a list like `resources.limits` passes. */
const MAPS = new Set(['labels', 'annotations', 'matchLabels', 'nodeSelector', 'limits', 'requests']);
/** Without these a pod is not one that an API server lets through. */
const REQUIRED = new Set([
  'metadata',
  'spec',
  'containers',
  'name',
  'namespace',
  'fieldPath',
  'topologyKey',
  'podAffinityTerm',
  'claimName',
  'key',
]);

/** The full pod with fields left out at random, and fields that nobody listed added to every object in it. */
export function generatedPod(random: () => number): Pod {
  function mutate(value: unknown, field: string): unknown {
    if (Array.isArray(value)) return value.map((item) => mutate(item, ''));
    if (typeof value !== 'object' || value === null) return value;
    const isMap = MAPS.has(field);
    const kept = Object.entries(value).filter(([key]) => isMap || REQUIRED.has(key) || random() > 0.15);
    const copy = Object.fromEntries(kept.map(([key, item]) => [key, mutate(item, key)]));
    // A volume or projection whose source went becomes another kind of volume, which is fine; an empty one is not.
    if (isMap) return copy;
    return { ...copy, [`x${JUNK}`]: JUNK, [`y${JUNK}`]: { nested: [JUNK] } };
  }
  return mutate(fullPod(), '') as Pod;
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}
