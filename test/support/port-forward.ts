// A port of this machine that leads to a Service of a cluster, by way of kubectl: for clusters whose addresses only they reach.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { ClusterAccess } from './cluster.ts';
import { kubectlPath } from './tools.ts';

const START_TIMEOUT_MS = 30_000;

export interface PortForwardOptions {
  cluster: Pick<ClusterAccess, 'kubeconfig'>;
  namespace: string;
  service: string;
  servicePort: number;
  /** On the loopback of this machine. */
  localPort: number;
  signal: AbortSignal;
}

/** Resolves once the port takes connections. Ends when disposed of. */
export async function forwardPort(options: PortForwardOptions): Promise<AsyncDisposable> {
  const { cluster, namespace, service, localPort, servicePort, signal } = options;
  const target = [`service/${service}`, `${localPort}:${servicePort}`, '--namespace', namespace];
  // In a group of its own: it is to outlive a Ctrl-C that its starter still has to clean up after.
  const child = spawn(await kubectlPath(), ['port-forward', ...target, '--kubeconfig', cluster.kubeconfig], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2_000);
  });
  const stop = async () => {
    child.kill();
    await ended;
  };
  const starting = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
  try {
    const failed = ended.then(() => Promise.reject(new Error(`kubectl port-forward ended: ${said.trim()}`)));
    await Promise.race([once(child.stdout, 'data', { signal: starting }), failed]);
  } catch (error) {
    await stop();
    throw error;
  }
  child.stdout.resume();
  return { [Symbol.asyncDispose]: stop };
}

/** A port of the loopback that nobody listens on: `preferred` if it is one. */
export async function freePort(preferred = 0): Promise<number> {
  const server = createServer();
  const listening = once(server, 'listening');
  server.listen(preferred, '127.0.0.1');
  try {
    await listening;
  } catch (error) {
    if (preferred === 0) throw error;
    return freePort();
  }
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a port has no number');
  return address.port;
}
