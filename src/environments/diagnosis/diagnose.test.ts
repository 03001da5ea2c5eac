import { describe, expect, test } from 'vitest';
import {
  claim,
  container,
  crashing,
  deployment,
  metadata,
  nothing,
  pod,
  replicaSet,
  service,
  slice,
  statefulSet,
  storageClass,
  warning,
  webWith,
} from '../../../test/support/diagnosed-objects.ts';
import { diagnose } from './diagnose.ts';
import type { ClusterObjects, DaemonSet, Job } from './objects.ts';

describe('an app is ready when', () => {
  const runToEnd: Job = {
    metadata: metadata('Job', 'seed'),
    status: { conditions: [{ type: 'Complete', status: 'True' }] },
  };
  const everyNode: DaemonSet = {
    metadata: metadata('DaemonSet', 'agent'),
    status: {
      observedGeneration: 1,
      currentNumberScheduled: 0,
      desiredNumberScheduled: 0,
      numberMisscheduled: 0,
      numberReady: 0,
    },
  };

  test.each<[string, Partial<ClusterObjects>]>([
    ['there is nothing', {}],
    ['a Deployment has its pods available', { deployments: [deployment('web', { availableReplicas: 1 })] }],
    [
      'a Deployment wants no pods',
      {
        deployments: [
          { ...deployment('web', { replicas: 0 }), spec: { replicas: 0, selector: {}, template: {} } },
        ],
      },
    ],
    ['a StatefulSet has its pods ready', { statefulSets: [statefulSet('db', { readyReplicas: 1 })] }],
    ['a DaemonSet wants no pods', { daemonSets: [everyNode] }],
    ['a Job has completed', { jobs: [runToEnd] }],
    ['a bare pod has succeeded', { pods: [pod('once', undefined, { status: { phase: 'Succeeded' } })] }],
    [
      'a Job of a CronJob failed, which is no part of the deploy',
      {
        jobs: [
          {
            metadata: metadata('Job', 'nightly-1', { metadata: metadata('CronJob', 'nightly') }),
            status: { conditions: [{ type: 'Failed', status: 'True' }] },
          },
        ],
      },
    ],
  ])('%s', (_, objects) => {
    expect(diagnose({ ...nothing, ...objects })).toEqual({ state: 'ready' });
  });
});

describe('an app is waited for while', () => {
  test.each<[string, ClusterObjects, string]>([
    [
      'a Deployment has not been seen by its controller',
      { ...nothing, deployments: [deployment('web', { observedGeneration: 0, availableReplicas: 1 })] },
      'Deployment `web` has 1 of 1 pods available',
    ],
    [
      'pods of an older revision are still there',
      { ...nothing, deployments: [deployment('web', { replicas: 2, availableReplicas: 2 })] },
      'Deployment `web` has 2 of 1 pods available',
    ],
    [
      'a container has crashed once',
      webWith(crashing(1)),
      'Deployment `web` is not available: container `app` exits with 1, restarted once',
    ],
    [
      'the readiness probe fails',
      webWith(
        { phase: 'Running', containerStatuses: [container({ state: { running: {} } })] },
        {
          events: (webPod) => [
            warning(webPod, 'Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 500'),
          ],
        },
      ),
      'Deployment `web` is not available: container `app` is not ready: Readiness probe failed: HTTP probe failed with statuscode: 500',
    ],
    [
      'no node fits',
      webWith({
        conditions: [
          {
            type: 'PodScheduled',
            status: 'False',
            reason: 'Unschedulable',
            message: '0/1 nodes are available: 1 Insufficient memory.',
          },
        ],
      }),
      'Deployment `web` is not available: pod `web-7c9` cannot be scheduled: 0/1 nodes are available: 1 Insufficient memory.',
    ],
    [
      'a registry does not answer',
      webWith({
        containerStatuses: [
          container({
            state: { waiting: { reason: 'ErrImagePull', message: 'dial tcp 10.1.1.1:443: i/o timeout' } },
          }),
        ],
      }),
      'Deployment `web` is not available: image `shop:1` of container `app` cannot be pulled: dial tcp 10.1.1.1:443: i/o timeout',
    ],
    [
      'a secret is missing',
      webWith({
        containerStatuses: [
          container({
            state: { waiting: { reason: 'CreateContainerConfigError', message: 'secret "db" not found' } },
          }),
        ],
      }),
      'Deployment `web` is not available: container `app` cannot start: secret "db" not found',
    ],
    [
      'the quota is used up',
      {
        ...nothing,
        deployments: [
          deployment('web', {
            replicas: 0,
            updatedReplicas: 0,
            conditions: [
              {
                type: 'ReplicaFailure',
                status: 'True',
                reason: 'FailedCreate',
                message: 'pods "web-7c9" is forbidden: exceeded quota: mayfly',
              },
            ],
          }),
        ],
      },
      'Deployment `web` is not available: its pods cannot be made: pods "web-7c9" is forbidden: exceeded quota: mayfly',
    ],
  ])('%s', (_, objects, message) => {
    expect(diagnose(objects)).toMatchObject({ state: 'waiting', message });
  });

  test('only the newest revision counts', () => {
    const web = deployment('web');
    const [older, newest] = [replicaSet(web, 9), replicaSet(web, 10)];
    const pods = [pod('web-old', older, { status: crashing(9) }), pod('web-new', newest)];
    const diagnosis = diagnose({ ...nothing, deployments: [web], replicaSets: [older, newest], pods });
    expect(diagnosis).toEqual({
      state: 'waiting',
      reason: 'Waiting',
      message: 'Deployment `web` is not available',
    });
  });
});

