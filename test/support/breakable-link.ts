// A TCP connection to a server that tests can break in the ways networks do.
import net, { type AddressInfo, type Socket } from 'node:net';

export interface BreakableLink {
  port: number;
  /** Resets every open connection; new ones work. */
  reset(): void;
  /** From now on nothing arrives any more, in either direction, on any connection, and nobody is told: a half-open link. */
  silence(): void;
  /** New connections are refused and open ones reset, as while a server is down. */
  refuse(): void;
  /** Connections work again; those that were silenced stay dead. */
  restore(): void;
  close(): Promise<void>;
}

export async function openBreakableLink(target: { host: string; port: number }): Promise<BreakableLink> {
  const pairs = new Set<[near: Socket, far: Socket]>();
  let state: 'open' | 'silent' | 'refusing' = 'open';
  const resetAll = () => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
  };

  const server = net.createServer((near) => {
    if (state === 'refusing') {
      near.resetAndDestroy();
      return;
    }
    const far = net.connect(target);
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        pairs.delete(pair);
        for (const each of pair) each.destroy();
      });
    }
    if (state === 'silent') return;
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    port: (server.address() as AddressInfo).port,
    reset: resetAll,
    silence() {
      state = 'silent';
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
    refuse() {
      state = 'refusing';
      resetAll();
    },
    restore() {
      state = 'open';
    },
    async close() {
      resetAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
