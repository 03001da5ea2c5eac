// Answers of the upstream resolvers, for as long as they may be kept and within a bound.
import type { Clock } from '../../lib/clock.ts';
import { addressedTo, codeOf, hasAnswers, isTruncated, recordsOf, type WireRecord } from './wire.ts';

export interface AnswerCache {
  /** The remembered answer to the question of `query`, with its id and what is left of the times to live. */
  get(key: string, query: Buffer): Buffer | undefined;
  /** @throws RangeError on a malformed response. */
  set(key: string, response: Buffer): void;
  readonly size: number;
}

interface Entry {
  response: Buffer;
  records: WireRecord[];
  storedMs: number;
  expiresMs: number;
}

/** Longer than this nothing is kept: what is looked up from a preview may change under its users' eyes. */
const MAX_TTL_SECONDS = 60;
const CODE_NOERROR = 0;
const CODE_NXDOMAIN = 3;
const TYPE_SOA = 6;

export function createAnswerCache({ maxEntries, clock }: { maxEntries: number; clock: Clock }): AnswerCache {
  const entries = new Map<string, Entry>();
  return {
    get(key, query) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      const nowMs = clock.monotonicMs();
      entries.delete(key);
      if (nowMs >= entry.expiresMs) return undefined;
      // Asked for last, dropped last.
      entries.set(key, entry);
      const response = addressedTo(query, entry.response);
      const ageSeconds = Math.floor((nowMs - entry.storedMs) / 1000);
      for (const { ttlOffset } of entry.records) {
        response.writeUInt32BE(Math.max(0, response.readUInt32BE(ttlOffset) - ageSeconds), ttlOffset);
      }
      return response;
    },
    set(key, response) {
      const records = recordsOf(response);
      const ttlSeconds = Math.min(MAX_TTL_SECONDS, lifetimeSeconds(response, records));
      if (ttlSeconds <= 0) return;
      const storedMs = clock.monotonicMs();
      entries.delete(key);
      entries.set(key, { response, records, storedMs, expiresMs: storedMs + ttlSeconds * 1000 });
      for (const oldest of entries.keys()) {
        if (entries.size <= maxEntries) break;
        entries.delete(oldest);
      }
    },
    get size() {
      return entries.size;
    },
  };
}

/** How long an answer may be kept, the absence of records by what the SOA says (RFC 2308); 0: not at all. */
function lifetimeSeconds(response: Buffer, records: readonly WireRecord[]): number {
  const code = codeOf(response);
  if (isTruncated(response) || (code !== CODE_NOERROR && code !== CODE_NXDOMAIN)) return 0;
  const shortest = Math.min(...records.map(({ ttlOffset }) => response.readUInt32BE(ttlOffset)));
  if (code === CODE_NOERROR && hasAnswers(response)) return shortest;
  // The minimum is the last field of the SOA's data.
  const soa = records.find(({ type }) => type === TYPE_SOA);
  return soa ? Math.min(shortest, response.readUInt32BE(soa.end - 4)) : 0;
}
