// Tokens of virtual ServiceAccounts for host pods: requested from the virtual API, bound to the pod, kept in a Secret on the
// host that the pod mounts, and renewed in time.
//
// The Secret is written before its pod. Side by side would save one round trip of a few milliseconds, but a kubelet that
// sees the pod first (or a Secret that a quota refuses) fails the mount and waits half a second and longer: a race that we
// cannot win for certain is not run. Pods that mount no token have no Secret and wait for nothing.
//
// The first tokens name no node, for the pod has none yet. Once it is bound they are made anew, mostly before its kubelet
// mounts them.
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  keyOf,
  type ObjectKey,
  objectKey,
  PODS,
  parseKey,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../kube/resource.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { WorkQueue } from '../../kube/work-queue.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Companion } from '../engine/reconciler.ts';
import type { ClusterFacts } from '../kind.ts';
import {
  ANNOTATION_RENEW_AT,
  ANNOTATION_TOKENS_NODE,
  ANNOTATION_TOKENS_OF,
  ANNOTATION_UID,
  kindKey,
  placeLabels,
} from '../names.ts';
import type { Pod, Secret } from '../objects.ts';
import { type TokenProjection, tokenProjections, tokenSecretName } from './projections.ts';

/** As a kubelet does: after 80 % of its life, and no later than a day. */
const RENEW_AFTER_SHARE = 0.8;
const RENEW_AFTER_AT_MOST_MS = 24 * 3600_000;
/** So much of that time is taken off at random, lest all pods of a rollout renew at once. */
const JITTER_SHARE = 0.1;

interface TokenRequest extends KubeObject {
  spec: { audiences?: string[]; expirationSeconds: number; boundObjectRef: object };
  status?: { token: string; expirationTimestamp: string };
}

/** For so long a Secret that was just written need not be in the local copy. */
const SEEN_WITHIN_MS = 10_000;

export interface TokenKeeperDeps {
  facts: Pick<ClusterFacts, 'cluster' | 'hostNamespace' | 'owner'>;
  virtual: Pick<KubeClient, 'create'>;
  host: Pick<KubeClient, 'create' | 'update' | 'delete' | 'get'>;
  hostSecrets: ReadStore<Secret>;
  queue: WorkQueue;
  clock: Clock;
  /** A number in [0, 1). */
  random?: () => number;
}

