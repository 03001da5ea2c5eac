// `npm run bench -- NAME`: measures, prints medians and spreads, asserts nothing.
import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { externalKubeconfig } from '../host/cluster.ts';
import { up } from '../host/host.ts';
import { DEFAULT_INSTANCE } from '../host/instance.ts';
import { loadProjectImage } from '../host/load.ts';
import { createProgress } from '../host/progress.ts';
import { benchReady } from './ready.ts';
import type { Figures } from './statistics.ts';
import { benchSync, type SyncOptions } from './sync/sync.ts';

const program = new Command('bench').description('What the project costs, on the host cluster of tests');

program
  .command('ready')
  .description('how long until a cold environment is of use')
  .option('--runs <count>', 'runs that count', wholeNumber, 10)
  .option('--json <file>', 'write the figures as one flat object')
  .action(async ({ runs, json }: { runs: number; json?: string }) => {
    await setUp();
    await write(json, await benchReady({ runs }));
  });

program
  .command('sync')
  .description(
    'how fast and at what cost a syncer keeps two clusters alike; of our own chart, or of any other virtual cluster',
  )
  .option('--virtual <kubeconfig>', 'of another virtual cluster than our own')
  .option('--host <kubeconfig>', 'of its host; default: the host cluster of tests')
  .option('--host-namespace <name>', 'where its copies are')
  .option('--pattern <regex>', 'of the names of copies; its group `name` is the name inside')
  .option(
    '--syncer <name>',
    "the syncer's container in the host namespace, or its program when the container runs several",
    'syncer',
  )
  .option('--idle-seconds <count>', 'how long to look at it doing nothing', wholeNumber, 60)
  .option('--json <file>', 'write the figures as one flat object')
  .action(async ({ json, ...options }: SyncOptions & { json?: string }) => {
    if (options.virtual === undefined) await setUp();
    await write(json, await benchSync(options));
  });

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('not a whole number from 1 to 9999');
  return Number(text);
}

/** A host cluster with the project as it stands in it, left up for the next run; one that the environment names is as it is. */
async function setUp(): Promise<void> {
  if (externalKubeconfig()) return;
  const progress = createProgress(
    (line) => process.stderr.write(line),
    () => performance.now(),
  );
  await up({ name: DEFAULT_INSTANCE, nodeCount: 1, audit: false }, progress);
  await loadProjectImage(DEFAULT_INSTANCE, progress);
}

async function write(file: string | undefined, figures: Figures): Promise<void> {
  if (file !== undefined) await writeFile(file, `${JSON.stringify(figures, undefined, 2)}\n`);
}

await program.parseAsync();
