// The API server's time, by which environments expire: read from it again and again, and not believed while it jumps.
import type { KubeClient } from '../src/kube/client.ts';
import type { KubeObject, ResourceType } from '../src/kube/resource.ts';
import type { Clock } from '../src/lib/clock.ts';
import { UnavailableError } from '../src/lib/errors.ts';
import type { Logger } from '../src/lib/logger.ts';

/** `nowMs` is the API server's time as of the last reading, moved on by the monotonic clock of this machine. */
export interface ServerClock extends Clock {
  /** Reads the API server's time. */
  refresh(signal: AbortSignal): Promise<void>;
  /** False before the first reading, and for some time after a clock has jumped: nothing may expire by it then. */
  isTrusted(): boolean;
}

export interface ServerClockDeps {
  client: Pick<KubeClient, 'create'>;
  clock: Clock;
  logger: Logger;
}

/** Answers what the API server thinks of the caller; everybody may ask (role system:basic-user), and it has a time stamp. */
const SELF_SUBJECT_REVIEWS: ResourceType = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'selfsubjectreviews',
  kind: 'SelfSubjectReview',
  namespaced: false,
};

/** Time stamps have a precision of a second, and answers take their time. */
const TOLERANCE_MS = 30_000;
/** After a jump, for whoever set the clock wrong to set it right. */
const SETTLE_MS = 10 * 60_000;

export function createServerClock({ client, clock, logger }: ServerClockDeps): ServerClock {
  let base: { serverMs: number; atMs: number } | undefined;
  let distrustedUntilMs = Number.NEGATIVE_INFINITY;

  function nowMs(): number {
    return base ? base.serverMs + (clock.monotonicMs() - base.atMs) : clock.nowMs();
  }

  return {
    monotonicMs: clock.monotonicMs,
    sleep: clock.sleep,
    nowMs,

    async refresh(signal) {
      const review: KubeObject = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'SelfSubjectReview',
        metadata: {},
      };
      const { metadata } = await client.create(SELF_SUBJECT_REVIEWS, review, { signal });
      const serverMs = Date.parse(metadata.creationTimestamp ?? '');
      if (Number.isNaN(serverMs)) {
        throw new UnavailableError({
          code: 'NoServerTime',
          message: 'the API server does not tell its time',
        });
      }
      // The first reading is compared with this machine's clock, each further one with what the last one has become.
      const jumpMs = serverMs - nowMs();
      if (Math.abs(jumpMs) > TOLERANCE_MS) {
        distrustedUntilMs = clock.monotonicMs() + SETTLE_MS;
        logger.warn({ jumpMs }, 'a clock has jumped: nothing expires until it has been steady for a while');
      }
      base = { serverMs, atMs: clock.monotonicMs() };
    },

    isTrusted: () => base !== undefined && clock.monotonicMs() >= distrustedUntilMs,
  };
}
