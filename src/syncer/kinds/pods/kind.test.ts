import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { onHost } from '../../kind.ts';
import type { Container, Pod, PodSpec } from '../../objects.ts';
import { pods } from './kind.ts';

const context = translationContext();
const virtualPod = (container: Partial<Container>, spec: Partial<PodSpec> = {}): Pod => ({
  metadata: { namespace: 'default', name: 'web', uid: 'inside' },
  spec: { containers: [{ name: 'app', image: 'example/app:1', ...container }], ...spec },
});
function copyOf(virtual: Pod): Pod {
  const body = pods.toHost(virtual, context);
  if (!body) throw new Error('a pod has a copy');
  return onHost(pods.type, body, virtual, context);
}
function changed(host: Pod, change: (spec: PodSpec) => void): Pod {
  const copy = structuredClone(host);
  if (copy.spec) change(copy.spec);
  return copy;
}
/** A host pod after everything was written that the virtual one asks for. */
function synced(host: Pod, virtual: Pod): Pod {
  let current = pods.merge(host, copyOf(virtual));
  for (const { toHost } of pods.subresources ?? []) current = toHost(current, virtual, context);
  return pods.merge(current, copyOf(virtual));
}
const imagesOf = ({ spec }: Pod) => spec?.containers.map(({ image }) => image);

describe('what a webhook of the host changed', () => {
  const asked = virtualPod({ resources: { requests: { cpu: '1' } } });
  const host = changed(copyOf(asked), ({ containers }) => {
    containers[0] = {
      name: 'app',
      image: 'mirror.example.com/app:1',
      resources: { requests: { cpu: '100m' } },
    };
    containers.push({ name: 'injected', image: 'mesh' });
  });

  it('stays, however often the pod is looked at', () => {
    expect(synced(host, asked)).toEqual(host);
  });

  it('is asked for again when it changes inside', () => {
    expect(imagesOf(synced(host, virtualPod({ image: 'example/app:2' })))).toEqual(['example/app:2', 'mesh']);
    const resized = synced(host, virtualPod({ resources: { requests: { cpu: '2' } } }));
    expect(resized.spec?.containers[0]?.resources?.requests).toEqual({ cpu: '2' });
    expect(imagesOf(resized)).toEqual(imagesOf(host));
  });

  it('is not noted as asked for before the host took it', () => {
    const wanted = virtualPod({ resources: { requests: { cpu: '2' } } });
    const refused = pods.merge(host, copyOf(wanted));
    expect(refused.metadata.annotations).toEqual(host.metadata.annotations);
    expect(synced(refused, wanted).spec?.containers[0]?.resources?.requests).toEqual({ cpu: '2' });
  });
});

describe('what may change of a pod', () => {
  it('are tolerations, which are added to those of the host', () => {
    const host = changed(copyOf(virtualPod({})), (spec) => {
      spec.tolerations = [{ key: 'of-the-host', operator: 'Exists' }];
    });
    const later = virtualPod({}, { tolerations: [{ key: 'later', operator: 'Exists' }] });
    const next = synced(host, later);
    expect(next.spec?.tolerations?.map(({ key }) => key)).toEqual(['of-the-host', 'later']);
    expect(synced(next, later)).toEqual(next);
  });

  it('is the deadline, which every host pod has', () => {
    const host = copyOf(virtualPod({}));
    expect(host.spec?.activeDeadlineSeconds).toBe(2_147_483_647);
    expect(synced(host, virtualPod({}, { activeDeadlineSeconds: 60 })).spec?.activeDeadlineSeconds).toBe(60);
  });

  it('is not the image of the container that writes /etc/hosts, when the syncer is another version', () => {
    const inGroup = virtualPod({}, { subdomain: 'web' });
    const host = changed(copyOf(inGroup), ({ initContainers }) => {
      const [writer] = initContainers ?? [];
      if (writer) writer.image = 'example/mayfly:0';
    });
    const next = synced(host, {
      ...inGroup,
      spec: { ...inGroup.spec, containers: [{ name: 'app', image: 'y' }] },
    });
    expect(imagesOf(next)).toEqual(['y']);
    expect(next.spec?.initContainers?.[0]?.image).toBe('example/mayfly:0');
  });
});

describe('events of a pod’s containers', () => {
  it.each([
    ['spec.containers{app}', true],
    ['', true],
    ['spec.initContainers{mayfly-hosts}', false],
    ['spec.containers{injected}', false],
  ])('of %s are told: %s', (fieldPath, told) =>
    expect(pods.tellsEventsOf?.(virtualPod({}), fieldPath)).toBe(told),
  );
});
