// Removes everything of an environment from the host: its namespace, recognized by the UID that was recorded when it was made.

import type { Environment } from '../../src/environments/resource.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isForbidden, isNotFound } from '../../src/kube/errors.ts';
import {
  type KubeObject,
  NAMESPACES,
  type ObjectName,
  PODS,
  type ResourceType,
} from '../../src/kube/resource.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { UnavailableError } from '../../src/lib/errors.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { CHART_KINDS, STATEFUL_SETS } from '../host-kinds.ts';
import { assertOwn, type HostNamespace, hostPlaceOf, readNamespace } from '../host-namespace.ts';
import type { Step } from '../step.ts';
import { createCollectionWatcher } from '../until.ts';

export interface TeardownStepDeps {
  client: KubeClient;
  /** Of the API server's time: compared with its time stamps. */
  clock: Clock;
  logger: Logger;
  release: string;
  /** So long after the environment was deleted, finalizers of others are removed and pods are given up. */
  forceAfterMs: number;
}

/**
 * Nobody waits for a preview to shut down in good order. One second and not zero, because zero removes the object from the API
 * without waiting for the kubelet to have ended its containers.
 */
const GRACE_SECONDS = 1;
const PODS_TIMEOUT_MS = 4_000;
/** Kubernetes itself removes it from claims once no pod uses them. */
const CLAIM_IN_USE = 'kubernetes.io/pvc-protection';
const HELD_TIMEOUT_MS = 5_000;
const HELD_INTERVAL_MS = 200;
const GONE_TIMEOUT_MS = 30_000;

interface HeldObject {
  type: ResourceType;
  object: KubeObject;
}

