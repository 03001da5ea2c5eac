// Joins two byte streams until both have ended: backpressure, half-close and errors pass from one to the other.
import type { Duplex } from 'node:stream';

/** How long one direction may stay open after the other has ended and nothing moves: its end may have been lost. */
const LINGER_MS = 30_000;

export interface RelayOptions {
  /** Aborting breaks both streams. */
  signal: AbortSignal;
  /** Default 30 s. */
  lingerMs?: number;
}

/** Resolves when both streams are closed. Whatever breaks one breaks the other. Never rejects. */
export async function relay(
  left: Duplex,
  right: Duplex,
  { signal, lingerMs = LINGER_MS }: RelayOptions,
): Promise<void> {
  const breakBoth = () => {
    left.destroy();
    right.destroy();
  };
  let linger: NodeJS.Timeout | undefined;
  const keepLingering = () => linger?.refresh();
  const oneEnded = () => {
    linger ??= setTimeout(breakBoth, lingerMs);
  };

  signal.addEventListener('abort', breakBoth, { once: true });
  if (signal.aborted) breakBoth();
  const closed = [left, right].map(
    (stream) =>
      new Promise<void>((resolve) => {
        if (stream.closed) return resolve();
        stream.once('close', resolve);
      }),
  );
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.on('error', breakBoth);
    from.on('end', oneEnded);
    from.on('data', keepLingering);
    from.on('close', () => {
      // After an end, nobody is left to take what the other still sends. It need not know: some wait for us to close.
      if (from.readableEnded) to.end(() => to.destroy());
      // Without one: broken, and what was not yet passed on never will be.
      else to.destroy();
    });
    from.pipe(to);
  }
  await Promise.all(closed);
  clearTimeout(linger);
  signal.removeEventListener('abort', breakBoth);
}
