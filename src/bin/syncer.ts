// Entry point of the syncer: `run` (the default) serves a virtual cluster; `certificates` makes what its control plane needs
// to start, and ends.
import { readFile } from 'node:fs/promises';
import { keepCertificates, readSyncerCertificates } from '../certificates/rotation.ts';
import { loadCertificatesConfig, loadSyncerConfig } from '../config/syncer.ts';
import { createKubeClient, type KubeClient } from '../kube/client.ts';
import { inClusterConnection, type KubeConnection } from '../kube/connection.ts';
import { createTransport } from '../kube/transport.ts';
import { systemClock } from '../lib/clock.ts';
import { InvalidInputError } from '../lib/errors.ts';
import { createLogger } from '../lib/logger.ts';
import { createMetrics } from '../lib/metrics.ts';
import { upstreamsOf } from '../syncer/dns/resolv-conf.ts';
import { createSyncer } from '../syncer/syncer.ts';

const PROCESS = { process: 'syncer' };
const VIRTUAL_API = 'https://127.0.0.1:6443';
const SOCKET_FOLDER = '/run/mayfly';
const PORTS = { dns: 53, status: 8081 };
/** The init step has the chart's own time-out behind it; this is for what hangs. */
const CERTIFICATES_TIMEOUT_MS = 120_000;

const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => ending.abort(new Error(`received ${signal}`)));
}

/** Only outside of a pod; there, the parser of YAML is never loaded. */
async function fromKubeconfig(file: string): Promise<KubeConnection> {
  const { connectionFromKubeconfig } = await import('../kube/kubeconfig.ts');
  return connectionFromKubeconfig(await readFile(file, 'utf8'));
}

function hostConnection(kubeconfigFile: string | undefined): Promise<KubeConnection> {
  return kubeconfigFile ? fromKubeconfig(kubeconfigFile) : inClusterConnection(process.env);
}

async function writeCertificates(
  config: ReturnType<typeof loadCertificatesConfig>,
  folder: string,
  client: KubeClient,
  signal: AbortSignal,
): Promise<void> {
  // Libraries for X.509 take megabytes that a running syncer does without, until something has to be renewed.
  const { ensureCertificates } = await import('../certificates/ensure.ts');
  const { writeCertificateFolders } = await import('../certificates/folders.ts');
  const files = await ensureCertificates({
    ...config,
    namespace: config.hostNamespace,
    client,
    clock: systemClock,
    signal: AbortSignal.any([signal, AbortSignal.timeout(CERTIFICATES_TIMEOUT_MS)]),
  });
  await writeCertificateFolders(folder, files);
}

async function makeCertificates(): Promise<void> {
  const config = loadCertificatesConfig(process.env);
  const client = createKubeClient(createTransport(await hostConnection(config.hostKubeconfigFile), PROCESS));
  await writeCertificates(config, config.certificatesFolder, client, ending.signal);
  await client.close();
}

async function run(): Promise<void> {
  const config = loadSyncerConfig(process.env);
  const logger = createLogger({ name: 'syncer', level: config.logLevel });
  const readCertificates = () => readSyncerCertificates(config.certificatesFolder);
  const certificates = await readCertificates();
  const { ca, syncer } = certificates;
  const virtualConnection = config.virtualKubeconfigFile
    ? await fromKubeconfig(config.virtualKubeconfigFile)
    : { server: VIRTUAL_API, ca, ...syncer };
  const host = createTransport(await hostConnection(config.hostKubeconfigFile), PROCESS);
  const virtual = createTransport(virtualConnection, PROCESS);
  const renew = config.allCertificatesFolder
    ? (signal: AbortSignal) =>
        writeCertificates(config, config.allCertificatesFolder ?? '', createKubeClient(host), signal)
    : undefined;
  await createSyncer({
    ...config,
    certificates,
    keepCertificates: (use, signal) =>
      keepCertificates(
        { initial: certificates, read: readCertificates, renew, use, clock: systemClock, logger },
        signal,
      ),
    host,
    virtual,
    upstreams: upstreamsOf(await readFile('/etc/resolv.conf', 'utf8'), config.podIps),
    socketFolder: SOCKET_FOLDER,
    ports: PORTS,
    logger,
    metrics: createMetrics(),
    clock: systemClock,
  }).run(ending.signal);
  await Promise.all([host.close(), virtual.close()]);
  logger.info('ended');
}

const [command = 'run'] = process.argv.slice(2);
const commands = new Map([
  ['run', run],
  ['certificates', makeCertificates],
]);
try {
  const start = commands.get(command);
  if (!start)
    throw new InvalidInputError({ code: 'UnknownCommand', message: `unknown command "${command}"` });
  await start();
} catch (error) {
  createLogger({ name: 'syncer', level: 'fatal' }).fatal({ err: error, command }, 'ended by an error');
  process.exit(1);
}
