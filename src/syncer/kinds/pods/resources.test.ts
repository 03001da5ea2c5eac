import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import type { Container, Pod, PodSpec } from '../../objects.ts';
import { hostResources } from './resources.ts';

type Resources = Container['resources'];
const limited = translationContext({}, { defaultLimits: { memory: '512Mi', cpu: '1' } });
const podWith = (resources?: PodSpec['resources']): Pod => ({
  metadata: { namespace: 'default', name: 'web' },
  spec: { containers: [], resources },
});

describe('the resources of a container on the host', () => {
  it.each<[string, Resources, Resources]>([
    ['says nothing', undefined, undefined],
    [
      'asks for less than the default limit',
      { requests: { memory: '64Mi' } },
      { requests: { memory: '64Mi' } },
    ],
    [
      'asks for more than the default limit',
      { requests: { memory: '1Gi', cpu: '1500m' } },
      { requests: { memory: '1Gi', cpu: '1500m' }, limits: { memory: '1Gi', cpu: '1500m' } },
    ],
    [
      'has limits of its own',
      { requests: { memory: '1Gi' }, limits: { memory: '2Gi' } },
      { requests: { memory: '1Gi' }, limits: { memory: '2Gi' } },
    ],
    ['asks for devices', { claims: [{ name: 'gpu' }] }, {}],
  ])('that %s', (_, wanted, expected) => expect(hostResources(wanted, podWith(), limited)).toEqual(expected));

  it('are within those of its pod, which defaults would break', () => {
    const pod = podWith({
      requests: { cpu: '50m', memory: '32Mi' },
      limits: { cpu: '200m', memory: '64Mi' },
    });
    expect(hostResources({ limits: { cpu: '100m' }, requests: { cpu: '10m' } }, pod, limited)).toEqual({
      limits: { cpu: '100m', memory: '64Mi' },
      requests: { cpu: '10m', memory: '0' },
    });
  });

  it('are as they are inside where the host sets no defaults', () => {
    const unlimited = translationContext();
    const wanted = { requests: { memory: '1Gi' } };
    expect(hostResources(wanted, podWith({ requests: { memory: '2Gi' } }), unlimited)).toEqual(wanted);
    expect(hostResources(undefined, podWith({ requests: { memory: '2Gi' } }), unlimited)).toBeUndefined();
  });
});
