// The virtual cluster's control plane: charts/virtual-cluster, rendered by Helm and applied with certificates made beforehand.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ensureCertificates } from '../../src/certificates/ensure.ts';
import { certificatesSecretName } from '../../src/certificates/secrets.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { CONFIG_MAPS, type KubeObject, NAMESPACES, SERVICES } from '../../src/kube/resource.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { onceGranted } from '../grants.ts';
import type { Helm } from '../helm.ts';
import { chartKindOf, SERVICE_CIDRS, STATEFUL_SETS } from '../host-kinds.ts';
import { CONTROL_PLANE_ANNOTATION, hostPlaceOf, readNamespace } from '../host-namespace.ts';
import type { Step } from '../step.ts';

export interface ControlPlaneStepDeps {
  client: KubeClient;
  clock: Clock;
  helm: Helm;
  chart: string;
  /** The operator's values, on top of the step's own but for those without which it would not work. */
  valuesFile?: string | undefined;
  workFolder: string;
  /** Whose pods may reach the virtual API server and the previews, besides the cluster's own. */
  serviceNamespace: string;
  isolationProfile: string;
}

/** An environment lives shorter than this; the syncer renews what it uses itself. */
const CERTIFICATE_LIFETIME_MS = 365 * 24 * 3_600_000;
const APPLIED = 'applied';

export function createControlPlaneStep(deps: ControlPlaneStepDeps): Step {
  const { client, clock, helm } = deps;

  async function render(
    { cluster, namespace }: { cluster: string; namespace: string },
    kubernetesVersion: string,
    signal: AbortSignal,
  ): Promise<KubeObject[]> {
    const folder = await mkdtemp(join(deps.workFolder, 'control-plane-'));
    try {
      const defaults = join(folder, 'defaults.json');
      const fixed = join(folder, 'fixed.json');
      await writeFile(defaults, JSON.stringify(await defaultValues(deps, signal)));
      await writeFile(
        fixed,
        JSON.stringify({
          kubernetes: { version: kubernetesVersion },
          certificates: { secretName: certificatesSecretName(cluster) },
        }),
      );
      const valueFiles = [defaults, ...(deps.valuesFile ? [deps.valuesFile] : []), fixed];
      const rendered = await helm.template({
        release: cluster,
        namespace,
        chart: deps.chart,
        valueFiles,
        folder,
        signal,
      });
      return parseAllDocuments(rendered)
        .map((document) => document.toJS() as KubeObject | null)
        .filter((object) => object !== null);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async function apply(objects: readonly KubeObject[], signal: AbortSignal): Promise<void> {
    await Promise.all(
      objects.map((object) =>
        onceGranted(
          () =>
            client.apply(chartKindOf(object), object, { fieldManager: 'mayfly-worker', force: true, signal }),
          { clock, signal },
        ),
      ),
    );
  }

  return {
    name: 'control-plane',
    condition: 'Provisioned',

    /** What was applied stays as it is, also when chart or values change: a new pod would have an empty store. */
    async isDone({ environment }, signal) {
      const { cluster, namespace } = hostPlaceOf(environment);
      const found = await readNamespace(client, namespace, signal);
      if (found?.metadata.annotations?.[CONTROL_PLANE_ANNOTATION] !== APPLIED) return false;
      try {
        await client.get(STATEFUL_SETS, { namespace, name: cluster }, { signal });
        return true;
      } catch (error) {
        if (isNotFound(error)) return false;
        throw error;
      }
    },

    async run({ environment }, signal) {
      const place = hostPlaceOf(environment);
      const { cluster, namespace } = place;
      const objects = await render(place, environment.spec.kubernetesVersion, signal);
      const types = new Map(objects.map((object) => [object, chartKindOf(object)]));
      // The certificates hold the Service's address and are owned by the anchor; the pod mounts them.
      const first = objects.filter(
        (object) => types.get(object) === SERVICES || types.get(object) === CONFIG_MAPS,
      );
      const last = objects.filter((object) => types.get(object) === STATEFUL_SETS);
      const others = objects.filter((object) => !first.includes(object) && !last.includes(object));
      await apply(first, signal);
      await Promise.all([
        apply(others, signal),
        ensureCertificates({
          client,
          clock,
          cluster,
          namespace,
          extraNames: [],
          lifetimeMs: CERTIFICATE_LIFETIME_MS,
          signal,
        }),
      ]);
      await apply(last, signal);
      const metadata = { annotations: { [CONTROL_PLANE_ANNOTATION]: APPLIED } };
      await client.patch(NAMESPACES, { name: namespace }, { type: 'merge', body: { metadata } }, { signal });
      return { message: `Control plane of Kubernetes ${environment.spec.kubernetesVersion} was made` };
    },
  };
}

async function defaultValues(
  { client, serviceNamespace, isolationProfile }: ControlPlaneStepDeps,
  signal: AbortSignal,
): Promise<object> {
  return {
    serviceCIDR: await hostServiceRange(client, signal),
    // The namespace step grants it, by a role that there is already: the worker may make none.
    rbac: { hostReads: false },
    isolation: {
      profile: isolationProfile,
      networkPolicy: {
        clients: [
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': serviceNamespace } } },
        ],
      },
    },
  };
}

/** Empty, for the chart's own default, on hosts before Kubernetes 1.33, which serve no ServiceCIDR. */
async function hostServiceRange(client: KubeClient, signal: AbortSignal): Promise<string> {
  try {
    const range = await client.get<KubeObject & { spec?: { cidrs?: string[] } }>(
      SERVICE_CIDRS,
      { name: 'kubernetes' },
      { signal },
    );
    return range.spec?.cidrs?.join(',') ?? '';
  } catch (error) {
    if (isNotFound(error)) return '';
    throw error;
  }
}
