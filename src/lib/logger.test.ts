import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';

const CANARY = 'canary-credential';

function capture() {
  const lines: string[] = [];
  const logger = createLogger({ name: 'server', level: 'info' }, { write: (line) => void lines.push(line) });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') };
}

describe('logger', () => {
  it('names the process, the level in words and the time in ISO 8601', () => {
    const { logger, last } = capture();
    logger.info({ environment: 'pr-1' }, 'ready');
    expect(last()).toMatchObject({ name: 'server', level: 'info', environment: 'pr-1', msg: 'ready' });
    expect(new Date(last().time).toISOString()).toBe(last().time);
  });

  it.each([
    ['at the top', { token: CANARY }],
    [
      'in request headers',
      { req: { headers: { Authorization: `Bearer ${CANARY}`, 'set-cookie': [CANARY] } } },
    ],
    [
      'under a longer name',
      { github: { webhookSecret: CANARY, accessToken: CANARY, 'private-key': CANARY } },
    ],
    ['inside lists', { users: [{ name: 'a', user: { password: CANARY } }] }],
    ['as a whole object', { kubeconfig: { users: [{ user: { 'client-key-data': CANARY } }] } }],
    ['behind toJSON', { config: { toJSON: () => ({ token: CANARY }) } }],
    ['very deep', { a: { b: { c: { d: { e: { f: { g: { h: { i: { token: CANARY } } } } } } } } } }],
  ])('keeps credentials out of lines: %s', (_, fields) => {
    const { logger, lines } = capture();
    logger.info(fields, 'something happened');
    logger.child(fields).info('something else happened');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).not.toContain(CANARY);
  });

  it('keeps credentials out of the fields of errors and still tells what happened', () => {
    const { logger, last, lines } = capture();
    const request = { url: '/repos', headers: { authorization: `token ${CANARY}` } };
    logger.error({ err: Object.assign(new Error('it broke'), { status: 500, request }) }, 'failed');
    expect(lines[0]).not.toContain(CANARY);
    expect(last().err).toMatchObject({ message: 'it broke', status: 500, request: { url: '/repos' } });
    expect(last().err.stack).toContain('logger.test.ts');
  });

  it('leaves what only looks like a credential', () => {
    const { logger, last } = capture();
    logger.info({ secretName: 'app', tokens: 3, token: undefined });
    expect(last()).toMatchObject({ secretName: 'app', tokens: 3 });
    expect(last()).not.toHaveProperty('token');
  });
});
