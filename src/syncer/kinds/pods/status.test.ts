import { describe, expect, it } from 'vitest';
import { translationContext } from '../../../../test/support/translation-context.ts';
import { hostName } from '../../names.ts';
import type { Pod } from '../../objects.ts';
import { podStep } from './life.ts';
import { withHostStatus, withReadinessGates } from './status.ts';

const context = translationContext();
const secretName = hostName('vc', 'secrets', { namespace: 'default', name: 'password' });
const virtual: Pod = {
  metadata: { namespace: 'default', name: 'web', uid: 'inside', generation: 5 },
  spec: { containers: [{ name: 'app' }], imagePullSecrets: [{ name: 'password' }] },
  status: { phase: 'Pending', qosClass: 'Burstable' },
};
const host: Pod = {
  metadata: { namespace: 'host-ns', name: 'web-default-vc-abc', uid: 'outside', generation: 2 },
  status: {},
};
const plain = (name: string) => ({ name, image: 'x', imageID: '', ready: false, restartCount: 0 });
const withStatus = (status: Pod['status']): Pod => ({ ...host, status });

describe('the status inside', () => {
  it('tells messages with the names inside (T16)', () => {
    const { status } = withHostStatus(
      withStatus({
        message: 'pod web-default-vc-abc (outside) in host-ns',
        containerStatuses: [
          {
            name: 'app',
            image: 'x',
            imageID: '',
            ready: false,
            restartCount: 0,
            state: {
              waiting: { reason: 'CreateContainerConfigError', message: `secret "${secretName}" not found` },
            },
          },
        ],
      }),
      virtual,
      context,
    );
    expect(status?.message).toBe('pod web (inside) in default');
    expect(status?.containerStatuses?.[0]?.state?.waiting?.message).toBe('secret "password" not found');
  });

  it('keeps the QoS class, which the host may see otherwise', () => {
    const { status } = withHostStatus(
      withStatus({ qosClass: 'Guaranteed', phase: 'Running' }),
      virtual,
      context,
    );
    expect(status).toMatchObject({ qosClass: 'Burstable', phase: 'Running' });
  });

  it('keeps conditions that were set inside, and takes those of the node from the host', () => {
    const inside: Pod = {
      ...virtual,
      status: {
        conditions: [
          { type: 'Ready', status: 'False' },
          { type: 'example.com/gate', status: 'True' },
        ],
      },
    };
    const outside = withStatus({
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'cloud.example.com/attached', status: 'True' },
      ],
    });
    expect(withHostStatus(outside, inside, context).status?.conditions).toEqual([
      { type: 'Ready', status: 'True' },
      { type: 'example.com/gate', status: 'True' },
    ]);
  });

  it('counts generations as they are counted inside', () => {
    expect(
      withHostStatus(withStatus({ observedGeneration: 2 }), virtual, context).status?.observedGeneration,
    ).toBe(5);
    expect(
      withHostStatus(withStatus({ observedGeneration: 1 }), virtual, context).status?.observedGeneration,
    ).toBe(undefined);
  });

  it('tells what a container wrote about its end as it wrote it, and what its runtime wrote with the names inside', () => {
    const ended = (reason: string) =>
      withHostStatus(
        withStatus({
          containerStatuses: [
            { ...plain('app'), state: { terminated: { exitCode: 1, reason, message: 'lost host-ns' } } },
          ],
        }),
        virtual,
        context,
      ).status?.containerStatuses?.[0]?.state?.terminated?.message;
    expect(ended('Error')).toBe('lost host-ns');
    expect(ended('StartError')).toBe('lost default');
  });

  it('has no container that is not inside', () => {
    const { status } = withHostStatus(
      withStatus({
        initContainerStatuses: [plain('mayfly-hosts')],
        containerStatuses: [plain('app')],
        ephemeralContainerStatuses: [plain('of-an-administrator')],
        conditions: [
          {
            type: 'Initialized',
            status: 'False',
            reason: 'ContainersNotInitialized',
            message: 'containers with incomplete status: [mayfly-hosts init]',
          },
        ],
      }),
      virtual,
      context,
    );
    expect(status).toMatchObject({
      containerStatuses: [{ name: 'app' }],
      conditions: [{ message: 'containers with incomplete status: [init]' }],
    });
    expect(status).not.toHaveProperty('initContainerStatuses');
    expect(status).not.toHaveProperty('ephemeralContainerStatuses');
  });

  it('counts the generations of conditions as they are counted inside, and none before the host pod was resized', () => {
    const asks = (cpu: string): Pod['spec'] => ({
      containers: [{ name: 'app', resources: { requests: { cpu } } }],
    });
    const inside = { ...virtual, spec: asks('2') };
    const observed = (outside: Pod) => {
      const { status } = withHostStatus(outside, inside, context);
      return [status?.observedGeneration, status?.conditions?.[0]?.observedGeneration];
    };
    const conditions = [{ type: 'PodResizePending', status: 'True', observedGeneration: 2 }];
    const outside = withStatus({ observedGeneration: 2, conditions });
    expect(observed({ ...outside, spec: asks('1') })).toEqual([undefined, undefined]);
    expect(observed({ ...outside, spec: asks('2') })).toEqual([5, 5]);
  });

  it('says the same again when nothing has changed', () => {
    const once = withHostStatus(withStatus({ phase: 'Running', podIP: '10.0.0.1' }), virtual, context);
    expect(withHostStatus(withStatus({ phase: 'Running', podIP: '10.0.0.1' }), once, context)).toEqual(once);
  });
});

