// npm run host: a real Kubernetes cluster on this machine for tests, demo and benchmarks.
import { Command, InvalidArgumentError, Option } from 'commander';
import { externalKubeconfig } from './cluster.ts';
import { down, up } from './host.ts';
import { DEFAULT_INSTANCE, type Family, familiesOf } from './instance.ts';
import { loadArchive, loadFolder, loadProjectImage } from './load.ts';
import { createProgress } from './progress.ts';
import { type HostStatus, statusOf } from './status.ts';

const progress = createProgress(
  (line) => process.stderr.write(line),
  () => performance.now(),
);

const program = new Command('host')
  .description('A real Kubernetes cluster on this machine, or the one that MAYFLY_KUBECONFIG names')
  .option('--name <name>', 'name of the instance', DEFAULT_INSTANCE);

program
  .command('up')
  .description('start the cluster, building what is missing; does nothing when it is up')
  .option('--nodes <count>', 'number of nodes', wholeNumber, 1)
  .option('--audit', 'log every request to the API server', false)
  .option('--node-grace <seconds>', 'silence after which a node is NotReady', wholeNumber)
  .addOption(
    new Option('--dual-stack [first]', 'addresses of both families, of which this one comes first')
      .choices(['IPv4', 'IPv6'])
      .preset('IPv4'),
  )
  .action(async (options: { nodes: number; audit: boolean; nodeGrace?: number; dualStack?: Family }) => {
    const { name } = program.opts<{ name: string }>();
    const { nodes: nodeCount, nodeGrace: nodeGraceSeconds, audit, dualStack } = options;
    const families = familiesOf(dualStack);
    if (!externalKubeconfig()) await up({ name, nodeCount, families, audit, nodeGraceSeconds }, progress);
    print(await statusOf(name));
  });

program
  .command('down')
  .description('end the cluster and remove everything that it made')
  .action(async () => {
    if (externalKubeconfig()) throw new Error('MAYFLY_KUBECONFIG names a cluster that is not ours to end');
    await down(program.opts<{ name: string }>().name);
  });

program
  .command('status')
  .description('say whether the cluster is up; the exit code says it too')
  .action(async () => print(await statusOf(program.opts<{ name: string }>().name)));

program
  .command('load [image...]')
  .description(
    "load images: archives, or NAME=FOLDER to build a folder's Dockerfile; without any, the project's own",
  )
  .action(async (images: string[]) => {
    const { name } = program.opts<{ name: string }>();
    if (images.length === 0) await loadProjectImage(name, progress);
    for (const image of images) {
      const [reference, folder] = image.split('=');
      if (reference && folder) await loadFolder(name, reference, folder, progress);
      else await loadArchive(name, image, progress);
    }
  });

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('not a whole number');
  return Number(text);
}

function print(status: HostStatus): void {
  process.stdout.write(`${status.lines.join('\n')}\n`);
  if (!status.up) process.exitCode = 1;
}

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
