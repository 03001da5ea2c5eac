import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import type { Container, Pod, Service } from '../../objects.ts';
import { hostContainer } from './containers.ts';
import { downwardAnnotations, formatMap, hostFieldPath } from './downward-api.ts';

const redis: Service = {
  metadata: { namespace: 'default', name: 'redis-main' },
  spec: {
    clusterIP: '10.96.1.2',
    ports: [
      { name: 'client', port: 6379, protocol: 'TCP' },
      { name: 'gossip', port: 7000, protocol: 'UDP' },
    ],
  },
};
const headless: Service = {
  metadata: { namespace: 'default', name: 'db' },
  spec: { clusterIP: 'None', ports: [{ port: 5432 }] },
};

function environmentOf(
  container: Partial<Container>,
  context = translationContext({ services: [redis, headless] }),
  spec = {},
) {
  const pod: Pod = {
    metadata: { namespace: 'default', name: 'web' },
    spec: { containers: [], ...spec },
  };
  const { env = [] } = hostContainer({ name: 'app', ...container }, pod, context);
  return Object.fromEntries(env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
}

describe('the variables of Services', () => {
  it('are those that a kubelet makes', () => {
    expect(environmentOf({})).toMatchObject({
      KUBERNETES_SERVICE_HOST: '10.96.0.10',
      KUBERNETES_SERVICE_PORT: '443',
      KUBERNETES_SERVICE_PORT_HTTPS: '443',
      KUBERNETES_PORT: 'tcp://10.96.0.10:443',
      KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.10',
      REDIS_MAIN_SERVICE_HOST: '10.96.1.2',
      REDIS_MAIN_SERVICE_PORT: '6379',
      REDIS_MAIN_SERVICE_PORT_CLIENT: '6379',
      REDIS_MAIN_SERVICE_PORT_GOSSIP: '7000',
      REDIS_MAIN_PORT: 'tcp://10.96.1.2:6379',
      REDIS_MAIN_PORT_6379_TCP: 'tcp://10.96.1.2:6379',
      REDIS_MAIN_PORT_7000_UDP: 'udp://10.96.1.2:7000',
      REDIS_MAIN_PORT_7000_UDP_PROTO: 'udp',
    });
  });

  it('leave out Services without a cluster IP', () => {
    expect(Object.keys(environmentOf({})).filter((name) => name.startsWith('DB_'))).toEqual([]);
  });

  it('are only those of the API where a pod wants no others', () => {
    const names = Object.keys(environmentOf({}, undefined, { enableServiceLinks: false }));
    expect(names.every((name) => name.startsWith('KUBERNETES_'))).toBe(true);
  });

  it('give way to what the container sets itself, also by a whole config map', () => {
    const configMaps = [
      { metadata: { namespace: 'default', name: 'own' }, data: { MAIN_SERVICE_PORT: '1' } },
    ];
    const context = translationContext({ services: [redis], configMaps });
    const env = environmentOf(
      {
        env: [{ name: 'REDIS_MAIN_SERVICE_HOST', value: 'mine' }],
        envFrom: [{ prefix: 'REDIS_', configMapRef: { name: 'own' } }],
      },
      context,
    );
    expect(env).toMatchObject({ REDIS_MAIN_SERVICE_HOST: 'mine' });
    expect(env).not.toHaveProperty('REDIS_MAIN_SERVICE_PORT');
  });

  it('come before those of the container, which may refer to them', () => {
    const pod: Pod = { metadata: { namespace: 'default', name: 'web' }, spec: { containers: [] } };
    const own = { name: 'URL', value: 'redis://$(REDIS_MAIN_SERVICE_HOST)' };
    const { env } = hostContainer(
      { name: 'app', env: [own] },
      pod,
      translationContext({ services: [redis] }),
    );
    expect(env?.at(-1)).toEqual(own);
  });
});

describe('the downward API', () => {
  it.each([
    ['metadata.name', "metadata.annotations['mayfly.dev/virtual-name']"],
    ['metadata.namespace', "metadata.annotations['mayfly.dev/virtual-namespace']"],
    ['metadata.uid', "metadata.annotations['mayfly.dev/virtual-uid']"],
    ['spec.serviceAccountName', "metadata.annotations['mayfly.dev/service-account']"],
    ['status.podIP', 'status.podIP'],
    ['spec.nodeName', 'spec.nodeName'],
  ])('finds %s at %s', (path, expected) => expect(hostFieldPath(path)).toBe(expected));

  it('knows no field that would tell about the host', () => {
    expect(hostFieldPath('metadata.ownerReferences')).toBeUndefined();
  });

  it('puts on the host pod what its fields ask for, and nothing else', () => {
    const pod: Pod = {
      metadata: { annotations: { asked: 'yes', other: 'no' }, labels: { app: 'web' } },
      spec: {
        containers: [
          {
            name: 'a',
            env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['asked']" } } }],
          },
        ],
      },
    };
    expect(Object.values(downwardAnnotations(pod))).toEqual(['yes']);
  });

  it('writes maps as a kubelet does', () => {
    expect(formatMap({ b: 'line\nbreak "quoted" \\', a: 'é\u0001\u200b😀' })).toBe(
      'a="é\\x01\\u200b😀"\nb="line\\nbreak \\"quoted\\" \\\\"',
    );
  });
});
