// The runner of environments over an API server, leases and steps in memory, for unit tests.
import { pino } from 'pino';
import { findCondition } from '../../src/environments/conditions.ts';
import {
  type Environment,
  type EnvironmentSpec,
  TEARDOWN_FINALIZER,
} from '../../src/environments/resource.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { HeldLease } from '../../src/kube/lease.ts';
import { createRunner, type EnvironmentAccess } from '../../worker/runner.ts';
import type { RunState, Step, StepResult } from '../../worker/step.ts';
import { createManualClock } from './manual-clock.ts';

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
export function memoryStep(
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

export function setUpRunner(steps: { deploy?: MemoryStep; teardown?: MemoryStep; report?: MemoryStep } = {}) {
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
