import { afterEach, describe, expect, it, vi } from 'vitest';
import type { MemoryApiServer } from '../../../test/support/memory-api-server.ts';
import {
  podNamed,
  podOnHost,
  type SyncerHarness,
  startSyncer,
} from '../../../test/support/syncer-harness.ts';
import { translationContext } from '../../../test/support/translation-context.ts';
import { KubeError } from '../../kube/errors.ts';
import {
  INGRESS_CLASSES,
  PODS,
  PRIORITY_CLASSES,
  type ResourceType,
  RUNTIME_CLASSES,
} from '../../kube/resource.ts';
import type { SyncOptions } from '../kind.ts';
import type { IngressClass, Pod, PriorityClass, RuntimeClass } from '../objects.ts';
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

let syncer: SyncerHarness | undefined;
afterEach(async () => {
  await syncer?.stop();
  syncer = undefined;
});

describe('which classes are shown', () => {
  const NAMES: [ResourceType, string[]][] = [
    [PRIORITY_CLASSES, ['high', 'low']],
    [RUNTIME_CLASSES, ['gvisor', 'kata']],
    [INGRESS_CLASSES, ['public', 'private']],
  ];
  const shown = () =>
    NAMES.flatMap(([type]) => syncer?.virtual.list(type) ?? [])
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
    const classes = [
      { metadata: { name: 'gvisor' }, handler: 'runsc' },
      { metadata: { name: 'runc-on-host' }, handler: 'runc' },
    ];
    const context = translationContext({ runtimeClasses: classes }, { sync: listed });
    const pod = podNamed('default/web', { runtimeClassName: 'runc-on-host' });
    expect(() => pods.toHost(pod, context)).toThrow('spec.runtimeClassName: runc-on-host');
  });

  it('never has one of the host by its mere name (T4)', () => {
    const { runtimeClassName } = onHost(listed, { runtimeClassName: 'runc-on-host' }) ?? {};
    expect(runtimeClassName).toBe('runc-on-host.absent.mayfly.dev');
  });

  describe('of the tenant’s own, with a handler that the operator gives', () => {
    const given = { metadata: { name: 'gvisor' }, handler: 'runsc' } as RuntimeClass;
    const own = { metadata: { name: 'mine' }, handler: 'runsc' } as RuntimeClass;
    const classOnHost = (host: MemoryApiServer) => podOnHost(host, 'default/web')?.spec?.runtimeClassName;

    it('waits for it, whichever arrives first', async () => {
      syncer = await startSyncer({ facts: translationContext({}, { sync: listed }) });
      const { host, virtual } = syncer;
      host.put(RUNTIME_CLASSES, given);
      const refused: (string | undefined)[] = [];
      host.intercept = ({ verb, type, object }) => {
        const name = (object as Pod | undefined)?.spec?.runtimeClassName;
        if (verb !== 'create' || type !== PODS || name === 'gvisor') return;
        refused.push(name);
        throw new KubeError({
          status: 403,
          reason: 'Forbidden',
          message: `RuntimeClass "${name}" not found`,
        });
      };
      virtual.put(PODS, podNamed('default/web', { runtimeClassName: 'mine' }));
      await vi.waitFor(() => expect(refused).not.toEqual([]));
      virtual.put(RUNTIME_CLASSES, own);
      await vi.waitFor(() => expect(classOnHost(host)).toBe('gvisor'));
      expect(refused).not.toContain('mine');
    });

    it.each([
      ['it is deleted', 'mine', []],
      ['the operator’s is deleted inside, which is put back', 'gvisor', []],
      ['the operator’s is deleted, and made anew', 'gvisor', ['gvisor']],
    ])('goes on when %s', async (_, deleted, onHost) => {
      syncer = await startSyncer({ facts: translationContext({}, { sync: listed }) });
      const { host, virtual } = syncer;
      host.put(RUNTIME_CLASSES, given);
      await vi.waitFor(() => expect(virtual.get(RUNTIME_CLASSES, 'gvisor')).toBeDefined());
      virtual.put(RUNTIME_CLASSES, own);
      virtual.put(PODS, podNamed('default/web', { runtimeClassName: 'mine' }));
      await vi.waitFor(() => expect(classOnHost(host)).toBe('gvisor'));
      const before = podOnHost(host, 'default/web')?.metadata.uid;
      for (const name of onHost) host.remove(RUNTIME_CLASSES, name);
      virtual.remove(RUNTIME_CLASSES, deleted);
      await syncer.quiet();
      for (const name of onHost) host.put(RUNTIME_CLASSES, { ...given, metadata: { name } } as RuntimeClass);
      await syncer.quiet();
      expect(classOnHost(host)).toBe('gvisor');
      expect(podOnHost(host, 'default/web')?.metadata.uid).toBe(before);
    });
  });
});
