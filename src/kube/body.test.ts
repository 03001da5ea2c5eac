import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { TimeoutError, UnavailableError } from '../lib/errors.ts';
import { type JsonLinesOptions, jsonLines, readText } from './body.ts';

const never = () => new AbortController().signal;

async function linesOf(chunks: Iterable<Buffer> | Readable, options: Partial<JsonLinesOptions> = {}) {
  const body = chunks instanceof Readable ? chunks : Readable.from(chunks, { objectMode: false });
  const limits = { maxLineBytes: 1_000, idleTimeoutMs: 5_000, signal: never(), ...options };
  const values: unknown[] = [];
  for await (const value of jsonLines(body, limits)) values.push(value);
  return values;
}

describe('a stream of JSON lines', () => {
  const events = [{ name: 'köln' }, { name: '東京' }, { name: '🦋🦋' }, {}];
  const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));

  it.each([1, 2, 3, 5, 7, 16, 1_000])('is the same however it is cut: chunks of %i bytes', async (size) => {
    const chunks = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    expect(await linesOf(chunks)).toEqual(events);
  });

  it('skips empty lines', async () => {
    expect(await linesOf([Buffer.from('\n{"a":1}\n\n\n{"b":2}\n')])).toEqual([{ a: 1 }, { b: 2 }]);
  });

  it.each([
    ['in one chunk', [`"${'x'.repeat(1_000)}"\n`]],
    ['over many chunks without an end', Array.from({ length: 20 }, () => 'x'.repeat(100))],
  ])('ends with an error at a line that is too long, %s', async (_, chunks) => {
    await expect(linesOf(chunks.map((chunk) => Buffer.from(chunk)))).rejects.toMatchObject({
      code: 'ResponseTooLarge',
    });
  });

  it.each([
    ['is not JSON', '{"a":1}\nnonsense\n'],
    ['is cut off at the end', '{"a":1}\n{"b":'],
  ])('ends with an error when a line %s, after the lines before it', async (_, text) => {
    const seen: unknown[] = [];
    const read = async () => {
      const limits = { maxLineBytes: 1_000, idleTimeoutMs: 5_000, signal: never() };
      const body = Readable.from([Buffer.from(text)], { objectMode: false });
      for await (const value of jsonLines(body, limits)) seen.push(value);
    };
    await expect(read()).rejects.toMatchObject({ code: 'MalformedResponse' });
    expect(seen).toEqual([{ a: 1 }]);
  });

  it('ends with a time-out when nothing arrives for long', async () => {
    const body = new Readable({ read() {} });
    body.push('{"a":1}\n');
    await expect(linesOf(body, { idleTimeoutMs: 20 })).rejects.toBeInstanceOf(TimeoutError);
    expect(body.destroyed).toBe(true);
  });

  it('goes on as long as something arrives in time', async () => {
    const body = new Readable({ read() {} });
    const timer = setInterval(() => body.push('{}\n'), 10);
    setTimeout(() => body.push(null), 150);
    try {
      expect((await linesOf(body, { idleTimeoutMs: 80 })).length).toBeGreaterThan(3);
    } finally {
      clearInterval(timer);
    }
  });

  it('breaks the connection when the reader leaves', async () => {
    const body = new Readable({ read() {} });
    body.push('{"a":1}\n{"b":2}\n');
    for await (const value of jsonLines(body, { maxLineBytes: 100, idleTimeoutMs: 5_000, signal: never() })) {
      expect(value).toEqual({ a: 1 });
      break;
    }
    expect(body.destroyed).toBe(true);
  });
});

describe('a whole body', () => {
  it('is text, characters cut between chunks included', async () => {
    const bytes = Buffer.from('köln');
    const body = Readable.from([bytes.subarray(0, 2), bytes.subarray(2)], { objectMode: false });
    expect(await readText(body, 100, never())).toBe('köln');
  });

  it('is refused when it is too large, and no more of it is read', async () => {
    let produced = 0;
    const endless = new Readable({
      read() {
        produced += 1_000;
        this.push(Buffer.alloc(1_000));
      },
    });
    await expect(readText(endless, 10_000, never())).rejects.toMatchObject({ code: 'ResponseTooLarge' });
    expect(endless.destroyed).toBe(true);
    expect(produced).toBeLessThan(200_000);
  });

  it('fails as unavailable when the connection breaks', async () => {
    const body = new Readable({ read() {} });
    body.push('part');
    setImmediate(() => body.destroy(new Error('ECONNRESET')));
    await expect(readText(body, 100, never())).rejects.toBeInstanceOf(UnavailableError);
  });
});
