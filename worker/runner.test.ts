import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { findCondition } from '../src/environments/conditions.ts';
import { type Environment, type EnvironmentSpec, TEARDOWN_FINALIZER } from '../src/environments/resource.ts';
import { KubeError } from '../src/kube/errors.ts';
import type { HeldLease } from '../src/kube/lease.ts';
import { InvalidInputError, UnavailableError } from '../src/lib/errors.ts';
import { createManualClock } from '../test/support/manual-clock.ts';
import { createRunner, type EnvironmentAccess } from './runner.ts';
import type { RunState, Step, StepResult } from './step.ts';

const SPEC: EnvironmentSpec = {
  owner: 'token:tests',
  kubernetesVersion: '1.34',
  expiresAt: '2099-01-01T00:00:00Z',
  app: { image: 'web:1', port: 80 },
};

/** Environments on an API server of one: versions, generations, and conflicts as on a real one. */
function memoryEnvironments() {
  let stored: Environment | undefined;
  let version = 0;
  const writes: Environment[] = [];
  const listeners = new Set<(environment: Environment) => void>();
  const put = (environment: Environment): Environment => {
    stored = structuredClone(environment);
    stored.metadata.resourceVersion = String(++version);
    for (const listener of listeners) listener(structuredClone(stored));
    return structuredClone(stored);
  };
  const assertNewest = ({ metadata }: Environment) => {
    if (metadata.resourceVersion === stored?.metadata.resourceVersion) return;
    throw new KubeError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
  };
  const access: EnvironmentAccess = {
    read: async () => structuredClone(stored),
    async writeStatus(environment) {
      assertNewest(environment);
      if (!stored) throw new Error('there is nothing to write to');
      writes.push(environment);
      return put({ ...stored, status: environment.status });
    },
    async addFinalizer(environment) {
      if (environment.metadata.finalizers?.includes(TEARDOWN_FINALIZER)) return environment;
      return put({
        ...environment,
        metadata: { ...environment.metadata, finalizers: [TEARDOWN_FINALIZER] },
      });
    },
    async removeFinalizer(environment) {
      assertNewest(environment);
      stored = undefined;
    },
    subscribe(_name, listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    access,
    writes,
    get current() {
      if (!stored) throw new Error('there is no environment');
      return stored;
    },
    get isGone() {
      return stored === undefined;
    },
    create: (spec: EnvironmentSpec = SPEC) =>
      put({ metadata: { name: 'shop', uid: 'u1', generation: 1 }, spec }),
    change(spec: Partial<EnvironmentSpec>) {
      const { metadata, ...rest } = this.current;
      const generation = (metadata.generation ?? 0) + 1;
      put({ ...rest, metadata: { ...metadata, generation }, spec: { ...rest.spec, ...spec } });
    },
    delete() {
      const { metadata, ...rest } = this.current;
      const generation = (metadata.generation ?? 0) + 1;
      put({ ...rest, metadata: { ...metadata, generation, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    },
    overwriteStatus() {
      put({ ...this.current, status: { phase: 'Failed', conditions: [], steps: [] } });
    },
  };
}

/** Leases that tests lose by hand. */
function memoryLeases() {
  const held: { abort: AbortController; released: boolean }[] = [];
  const acquireLease = async (): Promise<HeldLease> => {
    const lease = { abort: new AbortController(), released: false };
    held.push(lease);
    return {
      lost: lease.abort.signal,
      isHeld: () => !lease.abort.signal.aborted,
      release: async () => {
        lease.released = true;
      },
    };
  };
  return { held, acquireLease, lose: () => held.at(-1)?.abort.abort(new Error('the lease was lost')) };
}

interface MemoryStep extends Step {
  runs: number;
}

/** A step that is done once it has run, for what was wanted then. */
function memoryStep(
  name: string,
  condition: Step['condition'],
  act: (state: RunState, signal: AbortSignal) => Promise<StepResult | undefined> = async () => undefined,
): MemoryStep {
  let doneFor: string | undefined;
  const wanted = ({ environment }: RunState) =>
    JSON.stringify([environment.spec.app, environment.metadata.deletionTimestamp]);
  return {
    name,
    condition,
    runs: 0,
    isDone: async (state) => doneFor === wanted(state),
    async run(state, signal) {
      this.runs++;
      const result = await act(state, signal);
      doneFor = wanted(state);
      return result ?? { message: `${name} was done` };
    },
  };
}

function setUp(steps: { deploy?: MemoryStep; teardown?: MemoryStep; report?: MemoryStep } = {}) {
  const environments = memoryEnvironments();
  const leases = memoryLeases();
  const clock = createManualClock();
  const namespace = memoryStep('namespace', 'Provisioned', async () => ({
    message: 'made',
    facts: { host: { namespace: 'mayfly-shop-x', namespaceUid: 'n1' } },
  }));
  const api = memoryStep('api-ready', 'Provisioned');
  const deploy = steps.deploy ?? memoryStep('deploy', 'Deployed');
  const publish = memoryStep('publish', 'Published');
  const report = steps.report ?? memoryStep('report', 'Reported');
  const teardown = steps.teardown ?? memoryStep('teardown', 'TornDown');
  const runner = createRunner({
    environments: environments.access,
    acquireLease: leases.acquireLease,
    provision: [namespace, api, deploy, publish],
    teardown: [teardown],
    report,
    clock,
    logger: pino({ level: 'silent' }),
  });
  const reconcile = (signal = AbortSignal.timeout(5_000)) => runner.reconcile('shop', signal);
  const condition = (type: Step['condition'] | 'Ready') =>
    findCondition(environments.current.status?.conditions, type);
  const all = { namespace, api, deploy, publish, report, teardown };
  return { environments, leases, clock, runner, reconcile, condition, steps: all };
}

const broken = () =>
  new InvalidInputError({ code: 'CrashLoop', message: 'Deployment `web` is not available' });

describe('a run', () => {
  test('runs all steps in order and says that the environment is ready', async () => {
    const { environments, reconcile, condition } = setUp();
    environments.create();
    expect(await reconcile()).toBe('observed');
    const { status, metadata } = environments.current;
    expect(status?.steps.map(({ name }) => name)).toEqual([
      'namespace',
      'api-ready',
      'deploy',
      'publish',
      'report',
    ]);
    expect(status).toMatchObject({ phase: 'Ready', observedGeneration: 1, host: { namespaceUid: 'n1' } });
    expect(condition('Ready')?.status).toBe('True');
    expect(metadata.finalizers).toEqual([TEARDOWN_FINALIZER]);
  });

  test('says that a step is running before it runs, with what the ones before have found', async () => {
    const { environments, reconcile } = setUp({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        const { status } = environments.current;
        expect(status?.steps.at(-1)).toEqual({ name: 'deploy', startedAt: expect.any(String) });
        expect(status?.host?.namespace).toBe('mayfly-shop-x');
        expect(status?.phase).toBe('Deploying');
        return undefined;
      }),
    });
    environments.create();
    await reconcile();
    expect(environments.current.status?.phase).toBe('Ready');
  });

  test('does nothing and writes nothing when all is done', async () => {
    const { environments, reconcile, steps } = setUp();
    environments.create();
    await reconcile();
    const writes = environments.writes.length;
    await reconcile();
    expect(environments.writes).toHaveLength(writes);
    expect(Object.values(steps).map(({ runs }) => runs)).toEqual([1, 1, 1, 1, 1, 0]);
  });

  test('observes a longer life without deploying again', async () => {
    const { environments, reconcile, steps } = setUp();
    environments.create();
    await reconcile();
    environments.change({ expiresAt: '2099-01-02T00:00:00Z' });
    await reconcile();
    expect(environments.current.status?.observedGeneration).toBe(2);
    expect(steps.deploy.runs).toBe(1);
  });

  test('releases its lease, also when a step fails', async () => {
    const { environments, reconcile, leases } = setUp({
      deploy: memoryStep('deploy', 'Deployed', () => Promise.reject(new Error('broken'))),
    });
    environments.create();
    await expect(reconcile()).rejects.toThrow('broken');
    expect(leases.held.map(({ released }) => released)).toEqual([true]);
  });

  test('is over at once when the environment is gone', async () => {
    const { reconcile } = setUp();
    expect(await reconcile()).toBe('gone');
  });
});

describe('a failure', () => {
  test('that only a change can help is kept, reported and not tried again', async () => {
    const { environments, reconcile, condition, steps } = setUp({
      deploy: memoryStep('deploy', 'Deployed', () => Promise.reject(broken())),
    });
    environments.create();
    expect(await reconcile()).toBe('observed');
    expect(environments.current.status?.phase).toBe('Failed');
    expect(condition('Ready')).toMatchObject({
      status: 'False',
      reason: 'CrashLoop',
      message: 'Deployment `web` is not available',
    });
    expect(steps.report.runs).toBe(1);
    await reconcile();
    expect(steps.deploy.runs).toBe(1);
    expect(steps.publish.runs).toBe(0);
  });

  test('is tried again for a new commit', async () => {
    let fails = true;
    const { environments, reconcile } = setUp({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        if (fails) throw broken();
        return undefined;
      }),
    });
    environments.create();
    await reconcile();
    fails = false;
    environments.change({ app: { image: 'web:2', port: 80 } });
    await reconcile();
    expect(environments.current.status?.phase).toBe('Ready');
  });

  test('that may pass is said and handed on, and the environment is not called failed', async () => {
    const outage = new UnavailableError({ code: 'GitHubUnavailable', message: 'GitHub answered 502' });
    const { environments, reconcile, condition } = setUp({
      deploy: memoryStep('deploy', 'Deployed', () => Promise.reject(outage)),
    });
    environments.create();
    await expect(reconcile()).rejects.toBe(outage);
    expect(condition('Deployed')).toMatchObject({ status: 'Unknown', reason: 'GitHubUnavailable' });
    expect(environments.current.status?.phase).toBe('Deploying');
    expect(environments.current.status?.observedGeneration).toBeUndefined();
  });

  test('of the report does not undo what was done', async () => {
    const outage = new UnavailableError({ code: 'GitHubUnavailable', message: 'GitHub answered 502' });
    const { environments, reconcile, condition } = setUp({
      report: memoryStep('report', 'Reported', () => Promise.reject(outage)),
    });
    environments.create();
    await expect(reconcile()).rejects.toBe(outage);
    expect(condition('Ready')?.status).toBe('True');
    expect(condition('Reported')?.status).toBe('Unknown');
  });
});

