import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { relay } from './relay.ts';

const never = new AbortController().signal;

describe('relay', () => {
  it('passes bytes and ends both ways, then resolves', async () => {
    const [left, innerLeft] = duplexPair();
    const [right, innerRight] = duplexPair();
    const done = relay(innerLeft, innerRight, { signal: never });
    left.end('ping');
    right.end('pong');
    expect([String(await once(right, 'data')), String(await once(left, 'data'))]).toEqual(['ping', 'pong']);
    await done;
  });

  it('breaks the other stream when one breaks', async () => {
    const [, innerLeft] = duplexPair();
    const [, innerRight] = duplexPair();
    const done = relay(innerLeft, innerRight, { signal: never });
    innerLeft.destroy(new Error('reset'));
    await done;
    expect(innerRight.destroyed).toBe(true);
  });

  it('breaks what stays half open with nothing moving', async () => {
    const [left, innerLeft] = duplexPair();
    const [right, innerRight] = duplexPair();
    const done = relay(innerLeft, innerRight, { signal: never, lingerMs: 20 });
    left.end();
    right.resume();
    await done;
    expect([innerLeft.destroyed, innerRight.destroyed]).toEqual([true, true]);
  });

  it('is over once one side is closed for good and the other has got what it sent (F26)', async () => {
    const [left, innerLeft] = duplexPair();
    const [right, innerRight] = duplexPair({ allowHalfOpen: false });
    const done = relay(innerLeft, innerRight, { signal: never });
    let received = '';
    left.on('data', (chunk) => {
      received += chunk;
    });
    right.resume().end('last words');
    await done;
    expect(received).toBe('last words');
    expect(innerLeft.destroyed).toBe(true);
  });

  it('breaks both at once when it was aborted before it began', async () => {
    const [, innerLeft] = duplexPair();
    const [, innerRight] = duplexPair();
    await relay(innerLeft, innerRight, { signal: AbortSignal.abort() });
    expect([innerLeft.destroyed, innerRight.destroyed]).toEqual([true, true]);
  });
});
