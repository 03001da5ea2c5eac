import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../lib/metrics.ts';
import { createStatusServer, type StatusServer } from './status-server.ts';

let server: StatusServer | undefined;
afterEach(() => server?.close());

async function ask(path: string, ready = true) {
  server = createStatusServer({
    metrics: createMetrics(),
    readiness: { synced: () => true, registered: () => ready },
  });
  const { port } = await server.listen(0);
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: await response.text() };
}

describe('the status of a syncer', () => {
  it('is alive', async () => expect(await ask('/healthz')).toEqual({ status: 200, body: 'ok\n' }));

  it('is ready when everything is', async () => {
    expect(await ask('/readyz')).toEqual({ status: 200, body: '[+]synced\n[+]registered\n' });
  });

  it('says what it is not ready for', async () => {
    expect(await ask('/readyz', false)).toEqual({ status: 503, body: '[+]synced\n[-]registered\n' });
  });

  it('shows its figures', async () =>
    expect((await ask('/metrics')).body).toContain('process_resident_memory_bytes'));

  it('knows nothing else', async () => expect((await ask('/')).status).toBe(404));
});