describe('a newer commit', () => {
  test('aborts the deploy under way and is deployed in the same run', async () => {
    const deployed: string[] = [];
    const { environments, reconcile } = setUp({
      deploy: memoryStep('deploy', 'Deployed', async ({ environment }, signal) => {
        const image = environment.spec.app?.image ?? '';
        if (image === 'web:1') {
          environments.change({ app: { image: 'web:2', port: 80 } });
          signal.throwIfAborted();
        }
        deployed.push(image);
        return undefined;
      }),
    });
    environments.create();
    expect(await reconcile()).toBe('observed');
    expect(deployed).toEqual(['web:2']);
    expect(environments.current.status).toMatchObject({ phase: 'Ready', observedGeneration: 2 });
  });

  test('is noticed by the next write when the watch is late', async () => {
    const images: string[] = [];
    const { environments, reconcile } = setUp({
      deploy: memoryStep('deploy', 'Deployed', async ({ environment }) => {
        images.push(environment.spec.app?.image ?? '');
        if (images.length === 1) environments.change({ app: { image: 'web:2', port: 80 } });
        return undefined;
      }),
    });
    environments.access.subscribe = () => () => undefined;
    environments.create();
    await reconcile();
    expect(images).toEqual(['web:1', 'web:2']);
    expect(environments.current.status?.observedGeneration).toBe(2);
  });

  test('F20: a deletion during the deploy tears down in the same run', async () => {
    const { environments, reconcile, steps } = setUp({
      deploy: memoryStep('deploy', 'Deployed', async (_state, signal) => {
        environments.delete();
        signal.throwIfAborted();
        return undefined;
      }),
    });
    environments.create();
    expect(await reconcile()).toBe('gone');
    expect(steps.teardown.runs).toBe(1);
    expect(environments.isGone).toBe(true);
  });
});

