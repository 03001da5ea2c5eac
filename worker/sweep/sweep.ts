// Finds what is to be done without being told: by a watch, and by a look at everything from time to time. Needs Redis for nothing
// but to hand on what it finds, so an emptied queue costs no more than one interval.

import { ENVIRONMENTS, type Environment } from '../../src/environments/resource.ts';
import type { EnvironmentService } from '../../src/environments/service.ts';
import type { EnvironmentStore } from '../../src/environments/store.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isConflict, isNotFound } from '../../src/kube/errors.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { reconcileEnvironment, syncPullRequest } from '../../src/queue/jobs.ts';
import type { JobProducer } from '../../src/queue/producer.ts';
import type { ServerClock } from '../server-clock.ts';
import { decideSweep, isUnobserved, type SweepDecisions, uidOf } from './decisions.ts';
import { removeOrphans } from './orphans.ts';

export interface SweepDeps {
  client: KubeClient;
  namespace: string;
  release: string;
  store: EnvironmentStore;
  /** With the API server's clock. */
  service: Pick<EnvironmentService, 'deleteIfExpired'>;
  producer: Pick<JobProducer, 'enqueue'>;
  serverClock: ServerClock;
  clock: Clock;
  intervalMs: number;
  /** How often a ready environment and its pull request are looked at although nothing has happened. */
  resyncMs: number;
  maxLifetimeMs: number;
  logger: Logger;
}

export interface Sweep {
  /** Runs until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

export function createSweep(deps: SweepDeps): Sweep {
  const { client, namespace, store, service, producer, serverClock, clock, logger } = deps;
  let expiredBefore: ReadonlySet<string> = new Set();
  const lookedAtMs = new Map<string, number>();

  async function enqueue(environment: Environment, expedite: boolean): Promise<void> {
    const name = environment.metadata.name ?? '';
    await producer.enqueue(reconcileEnvironment, { name }, { expedite });
  }

  function onChange(environment: Environment, previous: Environment | undefined): void {
    const isNews =
      environment.metadata.generation !== previous?.metadata.generation ||
      environment.metadata.uid !== previous?.metadata.uid;
    if (!isNews || !isUnobserved(environment)) return;
    // The next look finds what could not be queued now.
    enqueue(environment, true).catch((err: unknown) =>
      logger.warn({ err, environment: environment.metadata.name }, 'not queued'),
    );
  }

  async function lookAtAll(signal: AbortSignal): Promise<void> {
    await serverClock.refresh(signal);
    const environments = store.list();
    const decisions = decideSweep({
      environments,
      nowMs: serverClock.nowMs(),
      isTimeTrusted: serverClock.isTrusted(),
      expiredBefore,
      lookedAt: lookedAtLately(environments),
      maxLifetimeMs: deps.maxLifetimeMs,
    });
    expiredBefore = decisions.expired;
    await carryOut(decisions, signal);
    const environmentUids = new Set(environments.map(uidOf));
    if (serverClock.isTrusted()) {
      await removeOrphans(deps, { environmentUids, nowMs: serverClock.nowMs() }, signal);
    }
  }

  /** Forgets those that are gone; one that is new here counts as looked at just now, because its creation queued it. */
  function lookedAtLately(environments: readonly Environment[]): Set<string> {
    const nowMs = clock.monotonicMs();
    const known = new Set(environments.map(uidOf));
    for (const uid of lookedAtMs.keys()) if (!known.has(uid)) lookedAtMs.delete(uid);
    for (const uid of known) if (!lookedAtMs.has(uid)) lookedAtMs.set(uid, nowMs);
    return new Set([...known].filter((uid) => nowMs - (lookedAtMs.get(uid) ?? nowMs) < deps.resyncMs));
  }

  async function carryOut(decisions: SweepDecisions, signal: AbortSignal): Promise<void> {
    for (const { environment, expiresAt } of decisions.shorten) await shorten(environment, expiresAt, signal);
    for (const { metadata } of decisions.expire) {
      if (await service.deleteIfExpired(metadata.name ?? '', signal)) {
        logger.info({ environment: metadata.name }, 'expired');
      }
    }
    for (const environment of decisions.reconcile) await enqueue(environment, false);
    for (const environment of decisions.lookAt) {
      await enqueue(environment, false);
      const { pullRequest } = environment.spec;
      if (pullRequest) await producer.enqueue(syncPullRequest, pullRequest);
      lookedAtMs.set(uidOf(environment), clock.monotonicMs());
    }
  }

  async function shorten(environment: Environment, expiresAt: string, signal: AbortSignal): Promise<void> {
    const { name = '', resourceVersion } = environment.metadata;
    const body = { metadata: { resourceVersion }, spec: { expiresAt } };
    logger.warn({ environment: name, expiresAt }, 'shortened to the longest life there is');
    try {
      await client.patch(ENVIRONMENTS, { namespace, name }, { type: 'merge', body }, { signal });
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  return {
    async run(signal) {
      const unsubscribe = store.subscribe((change) => {
        if (change.type === 'deleted') return;
        onChange(change.object, change.type === 'updated' ? change.previous : undefined);
      });
      try {
        await store.synced(signal);
        while (!signal.aborted) {
          await lookAtAll(signal).catch((err: unknown) => {
            if (!signal.aborted) logger.warn({ err }, 'the sweep was not completed');
          });
          await clock.sleep(deps.intervalMs * (0.9 + 0.2 * Math.random()), signal);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        unsubscribe();
      }
    },
  };
}
