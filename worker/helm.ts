// Helm as a subprocess: rendering charts and installing them, without plugins, registries or anything of the worker's own.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidInputError, UnavailableError } from '../src/lib/errors.ts';
import { runProgram } from './subprocess.ts';

export interface Helm {
  /**
   * The objects of a chart as YAML.
   * @throws InvalidInputError `ChartNotRendered` with what Helm says.
   */
  template(options: {
    release: string;
    namespace: string;
    chart: string;
    valueFiles: readonly string[];
    /** For Helm's own files. */
    folder: string;
    signal: AbortSignal;
  }): Promise<string>;
  /**
   * `helm upgrade --install`, which does not wait for what it made but for hooks.
   * @throws InvalidInputError `HelmFailed` with what Helm says.
   */
  upgrade(options: {
    release: string;
    namespace: string;
    chart: string;
    valueFiles: readonly string[];
    kubeconfig: string;
    folder: string;
    timeoutMs: number;
    signal: AbortSignal;
  }): Promise<void>;
}

const TEMPLATE_TIMEOUT_MS = 30_000;
/** What client-go says of an API server that is away or does not know the credential any more. */
const UNREACHABLE =
  /cluster unreachable|connection refused|connection reset|i\/o timeout|TLS handshake timeout|unexpected EOF|the server is currently unable|Unauthorized|must be logged in/i;
/** Beyond Helm's own limit for hooks: for everything else that it does. */
const UPGRADE_MARGIN_MS = 60_000;

export function createHelm({ program }: { program: string }): Helm {
  async function run(
    args: readonly string[],
    { folder, timeoutMs, signal }: { folder: string; timeoutMs: number; signal: AbortSignal },
    code: string,
  ): Promise<string> {
    const result = await runProgram({
      program,
      args,
      env: await ownEnvironment(folder),
      folder,
      timeoutMs,
      signal,
    });
    if (result.exitCode === 0) return result.stdout;
    const message = helmMessage(result.stderr);
    if (UNREACHABLE.test(message)) throw new UnavailableError({ code: 'ClusterUnreachable', message });
    throw new InvalidInputError({ code, message });
  }

  return {
    template({ release, namespace, chart, valueFiles, folder, signal }) {
      const args = ['template', release, chart, '--namespace', namespace, ...valueArgs(valueFiles)];
      return run(args, { folder, timeoutMs: TEMPLATE_TIMEOUT_MS, signal }, 'ChartNotRendered');
    },

    async upgrade({ release, namespace, chart, valueFiles, kubeconfig, folder, timeoutMs, signal }) {
      const args = [
        ...['upgrade', release, chart, '--install', '--namespace', namespace, '--create-namespace'],
        ...['--kubeconfig', kubeconfig, '--timeout', `${Math.ceil(timeoutMs / 1000)}s`],
        ...['--history-max', '3', '--server-side', 'true', '--force-conflicts'],
        ...valueArgs(valueFiles),
      ];
      await run(args, { folder, timeoutMs: timeoutMs + UPGRADE_MARGIN_MS, signal }, 'HelmFailed');
    },
  };
}

function valueArgs(files: readonly string[]): string[] {
  return files.flatMap((file) => ['--values', file]);
}

/** Helm finds plugins, registries' credentials and caches through these; all of them are empty here. */
async function ownEnvironment(folder: string): Promise<Record<string, string>> {
  const home = join(folder, 'helm-home');
  const folders = { data: join(home, 'data'), config: join(home, 'config'), cache: join(home, 'cache') };
  await Promise.all(Object.values(folders).map((path) => mkdir(path, { recursive: true })));
  return {
    HOME: home,
    HELM_DATA_HOME: folders.data,
    HELM_CONFIG_HOME: folders.config,
    HELM_CACHE_HOME: folders.cache,
    HELM_PLUGINS: join(folders.data, 'plugins'),
    TMPDIR: folders.cache,
    PATH: '/nonexistent',
    // Spares each run a delay when the API server limits discovery.
    HELM_BURST_LIMIT: '1000',
    HELM_QPS: '500',
  };
}

/** What Helm says, without its log lines and the word it begins with. */
function helmMessage(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => !/^(level=|time=|WARNING: )/.test(line.trim()));
  const text = lines
    .join('\n')
    .trim()
    .replace(/^Error: /, '');
  return text === '' ? 'helm failed without saying why' : text;
}
