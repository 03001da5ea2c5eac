// A client that speaks bytes, for what HTTP clients do not let one say: upgrades, and heads that are not nice.
import { connect, type Socket } from 'node:net';

export interface RawClient {
  socket: Socket;
  /** Everything that came until `marker` did, the marker included. */
  until(marker: string): Promise<string>;
  /** Everything that came until the server closed. */
  end(): Promise<string>;
}

export function rawClient(port: number, lines: readonly string[]): RawClient {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    received += chunk;
  });
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const take = (length: number) => {
    const taken = received.slice(0, length);
    received = received.slice(length);
    return taken;
  };
  return {
    socket,
    until: (marker) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const at = received.indexOf(marker);
          if (at < 0) return;
          socket.off('data', look).off('close', onClose);
          resolve(take(at + marker.length));
        };
        const onClose = () => reject(new Error(`closed before ${JSON.stringify(marker)}: ${received}`));
        socket.on('data', look).on('close', onClose);
        look();
      }),
    end: () =>
      new Promise((resolve, reject) => {
        socket.on('error', reject).once('close', () => resolve(take(received.length)));
        if (socket.closed) resolve(take(received.length));
      }),
  };
}
