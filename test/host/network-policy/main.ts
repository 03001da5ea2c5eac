// Entry point of the enforcer of NetworkPolicy: a unit of every node.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createKubeClient } from '../../../src/kube/client.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { run } from '../command.ts';
import { createAnnouncements } from './announcements.ts';
import { runEnforcer } from './enforcer.ts';

const string = { type: 'string', default: '' } as const;
const { values } = parseArgs({
  options: { server: string, etc: string, node: string, bridge: string, announcements: string },
});

const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => ending.abort(new Error(`received ${signal}`)));
}

const [ca, cert, key] = await Promise.all(
  ['ca.crt', 'network-policy.crt', 'network-policy.key'].map((name) =>
    readFile(join(values.etc, name), 'utf8'),
  ),
);
const client = createKubeClient(
  createTransport({ server: values.server, ca, cert, key }, { process: 'network-policy' }),
);
const logger = createLogger({ name: 'network-policy', level: 'info' });

await runEnforcer(
  {
    client,
    node: values.node,
    bridge: values.bridge,
    announcements: createAnnouncements(values.announcements),
    apply: async (rules) => {
      const startedMs = performance.now();
      await run('nft', ['-f', '-'], { input: rules, signal: ending.signal });
      logger.info(
        { tookMs: Math.round(performance.now() - startedMs), bytes: rules.length },
        'rules applied',
      );
    },
    logger,
  },
  ending.signal,
);
await client.close();
