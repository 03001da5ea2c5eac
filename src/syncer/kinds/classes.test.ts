import { afterEach, describe, expect, it, vi } from 'vitest';
import { podNamed, type SyncerHarness, startSyncer } from '../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../test/support/translation-context.ts';
import {
  INGRESS_CLASSES,
  PRIORITY_CLASSES,
  type ResourceType,
  RUNTIME_CLASSES,
} from '../../kube/resource.ts';
import type { SyncOptions } from '../kind.ts';
import type { IngressClass, PriorityClass, RuntimeClass } from '../objects.ts';
import { ingressClasses } from './ingress-classes/kind.ts';
import { pods } from './pods/kind.ts';
import { priorityClasses } from './priority-classes/kind.ts';
import { runtimeClasses } from './runtime-classes/kind.ts';

const { sync } = translationContext();
const listed: SyncOptions = { ...sync, runtimeClasses: ['gvisor'], priorityClasses: ['high'] };

describe('a class inside', () => {
  it('says of priorities what they are', () => {
    const host: PriorityClass = {
      metadata: { name: 'high', labels: { 'example.com/team': 'x' }, annotations: { 'example.com/a': 'b' } },
      value: 1000,
      description: 'before others',
      globalDefault: false,
      preemptionPolicy: 'Never',
    };
    expect(priorityClasses.toVirtual(host, undefined)).toEqual({
      metadata: { name: 'high', annotations: {} },
      value: 1000,
      description: 'before others',
      globalDefault: false,
      preemptionPolicy: 'Never',
    });
  });

  it('says of runtimes what they cost, not where they are (T16)', () => {
    const host: RuntimeClass = {
      metadata: { name: 'gvisor' },
      handler: 'runsc',
      overhead: { podFixed: { memory: '64Mi' } },
      scheduling: { nodeSelector: { 'example.com/pool': 'secret' } },
    };
    expect(runtimeClasses.toVirtual(host, undefined)).toEqual({
      metadata: { name: 'gvisor', annotations: {} },
      handler: 'runsc',
      overhead: { podFixed: { memory: '64Mi' } },
    });
  });

  it('says of Ingresses who serves them, not how', () => {
    const host: IngressClass = {
      metadata: { name: 'public', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
      spec: { controller: 'example.com/x', parameters: { kind: 'Parameters', name: 'secret' } },
    };
    expect(ingressClasses.toVirtual(host, undefined)).toEqual({
      ...host,
      spec: { controller: 'example.com/x' },
    });
  });
});

describe('which classes are shown', () => {
  let syncer: SyncerHarness;
  afterEach(() => syncer?.stop());
  const NAMES: [ResourceType, string[]][] = [
    [PRIORITY_CLASSES, ['high', 'low']],
    [RUNTIME_CLASSES, ['gvisor', 'kata']],
    [INGRESS_CLASSES, ['public', 'private']],
  ];
  const shown = () =>
    NAMES.flatMap(([type]) => syncer.virtual.list(type))
      .map(({ metadata }) => metadata.name ?? '')
      .sort();

  it.each([
    ['none but those of Ingresses by default', sync, ['private', 'public']],
    [
      'those that the operator names',
      { ...listed, ingressClasses: ['public'] },
      ['gvisor', 'high', 'public'],
    ],
    ['none where none is named', { ...sync, ingressClasses: [] }, []],
  ])('is %s', async (_, options, expected) => {
    syncer = await startSyncer({ facts: translationContext({}, { sync: options }) });
    for (const [type, names] of NAMES)
      for (const name of names) syncer.host.put(type, { metadata: { name } });
    await vi.waitFor(() => expect(shown()).toEqual(expected));
    await syncer.quiet();
    expect(shown()).toEqual(expected);
  });
});

describe('a pod that names a class', () => {
  const onHost = (options: SyncOptions, spec: object) =>
    pods.toHost(podNamed('default/web', spec), translationContext({}, { sync: options }))?.spec;

  it('gets it when the operator lists it (T4)', () => {
    expect(onHost(listed, { runtimeClassName: 'gvisor', priorityClassName: 'high' })).toMatchObject({
      runtimeClassName: 'gvisor',
      priorityClassName: 'high',
    });
  });

  it('does without the priority, and is refused for the runtime, when it is not listed (T4)', () => {
    expect(onHost(listed, { priorityClassName: 'system-node-critical' })).not.toHaveProperty(
      'priorityClassName',
    );
    expect(() => onHost(listed, { runtimeClassName: 'runc-on-host' })).toThrow(
      'spec.runtimeClassName: runc-on-host',
    );
  });
});
