import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { hostName } from '../../names.ts';
import type { Container, EphemeralContainer, Pod } from '../../objects.ts';
import { ephemeralNotices, podSubresources } from './subresources.ts';

const context = translationContext();
const [ephemeral, resize] = podSubresources;
const app: Container = { name: 'app', image: 'example/app:1' };
const podWith = (...ephemeralContainers: EphemeralContainer[]): Pod => ({
  metadata: { namespace: 'default', name: 'web' },
  spec: { containers: [app], ephemeralContainers },
});
const hostPod: Pod = { metadata: { namespace: 'host-ns', name: 'web' }, spec: { containers: [app] } };
const onHost = (virtual: Pod, host = hostPod) =>
  ephemeral?.toHost(host, virtual, context).spec?.ephemeralContainers;

describe('ephemeral containers', () => {
  const debug: EphemeralContainer = {
    name: 'debug',
    image: 'example/tools:1',
    stdin: true,
    tty: true,
    targetContainerName: 'app',
    env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'password', key: 'token' } } }],
  };

  it('reach the host translated, as other containers do', () => {
    const [added] = onHost(podWith({ ...debug, unheard: 'of' } as EphemeralContainer)) ?? [];
    expect(added).toMatchObject({ name: 'debug', targetContainerName: 'app', stdin: true, tty: true });
    expect(added).not.toHaveProperty('unheard');
    expect(added?.env?.find(({ name }) => name === 'TOKEN')).toEqual({
      name: 'TOKEN',
      valueFrom: {
        secretKeyRef: {
          name: hostName('vc', 'secrets', { namespace: 'default', name: 'password' }),
          key: 'token',
        },
      },
    });
  });

  it('that may not be on the host stay inside, with a reason, and keep no other from it (T3)', () => {
    const virtual = podWith({ name: 'root', securityContext: { privileged: true } }, debug);
    expect(onHost(virtual)?.map(({ name }) => name)).toEqual(['debug']);
    expect(ephemeralNotices(virtual, context)).toEqual([
      {
        reason: 'SyncRefused',
        message:
          'spec.ephemeralContainers[0].securityContext.privileged: privileged containers are not allowed (ForbiddenByProfile)',
      },
    ]);
    const strict = translationContext({}, { profile: 'restricted' });
    expect(ephemeral?.toHost(hostPod, virtual, strict)).toBe(hostPod);
    expect(ephemeralNotices(virtual, strict)).toHaveLength(2);
  });

  it('are added to those there are, each once', () => {
    const theirs = { name: 'of-an-administrator', image: 'x' };
    const host: Pod = { ...hostPod, spec: { containers: [app], ephemeralContainers: [theirs] } };
    const next = ephemeral?.toHost(host, podWith(debug), context);
    expect(next?.spec?.ephemeralContainers?.map(({ name }) => name)).toEqual([theirs.name, 'debug']);
    expect(next && ephemeral?.toHost(next, podWith(debug), context)).toBe(next);
  });
});

describe('a resize', () => {
  const asking = (resources: Container['resources'], initial: Container['resources'] = {}): Pod => ({
    ...hostPod,
    spec: {
      containers: [{ ...app, resources }],
      initContainers: [{ name: 'sidecar', restartPolicy: 'Always', resources: initial }],
    },
  });

  it('takes the amounts from inside and keeps what the host’s LimitRange added', () => {
    const host = asking({ requests: { cpu: '1' }, limits: { memory: '1Gi' } }, { limits: { cpu: '1' } });
    const virtual = asking({ requests: { cpu: '2' } }, { limits: { cpu: '2' } });
    const next = resize?.toHost(host, virtual, context);
    expect(next).toEqual(
      asking({ requests: { cpu: '2' }, limits: { memory: '1Gi' } }, { limits: { cpu: '2' } }),
    );
    expect(next && resize?.toHost(next, virtual, context)).toBe(next);
  });

  it('carries nothing else: no claims, and no change of another field', () => {
    const host = asking({ requests: { cpu: '1' } });
    const virtual = asking({ requests: { cpu: '2' }, claims: [{ name: 'gpu' }] });
    const [container] = virtual.spec?.containers ?? [];
    if (container) container.image = 'example/other:1';
    expect(resize?.toHost(host, virtual, context)).toEqual(asking({ requests: { cpu: '2' } }));
  });
});
