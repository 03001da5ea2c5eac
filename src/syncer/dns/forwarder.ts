// Questions about the outside world: to the upstream resolvers, one after the other, within limits, with a cache.
import { randomInt } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { UnavailableError } from '../../lib/errors.ts';
import { createAnswerCache } from './answer-cache.ts';
import type { Upstream } from './resolv-conf.ts';
import { exchange, type Protocol } from './upstream-exchange.ts';
import { addressedTo, codeOf } from './wire.ts';

export interface ForwarderDeps {
  upstreams: readonly Upstream[];
  clock: Clock;
  /** How long one upstream has to answer. Default 2 s. */
  timeoutMs?: number;
}

export interface Forwarder {
  /** No upstream at all: every question about the outside is refused. */
  readonly empty: boolean;
  /**
   * The answer to `query`, with its id. `cacheKey` tells questions apart that may be answered differently.
   * @throws UnavailableError when no upstream answers, or too many questions are under way.
   */
  forward(query: Buffer, cacheKey: string, protocol: Protocol, signal: AbortSignal): Promise<Buffer>;
}

const MAX_IN_FLIGHT = 256;
/** All upstreams together: a stub resolver waits for five seconds (resolv.conf(5)). */
const TOTAL_TIMEOUT_MS = 4500;
const MAX_CACHED = 2048;
const CODE_SERVFAIL = 2;
const CODE_REFUSED = 5;

export function createForwarder({ upstreams, clock, timeoutMs = 2000 }: ForwarderDeps): Forwarder {
  const cache = createAnswerCache({ maxEntries: MAX_CACHED, clock });
  let inFlight = 0;

  async function ask(query: Buffer, protocol: Protocol, signal: AbortSignal): Promise<Buffer> {
    let failure: unknown;
    let refusal: Buffer | undefined;
    const total = AbortSignal.timeout(TOTAL_TIMEOUT_MS);
    for (const upstream of upstreams) {
      if (total.aborted) break;
      try {
        const limit = AbortSignal.any([signal, total, AbortSignal.timeout(timeoutMs)]);
        const response = await exchange(protocol, upstream, query, limit);
        const code = codeOf(response);
        if (code !== CODE_SERVFAIL && code !== CODE_REFUSED) return response;
        refusal = response;
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    if (refusal) return refusal;
    throw new UnavailableError({
      code: 'NoResolverAnswers',
      message: 'no upstream resolver answers',
      cause: failure,
    });
  }

  return {
    empty: upstreams.length === 0,
    async forward(query, cacheKey, protocol, signal) {
      const cached = cache.get(cacheKey, query);
      if (cached) return cached;
      if (inFlight >= MAX_IN_FLIGHT) {
        throw new UnavailableError({ code: 'TooManyQueries', message: 'too many DNS queries are under way' });
      }
      inFlight++;
      try {
        const asked = Buffer.from(query);
        asked.writeUInt16BE(randomInt(0x10000), 0);
        const response = await ask(asked, protocol, signal);
        cache.set(cacheKey, response);
        return addressedTo(query, response);
      } finally {
        inFlight--;
      }
    },
  };
}