describe('F8: a run that has lost its lease', () => {
  test('writes nothing more', async () => {
    const { environments, reconcile, leases } = setUp({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        leases.lose();
        return undefined;
      }),
    });
    environments.create();
    const writes = () => environments.writes.length;
    await expect(reconcile()).rejects.toThrow('the lease was lost');
    expect(writes()).toBe(3);
    expect(findCondition(environments.current.status?.conditions, 'Deployed')?.status).toBe('Unknown');
  });

  test('stops where another worker has written the status', async () => {
    const { environments, reconcile } = setUp({
      deploy: memoryStep('deploy', 'Deployed', async () => {
        environments.overwriteStatus();
        return undefined;
      }),
    });
    environments.create();
    await expect(reconcile()).rejects.toMatchObject({ code: 'LeaseLost' });
    expect(environments.current.status?.phase).toBe('Failed');
  });

  test('does not begin while another worker is at work', async () => {
    const { environments, steps, clock } = setUp();
    environments.create();
    const runner = createRunner({
      environments: environments.access,
      acquireLease: async () => undefined,
      provision: [steps.namespace],
      teardown: [],
      report: steps.report,
      clock,
      logger: pino({ level: 'silent' }),
    });
    await expect(runner.reconcile('shop', AbortSignal.timeout(1_000))).rejects.toMatchObject({
      code: 'LeaseHeld',
    });
    expect(steps.namespace.runs).toBe(0);
  });
});

describe('teardown', () => {
  test('is reported before the environment goes', async () => {
    const order: string[] = [];
    const note = (name: string, condition: Step['condition']) =>
      memoryStep(name, condition, async () => {
        order.push(name);
        return undefined;
      });
    const { environments, reconcile } = setUp({
      teardown: note('teardown', 'TornDown'),
      report: note('report', 'Reported'),
    });
    environments.create();
    environments.delete();
    const { metadata } = environments.current;
    metadata.finalizers = [TEARDOWN_FINALIZER];
    expect(await reconcile()).toBe('gone');
    expect(order).toEqual(['teardown', 'report']);
  });

  test('keeps the environment until it is done, however it fails', async () => {
    const { environments, reconcile, condition } = setUp({
      teardown: memoryStep('teardown', 'TornDown', () => Promise.reject(broken())),
    });
    environments.create();
    environments.delete();
    environments.current.metadata.finalizers = [TEARDOWN_FINALIZER];
    await expect(reconcile()).rejects.toThrow('not available');
    expect(condition('TornDown')?.message).toBe('Deployment `web` is not available');
    expect(environments.current.status?.phase).toBe('Terminating');
  });
});