export function createTokenKeeper(deps: TokenKeeperDeps): Companion {
  const { facts, virtual, host, hostSecrets, queue, clock, random = Math.random } = deps;
  /** Secrets that were written, by their pod, for which version of the pod, and what the local copy showed before. */
  const written = new Map<ObjectKey, { podUid?: string; replacedVersion?: string; untilMs: number }>();

  async function request(pod: Pod, { audience, expirationSeconds }: TokenProjection, signal: AbortSignal) {
    const { namespace, name, uid } = pod.metadata;
    const account = pod.spec?.serviceAccountName || 'default';
    const body: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { namespace, name: account },
      spec: {
        ...(audience ? { audiences: [audience] } : {}),
        expirationSeconds,
        boundObjectRef: { apiVersion: apiVersionOf(PODS), kind: PODS.kind, name, uid },
      },
    };
    const { status } = await virtual.create(SERVICE_ACCOUNTS, body, {
      signal,
      subresource: 'token',
      name: account,
    });
    const issuedMs = clock.nowMs();
    const lifeMs = Date.parse(status?.expirationTimestamp ?? '') - issuedMs;
    return { token: status?.token ?? '', renewMs: issuedMs + renewAfterMs(lifeMs) };
  }

  function renewAfterMs(lifeMs: number): number {
    const share = Math.min(lifeMs * RENEW_AFTER_SHARE, RENEW_AFTER_AT_MOST_MS);
    return share * (1 - JITTER_SHARE * random());
  }

  async function secretFor(
    pod: Pod,
    projections: readonly TokenProjection[],
    signal: AbortSignal,
  ): Promise<Secret> {
    const tokens = await Promise.all(projections.map((projection) => request(pod, projection, signal)));
    const renewMs = Math.min(...tokens.map((token) => token.renewMs));
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: tokenSecretName(facts.cluster, pod.metadata),
        namespace: facts.hostNamespace,
        labels: placeLabels(facts.cluster, pod.metadata.namespace),
        annotations: {
          [ANNOTATION_TOKENS_OF]: keyOf(pod),
          [ANNOTATION_UID]: pod.metadata.uid ?? '',
          [ANNOTATION_RENEW_AT]: new Date(renewMs).toISOString(),
          [ANNOTATION_TOKENS_NODE]: pod.spec?.nodeName ?? '',
        },
        ownerReferences: [facts.owner],
      },
      type: 'Opaque',
      data: Object.fromEntries(
        projections.map(({ key }, index) => [
          key,
          Buffer.from(tokens[index]?.token ?? '').toString('base64'),
        ]),
      ),
    };
  }

  /** When the tokens in `secret` are due, in milliseconds from now; at once when they are of another pod or node. */
  function dueInMs(secret: Secret | undefined, pod: Pod, projections: readonly TokenProjection[]): number {
    const annotations = secret?.metadata.annotations ?? {};
    const isComplete = projections.every(({ key }) => secret?.data?.[key] !== undefined);
    if (!isComplete || annotations[ANNOTATION_UID] !== pod.metadata.uid) return 0;
    if (annotations[ANNOTATION_TOKENS_NODE] !== (pod.spec?.nodeName ?? '')) return 0;
    return Date.parse(annotations[ANNOTATION_RENEW_AT] ?? '') - clock.nowMs() || 0;
  }

  /** While the local copy shows what it showed before the last write, that write has not arrived. */
  function unseenMs({ metadata }: Pod, current: Secret | undefined): number {
    const last = written.get(keyOf({ metadata }));
    const isBehind =
      last?.podUid === metadata.uid && last?.replacedVersion === current?.metadata.resourceVersion;
    return isBehind ? (last?.untilMs ?? 0) - clock.monotonicMs() : 0;
  }

  return {
    async ensure(object, signal) {
      const pod = object as Pod;
      const projections = tokenProjections(pod);
      if (projections.length === 0) return;
      const name = tokenSecretName(facts.cluster, pod.metadata);
      const current = hostSecrets.get(objectKey({ namespace: facts.hostNamespace, name }));
      const key = kindKey(PODS, keyOf(pod));
      const leftMs = Math.max(dueInMs(current, pod, projections), unseenMs(pod, current));
      if (leftMs > 0) return queue.addAfter(key, leftMs);
      const secret = await secretFor(pod, projections, signal);
      if (current) await host.update(SECRETS, secret, { signal });
      else await createOrReplace(secret, signal);
      written.set(keyOf(pod), {
        podUid: pod.metadata.uid,
        replacedVersion: current?.metadata.resourceVersion,
        untilMs: clock.monotonicMs() + SEEN_WITHIN_MS,
      });
      queue.addAfter(key, dueInMs(secret, pod, projections));
    },

    async remove(key, signal) {
      written.delete(key);
      const name = tokenSecretName(facts.cluster, parseKey(key));
      const secret = hostSecrets.get(objectKey({ namespace: facts.hostNamespace, name }));
      if (!secret || secret.metadata.annotations?.[ANNOTATION_TOKENS_OF] !== key) return;
      try {
        await host.delete(
          SECRETS,
          { namespace: facts.hostNamespace, name },
          { signal, preconditions: { uid: secret.metadata.uid } },
        );
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
    },
  };

  /** A Secret that the local copy does not show yet is our own of a moment ago, or of a pod of that name before. */
  async function createOrReplace(secret: Secret, signal: AbortSignal): Promise<void> {
    try {
      await host.create(SECRETS, secret, { signal });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const { namespace, name = '' } = secret.metadata;
      const found = await host.get<Secret>(SECRETS, { namespace, name }, { signal });
      if (
        found.metadata.annotations?.[ANNOTATION_TOKENS_OF] !==
        secret.metadata.annotations?.[ANNOTATION_TOKENS_OF]
      ) {
        throw error;
      }
      await host.update(SECRETS, secret, { signal });
    }
  }
}
