import { type Answer, decode, encode, type Packet, TRUNCATED_RESPONSE } from 'dns-packet';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../lib/clock.ts';
import { createAnswerCache } from './answer-cache.ts';

function clockAt(startMs: number): Clock & { nowMsValue: number } {
  return {
    nowMsValue: startMs,
    nowMs() {
      return this.nowMsValue;
    },
    monotonicMs() {
      return this.nowMsValue;
    },
    sleep: async () => {},
  };
}

const questions = [{ type: 'A', name: 'example.com', class: 'IN' }] as const;
const query = encode({ type: 'query', id: 9, questions: [...questions] });
const response = (packet: Packet) =>
  encode({ type: 'response', id: 1, questions: [...questions], ...packet });
const a = (ttl: number): Answer => ({ type: 'A', name: 'example.com', ttl, data: '192.0.2.1' });
const soa = (ttl: number, minimum: number): Answer => ({
  type: 'SOA',
  name: 'com',
  ttl,
  data: { mname: 'a.example', rname: 'b.example', minimum },
});

function cached(packet: Packet, ageMs: number) {
  const clock = clockAt(0);
  const cache = createAnswerCache({ maxEntries: 10, clock });
  cache.set('key', response(packet));
  clock.nowMsValue = ageMs;
  const found = cache.get('key', query);
  return found && decode(found);
}

describe('an answer', () => {
  it('has what is left of its times to live, and the id of the query', () => {
    expect(cached({ answers: [a(30), a(20)] }, 5_000)).toMatchObject({
      id: 9,
      answers: [{ ttl: 25 }, { ttl: 15 }],
    });
  });

  it('is forgotten with its shortest time to live', () => {
    expect(cached({ answers: [a(30), a(20)] }, 20_000)).toBeUndefined();
  });

  it('is kept for a minute at most', () => {
    expect(cached({ answers: [a(86_400)] }, 59_000)).toBeDefined();
    expect(cached({ answers: [a(86_400)] }, 60_000)).toBeUndefined();
  });

  it('that denies a name is kept as long as the SOA says', () => {
    const denied: Packet = { flags: 3, authorities: [soa(30, 10)] };
    expect(cached(denied, 9_000)).toBeDefined();
    expect(cached(denied, 10_000)).toBeUndefined();
  });

  it.each<[string, Packet]>([
    ['a failure', { flags: 2, answers: [a(30)] }],
    ['cut short', { flags: TRUNCATED_RESPONSE, answers: [a(30)] }],
    ['a denial without an SOA', { flags: 3 }],
    ['of no time to live', { answers: [a(0)] }],
  ])('is not kept when it is %s', (_, packet) => expect(cached(packet, 0)).toBeUndefined());
});

it('forgets what was asked for least recently when it is full', () => {
  const cache = createAnswerCache({ maxEntries: 2, clock: clockAt(0) });
  cache.set('one', response({ answers: [a(30)] }));
  cache.set('two', response({ answers: [a(30)] }));
  cache.get('one', query);
  cache.set('three', response({ answers: [a(30)] }));
  expect([cache.get('one', query), cache.get('two', query), cache.get('three', query)].map(Boolean)).toEqual([
    true,
    false,
    true,
  ]);
  expect(cache.size).toBe(2);
});

it('refuses a response whose records do not fit into it', () => {
  const cache = createAnswerCache({ maxEntries: 2, clock: clockAt(0) });
  const whole = response({ answers: [a(30)] });
  expect(() => cache.set('key', whole.subarray(0, whole.length - 3))).toThrow(RangeError);
});
