// How pods end: by themselves, by a deletion or an eviction on either side, by force. Whoever watches a pod inside sees what he
// would see in any cluster.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KubeObject, NODES, POD_DISRUPTION_BUDGETS, PODS } from '../../../src/kube/resource.ts';
import type { Container, Pod, PodSpec } from '../../../src/syncer/objects.ts';
import { eventually } from '../../support/eventually.ts';
import { JOBS } from '../../support/resource-types.ts';
import {
  call,
  createVirtualWorkloads,
  named,
  podRunning,
  type VirtualWorkloads,
} from '../../support/virtual-workloads.ts';

let work: VirtualWorkloads;
beforeAll(async () => {
  work = await createVirtualWorkloads('ends');
});
afterAll(() => work?.remove());

const inside = () => work.cluster.inside;
const conditionOf = ({ status }: Pod, type: string) =>
  status?.conditions?.find((condition) => condition.type === type);
const evict = (client: typeof work.host.client, namespace: string, name: string) =>
  client.create(
    PODS,
    { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { namespace, name } },
    { ...call(), subresource: 'eviction', name },
  );

/** All states of a pod until it is gone, as a watch shows them. */
async function watched(name: string, act: () => Promise<unknown>): Promise<Pod[]> {
  const { metadata } = await inside().client.list<Pod>(PODS, { namespace: 'default', ...call() });
  const stop = new AbortController();
  const seen: Pod[] = [];
  const events = inside().client.watch<Pod>(PODS, {
    namespace: 'default',
    fieldSelector: `metadata.name=${name}`,
    resourceVersion: metadata.resourceVersion,
    timeoutSeconds: 60,
    idleTimeoutMs: 60_000,
    signal: stop.signal,
  });
  const acting = act();
  for await (const event of events) {
    if (event.type === 'MODIFIED' || event.type === 'DELETED') seen.push(event.object);
    if (event.type === 'DELETED') break;
  }
  await acting;
  return seen;
}

describe('a deletion inside', () => {
  it('runs the preStop hook within the grace period, and shows how the containers ended', async () => {
    const preStop = { exec: { command: ['sh', '-c', 'echo stopping > /dev/termination-log; sleep 1'] } };
    const container: Partial<Container> = {
      command: ['sh', '-c', 'trap "exit 7" TERM; sleep 3600 & wait'],
      lifecycle: { preStop },
    };
    await work.create(podRunning('graceful', '', { container, terminationGracePeriodSeconds: 20 }));
    await work.running('graceful');
    const seen = await watched('graceful', () => inside().client.delete(PODS, named('graceful'), call()));
    expect(seen[0]?.metadata.deletionGracePeriodSeconds).toBe(20);
    const last = seen.at(-1);
    expect(last?.status?.phase).toBe('Failed');
    expect(last?.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 7,
      message: 'stopping\n',
    });
  });

  it('by force is one at once, and frees the name', async () => {
    const stubborn = podRunning('forced', "trap '' TERM", { terminationGracePeriodSeconds: 600 });
    await work.create(stubborn);
    const before = (await work.running('forced')).metadata.uid;
    await inside().client.delete(PODS, named('forced'), { ...call(), gracePeriodSeconds: 0 });
    await work.create(stubborn);
    const { metadata } = await work.podWhere(
      'forced',
      'runs again',
      (pod) => pod.metadata.uid !== before && pod.status?.phase === 'Running',
    );
    expect((await work.onHost<Pod>(PODS, 'forced'))?.metadata.annotations?.['mayfly.dev/virtual-uid']).toBe(
      metadata.uid,
    );
  });
});

describe('a pod by itself', () => {
  it.each<[string, string, Partial<PodSpec>, object]>([
    ['completes', 'exit 0', { restartPolicy: 'Never' }, { phase: 'Succeeded' }],
    ['fails', 'exit 3', { restartPolicy: 'Never' }, { phase: 'Failed' }],
    ['runs-late', 'true', { activeDeadlineSeconds: 2 }, { phase: 'Failed', reason: 'DeadlineExceeded' }],
  ])('%s', async (name, script, spec, status) => {
    await work.create(podRunning(name, script, spec));
    const pod = await work.podWhere(name, 'has ended', (found) =>
      ['Succeeded', 'Failed'].includes(found.status?.phase ?? ''),
    );
    expect(pod.status).toMatchObject(status);
  });

  it('starts its sidecars before the rest, restarts what ends, and completes in spite of them', async () => {
    const sidecar = {
      ...podRunning('x').spec?.containers[0],
      name: 'sidecar',
      restartPolicy: 'Always',
    } as Container;
    await work.create(
      podRunning('with-sidecar', 'exit 0', { restartPolicy: 'Never', initContainers: [sidecar] }),
    );
    const pod = await work.podWhere(
      'with-sidecar',
      'completes',
      ({ status }) => status?.phase === 'Succeeded',
    );
    expect(pod.status?.initContainerStatuses).toMatchObject([{ name: 'sidecar', started: false }]);
  });
});

