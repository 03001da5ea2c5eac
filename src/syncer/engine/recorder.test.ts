import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../../test/support/manual-clock.ts';
import { createMemoryApiServer } from '../../../test/support/memory-api-server.ts';
import { EVENTS, NODES, PODS } from '../../kube/resource.ts';
import { UnavailableError } from '../../lib/errors.ts';
import type { Event } from '../objects.ts';
import { createRecorder } from './recorder.ts';

const { signal } = new AbortController();
const pod = { metadata: { namespace: 'default', name: 'web', uid: 'u' } };

function recorder() {
  const server = createMemoryApiServer();
  const clock = createManualClock();
  const events = () => server.list<Event>(EVENTS);
  return {
    server,
    clock,
    events,
    recorder: createRecorder({ client: server.client, clock, logger: pino({ level: 'silent' }) }),
  };
}

describe('warnings', () => {
  it('are events on the object they are about', async () => {
    const { events, recorder: record } = recorder();
    await record.warn(PODS, pod, { reason: 'SyncRefused', message: 'no' }, signal);
    await record.warn(
      NODES,
      { metadata: { name: 'n', uid: 'n' } },
      { reason: 'Other', message: 'no' },
      signal,
    );
    expect(events()).toMatchObject([
      {
        metadata: { namespace: 'default' },
        involvedObject: { kind: 'Pod', name: 'web', uid: 'u' },
        type: 'Warning',
        reason: 'SyncRefused',
      },
      { metadata: { namespace: 'default' }, involvedObject: { kind: 'Node', name: 'n' } },
    ]);
  });

  it('are told once, until they change or what failed has recovered', async () => {
    const { events, recorder: record } = recorder();
    const warn = (message: string, sameAs?: string) =>
      record.warn(PODS, pod, { reason: 'SyncFailed', message, sameAs }, signal);
    await warn('quota: used 9', 'Forbidden');
    await warn('quota: used 10', 'Forbidden');
    expect(events()).toHaveLength(1);
    record.recovered(pod, 'SyncFailed');
    await warn('quota: used 10', 'Forbidden');
    await warn('invalid', 'Invalid');
    expect(events()).toHaveLength(3);
  });

  it('of one reason are each told once, however often they come in turn', async () => {
    const { events, recorder: record } = recorder();
    for (const message of ['first', 'second', 'first', 'second']) {
      await record.warn(PODS, pod, { reason: 'TolerationDropped', message }, signal);
    }
    expect(events().map(({ message }) => message)).toEqual(['first', 'second']);
  });

  it('are so many and no more (T15)', async () => {
    const { events, clock, recorder: record } = recorder();
    const warn = (uid: string) =>
      record.warn(PODS, { metadata: { ...pod.metadata, uid } }, { reason: 'R', message: 'm' }, signal);
    for (let index = 0; index < 300; index++) await warn(`u${index}`);
    expect(events()).toHaveLength(200);
    await clock.advance(1_000);
    for (let index = 0; index < 300; index++) await warn(`v${index}`);
    expect(events()).toHaveLength(220);
  });

  it('never keep what they are about from going on', async () => {
    const { server, recorder: record } = recorder();
    server.intercept = () => {
      throw new UnavailableError({ code: 'Down', message: 'down' });
    };
    await expect(record.warn(PODS, pod, { reason: 'R', message: 'm' }, signal)).resolves.toBeUndefined();
  });
});
