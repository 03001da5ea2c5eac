// One run at a time per test host, or of what test hosts share. The lock is an abstract socket: the kernel releases it with its holder, however that ends.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const RETRY_PAUSE_MS = 200;

/** Runs `action` while holding the lock `name`. Rejects when another process holds it longer than `timeoutMs`. */
export async function withLock<T>(name: string, timeoutMs: number, action: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  const server = createServer((socket) => socket.destroy());
  while (!(await listen(server, `\0mayfly-host-${name}`))) {
    if (performance.now() > deadlineMs) throw new Error(`another run holds ${name}`);
    await delay(RETRY_PAUSE_MS);
  }
  try {
    return await action();
  } finally {
    server.close();
    await once(server, 'close');
  }
}

async function listen(server: ReturnType<typeof createServer>, path: string): Promise<boolean> {
  try {
    server.listen(path);
    await once(server, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}
