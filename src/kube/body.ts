// Reads the bodies of responses within bounds: whole, or as a stream of JSON values one a line.
import type { Readable } from 'node:stream';
import { TimeoutError, UnavailableError } from '../lib/errors.ts';
import { transferError } from './endpoint.ts';

export const RESPONSE_TOO_LARGE = 'ResponseTooLarge';

/**
 * The whole body as UTF-8 text.
 * @throws UnavailableError with the code `ResponseTooLarge` beyond `maxBytes`, else as the transport's `request`.
 */
export async function readText(body: Readable, maxBytes: number, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(`a response of more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw transferError(error, signal);
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

export interface JsonLinesOptions {
  maxLineBytes: number;
  /** Silence for this long ends the stream with a `TimeoutError`. */
  idleTimeoutMs: number;
  signal: AbortSignal;
}

const NEWLINE = 0x0a;

/**
 * The JSON values of a body, one a line, as they arrive. Chunks may be cut anywhere, inside a character too. Leaving the loop
 * early breaks the connection.
 * @throws UnavailableError when the connection breaks, a line is longer than `maxLineBytes`, is not JSON, or is not complete
 * at the end; TimeoutError after `idleTimeoutMs` of silence; the signal's reason when it aborts.
 */
export async function* jsonLines(
  body: Readable,
  { maxLineBytes, idleTimeoutMs, signal }: JsonLinesOptions,
): AsyncGenerator<unknown, void, undefined> {
  const idle = setTimeout(() => body.destroy(silence(idleTimeoutMs)), idleTimeoutMs);
  let partial: Buffer[] = [];
  let partialBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      idle.refresh();
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        const tail = chunk.subarray(start, end);
        start = end + 1;
        const line = partial.length > 0 ? Buffer.concat([...partial, tail]) : tail;
        partial = [];
        partialBytes = 0;
        if (line.length > maxLineBytes) throw tooLarge(`a line of more than ${maxLineBytes} bytes`);
        if (line.length > 0) yield parseLine(line);
      }
      if (start < chunk.length) {
        partial.push(chunk.subarray(start));
        partialBytes += chunk.length - start;
        if (partialBytes > maxLineBytes) throw tooLarge(`a line of more than ${maxLineBytes} bytes`);
      }
    }
    if (partialBytes > 0) throw malformed('the stream ended inside a line');
  } catch (error) {
    throw transferError(error, signal);
  } finally {
    clearTimeout(idle);
  }
}

function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch (cause) {
    throw malformed('a line of the stream is not JSON', cause);
  }
}

function tooLarge(what: string): UnavailableError {
  return new UnavailableError({ code: RESPONSE_TOO_LARGE, message: `the Kubernetes API sent ${what}` });
}

export function malformed(message: string, cause?: unknown): UnavailableError {
  return new UnavailableError({
    code: 'MalformedResponse',
    message: `the Kubernetes API sent what cannot be read: ${message}`,
    cause,
  });
}

function silence(idleTimeoutMs: number): TimeoutError {
  return new TimeoutError({
    code: 'WatchSilent',
    message: `the Kubernetes API has been silent for ${idleTimeoutMs} ms`,
  });
}