describe('an eviction', () => {
  it('inside is refused by a disruption budget inside, and shown when it is let through', async () => {
    await work.create(podRunning('guarded'));
    await work.running('guarded');
    const budget = {
      metadata: named('guard'),
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'guarded' } } },
    };
    await inside().client.create(POD_DISRUPTION_BUDGETS, budget, call());
    await eventually(
      async () => {
        const { status } = await inside().client.get<
          KubeObject & { status?: { currentHealthy?: number; observedGeneration?: number } }
        >(POD_DISRUPTION_BUDGETS, named('guard'), call());
        return status?.currentHealthy === 1 ? true : undefined;
      },
      { what: 'the budget counts the pod', timeoutMs: 30_000 },
    );
    await expect(evict(inside().client, 'default', 'guarded')).rejects.toMatchObject({ status: 429 });
    await inside().client.delete(POD_DISRUPTION_BUDGETS, named('guard'), call());
    const seen = await watched('guarded', async () =>
      eventually(async () => evict(inside().client, 'default', 'guarded'), {
        what: 'the eviction is let through',
        timeoutMs: 20_000,
      }),
    );
    const last = seen.at(-1);
    expect(last && conditionOf(last, 'DisruptionTarget')).toMatchObject({
      status: 'True',
      reason: 'EvictionByEvictionAPI',
    });
    expect(last?.status?.phase).toBe('Succeeded');
  });

  it('on the host is told inside before the pod goes', async () => {
    await work.create(podRunning('drained'));
    await work.running('drained');
    const { name = '' } = (await work.onHost<Pod>(PODS, 'drained'))?.metadata ?? {};
    const seen = await watched('drained', () => evict(work.host.client, work.hostNamespace, name));
    const last = seen.at(-1);
    expect(last && conditionOf(last, 'DisruptionTarget')).toMatchObject({
      status: 'True',
      reason: 'EvictionByEvictionAPI',
    });
    expect(last?.status?.phase).toBe('Succeeded');
  });
});

describe('a Job', () => {
  interface Job extends KubeObject {
    spec: object;
    status?: {
      failed?: number;
      succeeded?: number;
      active?: number;
      conditions?: { type: string; reason?: string }[];
    };
  }
  const jobOf = (name: string, container: Partial<Container>, more: object): Job => ({
    metadata: named(name),
    spec: {
      backoffLimit: 3,
      template: { spec: podRunning(name, '', { container, restartPolicy: 'Never' }).spec },
      ...more,
    },
  });
  const ended = (name: string) =>
    eventually(
      async () => {
        const job = await work.find<Job>(JOBS, name);
        const condition = job?.status?.conditions?.find(({ type }) => ['Complete', 'Failed'].includes(type));
        if (condition) return { job, condition };
        throw new Error(JSON.stringify(job?.status));
      },
      { what: `the job ${name} has ended`, timeoutMs: 60_000 },
    );

  it('is failed by its policy on an exit code, at the first pod', async () => {
    const podFailurePolicy = {
      rules: [{ action: 'FailJob', onExitCodes: { containerName: 'app', operator: 'In', values: [42] } }],
    };
    const job = jobOf('picky', { command: ['sh', '-c', 'exit 42'] }, { podFailurePolicy });
    await inside().client.create(JOBS, job, call());
    const { condition } = await ended('picky');
    expect(condition).toMatchObject({ type: 'Failed', reason: 'PodFailurePolicy' });
  });

  it('makes up for a pod that was evicted on the host, and completes', async () => {
    const podFailurePolicy = {
      rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }],
    };
    const job = jobOf(
      'patient',
      { command: ['sh', '-c', 'trap "exit 1" TERM; sleep 8 & wait'] },
      { podFailurePolicy, backoffLimit: 0 },
    );
    await inside().client.create(JOBS, job, call());
    const podOfJob = (known: readonly string[]) =>
      eventually(
        async () => {
          const { items } = await inside().client.list<Pod>(PODS, {
            namespace: 'default',
            labelSelector: 'job-name=patient',
            ...call(),
          });
          return items.find(
            ({ metadata, status }) => status?.phase === 'Running' && !known.includes(metadata.name ?? ''),
          )?.metadata.name;
        },
        { what: 'the job has a running pod', timeoutMs: 60_000 },
      );
    const first = await podOfJob([]);
    const { name = '' } = (await work.onHost<Pod>(PODS, first))?.metadata ?? {};
    await evict(work.host.client, work.hostNamespace, name);
    await podOfJob([first]);
    const { job: done, condition } = await ended('patient');
    expect(condition.type).toBe('Complete');
    expect(done?.status).toMatchObject({ succeeded: 1 });
  });

  it('hears of a pod that was deleted by force', async () => {
    const job = jobOf(
      'counted',
      { command: ['sh', '-c', 'sleep 3600'] },
      { backoffLimit: 0, podReplacementPolicy: 'Failed' },
    );
    await inside().client.create(JOBS, job, call());
    const pod = await eventually(
      async () => {
        const { items } = await inside().client.list<Pod>(PODS, {
          namespace: 'default',
          labelSelector: 'job-name=counted',
          ...call(),
        });
        return items.find(({ status }) => status?.phase === 'Running');
      },
      { what: 'its pod runs', timeoutMs: 30_000 },
    );
    await inside().client.delete(PODS, named(pod.metadata.name ?? ''), { ...call(), gracePeriodSeconds: 0 });
    const { condition } = await ended('counted');
    expect(condition).toMatchObject({ type: 'Failed', reason: 'BackoffLimitExceeded' });
  });
});

describe('a node', () => {
  it('named by a pod is where it runs, whatever the scheduler thinks', async () => {
    const { items } = await work.host.client.list(NODES, call());
    const [node] = items;
    await work.create(podRunning('placed', 'true', { nodeName: node?.metadata.name }));
    expect((await work.running('placed')).spec?.nodeName).toBe(node?.metadata.name);
  });
});