describe('an app has failed when', () => {
  test.each<[string, ClusterObjects, string, string]>([
    [
      'a container keeps exiting',
      webWith(crashing(4)),
      'ContainerExits',
      'Deployment `web` is not available: container `app` exits with 1, restarted 4 times',
    ],
    [
      'a container needs more memory than it may have',
      webWith(
        {
          containerStatuses: [
            container({
              restartCount: 5,
              state: { waiting: { reason: 'CrashLoopBackOff' } },
              lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
            }),
          ],
        },
        { spec: { containers: [{ name: 'app', resources: { limits: { memory: '64Mi' } } }] } },
      ),
      'OutOfMemory',
      'Deployment `web` is not available: container `app` was killed for using more memory than its limit of 64Mi, restarted 5 times',
    ],
    [
      'there is no such image',
      webWith({
        containerStatuses: [
          container({
            image: 'shop:nope',
            state: {
              waiting: { reason: 'ImagePullBackOff', message: 'docker.io/library/shop:nope: not found' },
            },
          }),
        ],
      }),
      'ImagePullFailed',
      'Deployment `web` is not available: image `shop:nope` of container `app` cannot be pulled: docker.io/library/shop:nope: not found',
    ],
    [
      'the host refuses a pod, whatever else is wrong with it',
      webWith(crashing(1), {
        events: (webPod) => [
          warning(webPod, 'BackOff', 'Back-off restarting failed container'),
          warning(webPod, 'SyncRefused', 'spec.hostNetwork is not allowed by profile baseline'),
        ],
      }),
      'SyncRefused',
      'Deployment `web` is not available: pod `web-7c9` was refused: spec.hostNetwork is not allowed by profile baseline',
    ],
    [
      'a Job has failed',
      {
        ...nothing,
        jobs: [
          {
            metadata: metadata('Job', 'seed'),
            status: {
              conditions: [
                {
                  type: 'Failed',
                  status: 'True',
                  reason: 'BackoffLimitExceeded',
                  message: 'Job has reached the specified backoff limit',
                },
              ],
            },
          },
        ],
      },
      'JobFailed',
      'Job `seed` failed: Job has reached the specified backoff limit',
    ],
    [
      'a Deployment is past its own deadline',
      {
        ...nothing,
        deployments: [
          deployment('web', {
            conditions: [
              {
                type: 'Progressing',
                status: 'False',
                reason: 'ProgressDeadlineExceeded',
                message: 'ReplicaSet "web-7c9" has timed out progressing.',
              },
            ],
          }),
        ],
      },
      'ProgressDeadlineExceeded',
      'Deployment `web` is not available: ReplicaSet "web-7c9" has timed out progressing.',
    ],
  ])('%s', (_, objects, reason, message) => {
    expect(diagnose(objects)).toEqual({ state: 'failed', reason, message });
  });

  test('a volume asks for a storage class that is not there, and the app behind it is explained too', () => {
    const redis = statefulSet('redis', { readyReplicas: 0 });
    const redisPod = pod('redis-0', redis, {
      status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }] },
      spec: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-redis-0' } }] },
      labels: { app: 'redis' },
    });
    const web = webWith(crashing(4));
    const diagnosis = diagnose({
      ...web,
      statefulSets: [redis],
      pods: [...web.pods, redisPod],
      persistentVolumeClaims: [claim('data-redis-0', 'fast')],
      storageClasses: [storageClass('standard', true)],
      services: [service('redis'), service('web'), service('lonely')],
      endpointSlices: [slice('redis', false)],
    });
    expect(diagnosis).toEqual({
      state: 'failed',
      reason: 'ContainerExits',
      message: [
        'Deployment `web` is not available: container `app` exits with 1, restarted 4 times',
        'StatefulSet `redis` is not ready: PersistentVolumeClaim `data-redis-0` is Pending: no storage class `fast`. Known classes: `standard`',
        'Service `lonely` selects no pod',
      ].join('\n'),
    });
  });
});

describe('a claim without a class', () => {
  const claimed = {
    ...nothing,
    pods: [
      pod('db', undefined, {
        status: { conditions: [] },
        spec: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] },
      }),
    ],
    persistentVolumeClaims: [claim('data')],
  };

  test('fails where no class is the default', () => {
    const diagnosis = diagnose({ ...claimed, storageClasses: [storageClass('fast'), storageClass('cheap')] });
    expect(diagnosis).toMatchObject({
      state: 'failed',
      reason: 'NoStorageClass',
      message: expect.stringContaining('no default storage class. Known classes: `cheap`, `fast`'),
    });
  });

  test('only waits for its volume where one is', () => {
    const diagnosis = diagnose({ ...claimed, storageClasses: [storageClass('standard', true)] });
    expect(diagnosis).toEqual({ state: 'waiting', reason: 'Waiting', message: 'Pod `db` is not ready' });
  });
});

test('says no more than a condition can hold', () => {
  const deployments = Array.from({ length: 50 }, (_, i) => deployment(`web-${i}`));
  const diagnosis = diagnose({ ...nothing, deployments });
  expect(diagnosis).toMatchObject({ message: expect.stringMatching(/… and 42 more$/) });
});

test('takes the newest of several warnings', () => {
  const objects = webWith(
    { phase: 'Running', containerStatuses: [container({ state: { running: {} } })] },
    {
      events: (webPod) => [
        warning(webPod, 'Unhealthy', 'new', '2026-01-01T00:00:02Z'),
        warning(webPod, 'Unhealthy', 'old', '2026-01-01T00:00:01Z'),
      ],
    },
  );
  expect(diagnose(objects)).toMatchObject({ message: expect.stringMatching(/new$/) });
});