describe('readiness gates', () => {
  const gated: Pod = {
    ...virtual,
    spec: {
      containers: [],
      readinessGates: [{ conditionType: 'example.com/gate' }, { conditionType: 'Ready' }],
    },
    status: {
      conditions: [
        { type: 'example.com/gate', status: 'True' },
        { type: 'Ready', status: 'True' },
        { type: 'example.com/other', status: 'True' },
      ],
    },
  };

  it('carry their own conditions to the host, never those of the node', () => {
    expect(withReadinessGates(withStatus({ conditions: [] }), gated).status?.conditions).toEqual([
      { type: 'example.com/gate', status: 'True' },
    ]);
  });

  it('leave a host pod alone that has them already', () => {
    const told = withStatus({ conditions: [{ type: 'example.com/gate', status: 'True' }] });
    expect(withReadinessGates(told, gated)).toBe(told);
  });
});

describe('the step to take', () => {
  const ending = (grace: number): Partial<Pod['metadata']> => ({
    deletionTimestamp: '2026-01-01T00:00:00Z',
    deletionGracePeriodSeconds: grace,
  });
  const pod = (
    metadata: Partial<Pod['metadata']>,
    spec: Partial<Pod['spec']> = {},
    status: Pod['status'] = {},
  ): Pod => ({
    metadata,
    spec: { containers: [], ...spec },
    status,
  });
  const placed = pod({}, { nodeName: 'n' }, { conditions: [{ type: 'PodScheduled', status: 'True' }] });

  it.each<[string, Pod, Pod | undefined, unknown]>([
    ['nothing for a new pod', pod({}), undefined, undefined],
    ['nothing for a pod that a user put on a node', pod({}, { nodeName: 'n' }), undefined, undefined],
    ['to wait for gates', pod({}, { schedulingGates: [{ name: 'x' }] }), undefined, { do: 'wait' }],
    ['to bind what the host placed', pod({}), pod({}, { nodeName: 'n' }), { do: 'bind', node: 'n' }],
    ['nothing for a pod in place', placed, pod({}, { nodeName: 'n' }), undefined],
    [
      'to end it inside when it is gone outside',
      placed,
      undefined,
      { do: 'delete-virtual', gracePeriodSeconds: 0, confirm: true },
    ],
    [
      'to end it inside when it ends outside',
      placed,
      pod(ending(9)),
      { do: 'delete-virtual', gracePeriodSeconds: 9 },
    ],
    [
      'to end it outside when it ends inside',
      pod(ending(9)),
      pod({}),
      { do: 'delete-host', gracePeriodSeconds: 9 },
    ],
    ['nothing while it ends outside', pod(ending(9)), pod(ending(9)), undefined],
    [
      'to hurry when the grace was cut short',
      pod(ending(1)),
      pod(ending(9)),
      { do: 'delete-host', gracePeriodSeconds: 1 },
    ],
    [
      'to leave a second for the end to be told, of a pod that is held by a finalizer',
      pod(ending(0)),
      pod({}),
      { do: 'delete-host', gracePeriodSeconds: 1 },
    ],
    ['to finish what has ended', pod(ending(9)), undefined, { do: 'delete-virtual', gracePeriodSeconds: 0 }],
    ['to wait for finalizers', pod(ending(0)), undefined, { do: 'wait' }],
  ])('is %s', (_, inside, outside, expected) => expect(podStep(inside, outside)).toEqual(expected));
});