export function createTeardownStep({ client, clock, logger, release, forceAfterMs }: TeardownStepDeps): Step {
  function isForced({ metadata }: Environment): boolean {
    return clock.nowMs() - Date.parse(metadata.deletionTimestamp ?? '') > forceAfterMs;
  }

  async function deleteUnlessGone(
    type: ResourceType,
    name: ObjectName,
    options: { uid?: string; gracePeriodSeconds?: number; signal: AbortSignal },
  ): Promise<void> {
    const { uid, gracePeriodSeconds, signal } = options;
    try {
      await client.delete(type, name, {
        propagationPolicy: 'Background',
        ...(uid !== undefined && { preconditions: { uid } }),
        ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
        signal,
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** The control plane first, so that nothing makes pods anew; then all pods. */
  async function endPods(environment: Environment, signal: AbortSignal): Promise<void> {
    const { cluster, namespace } = hostPlaceOf(environment);
    await deleteUnlessGone(STATEFUL_SETS, { namespace, name: cluster }, { signal });
    const gracePeriodSeconds = isForced(environment) ? 0 : GRACE_SECONDS;
    const watcher = createCollectionWatcher(client, logger);
    const pods = watcher.follow<KubeObject>(PODS, { namespace });
    const ending = new Map<string, Promise<void>>();
    const end = ({ metadata: { uid = '', name = '' } }: KubeObject) => {
      if (ending.has(uid)) return;
      const ended = deleteUnlessGone(PODS, { namespace, name }, { uid, gracePeriodSeconds, signal });
      ending.set(
        uid,
        ended.catch((err: unknown) => logger.warn({ err, pod: name }, 'pod not deleted')),
      );
    };
    const noneLeft = () => {
      for (const pod of pods()) end(pod);
      return pods().length === 0 || undefined;
    };
    const ended = await watcher.until(noneLeft, { timeoutMs: PODS_TIMEOUT_MS, signal });
    await Promise.all(ending.values());
    if (ended) return;
    const names = pods().map(({ metadata }) => `\`${metadata.name}\``);
    throw new UnavailableError({ code: 'PodsRemain', message: `Pods do not end: ${names.join(', ')}` });
  }

  /**
   * What somebody's finalizer holds is deleted before the namespace is: the worker's rights in it go with its contents, and
   * nobody could let go of the rest then.
   */
  async function releaseHeldFirst(environment: Environment, signal: AbortSignal): Promise<void> {
    try {
      const held = await listHeld(hostPlaceOf(environment).namespace, signal);
      if (held.length === 0) return;
      await endPods(environment, signal);
      await releaseHeld(environment, signal);
    } catch (error) {
      // A run that was killed before it had any right in the namespace has left nothing there.
      if (!isForbidden(error)) throw error;
    }
  }

  /**
   * The namespace controller leaves the contents alone for five seconds, and comes back late to pods that are still shutting down
   * then, after half of their grace period. In a namespace that is being deleted nothing can make pods anew.
   */
  async function endPodsMeanwhile(environment: Environment, signal: AbortSignal): Promise<void> {
    try {
      await endPods(environment, signal);
    } catch (err) {
      signal.throwIfAborted();
      logger.info(
        { err, environment: environment.metadata.name },
        'pods are left to the namespace controller',
      );
    }
  }

  async function releaseHeld(environment: Environment, signal: AbortSignal): Promise<void> {
    const { namespace } = hostPlaceOf(environment);
    const forced = isForced(environment);
    const startedMs = clock.monotonicMs();
    for (;;) {
      const held = await listHeld(namespace, signal);
      if (held.length === 0) return;
      for (const { type, object } of held) {
        const { name = '', uid, deletionTimestamp } = object.metadata;
        if (!deletionTimestamp) await deleteUnlessGone(type, { namespace, name }, { uid, signal });
        else if (forced) await removeFinalizers(type, object, signal);
      }
      if (clock.monotonicMs() - startedMs > HELD_TIMEOUT_MS) {
        const list = held.map(
          ({ type, object: { metadata } }) =>
            `${type.kind} \`${metadata.name}\` (${metadata.finalizers?.join(', ')})`,
        );
        throw new UnavailableError({
          code: 'FinalizersRemain',
          message: `Objects wait for somebody's finalizer: ${list.join('; ')}`,
        });
      }
      await clock.sleep(HELD_INTERVAL_MS, signal);
    }
  }

  async function listHeld(namespace: string, signal: AbortSignal): Promise<HeldObject[]> {
    const lists = await Promise.all(
      CHART_KINDS.map(async (type) => {
        const { items } = await client.list<KubeObject>(type, { namespace, signal });
        return items.map((object) => ({ type, object }));
      }),
    );
    return lists
      .flat()
      .filter(({ object }) => object.metadata.finalizers?.some((finalizer) => finalizer !== CLAIM_IN_USE));
  }

  async function removeFinalizers(
    type: ResourceType,
    { metadata }: KubeObject,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace, name = '', uid, finalizers } = metadata;
    logger.warn({ namespace, kind: type.kind, object: name, finalizers }, 'finalizers removed by force');
    const body = { metadata: { uid, finalizers: null } };
    try {
      await client.patch(type, { namespace, name }, { type: 'merge', body }, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async function untilGone({ metadata }: HostNamespace, signal: AbortSignal): Promise<void> {
    const { name = '', uid } = metadata;
    const watcher = createCollectionWatcher(client, logger);
    const namespaces = watcher.follow<HostNamespace>(NAMESPACES, { fieldSelector: `metadata.name=${name}` });
    const isGone = () => namespaces().every((namespace) => namespace.metadata.uid !== uid) || undefined;
    if (await watcher.until(isGone, { timeoutMs: GONE_TIMEOUT_MS, signal })) return;
    throw new UnavailableError({
      code: 'NamespaceNotEmpty',
      message: `The namespace ${name} is still there: ${whatHolds(namespaces()[0])}`,
    });
  }

  return {
    name: 'teardown',
    condition: 'TornDown',

    async isDone({ environment }, signal) {
      return (await readNamespace(client, hostPlaceOf(environment).namespace, signal)) === undefined;
    },

    async run({ environment }, signal) {
      const { namespace: name } = hostPlaceOf(environment);
      const message = `Namespace ${name} is gone`;
      const found = await readNamespace(client, name, signal);
      if (!found) return { message };
      assertOwn(found, environment, release);
      const { uid, deletionTimestamp } = found.metadata;
      if (!deletionTimestamp) {
        await releaseHeldFirst(environment, signal);
        await deleteUnlessGone(NAMESPACES, { name }, { uid, signal });
      }
      await Promise.all([untilGone(found, signal), endPodsMeanwhile(environment, signal)]);
      return { message };
    },
  };
}

/** What the namespace controller says it waits for: kinds, counts and finalizers. */
function whatHolds(namespace: HostNamespace | undefined): string {
  const conditions = (namespace?.status?.conditions ?? []).filter(({ status }) => status === 'True');
  const messages = conditions.map(({ message }) => message).filter((message) => message);
  return messages.join('; ') || 'no reason is known yet';
}
