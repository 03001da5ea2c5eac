// Installs the host's definitions of the custom resources that are synced, where the virtual cluster has none: once, in the
// version that is synced. What is there already, whoever made it, is left alone.
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isForbidden, isNotFound } from '../kube/errors.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, type KubeObject } from '../kube/resource.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { defined } from './allow-list.ts';
import type { CustomResource } from './kind.ts';

interface Version {
  name: string;
  [field: string]: unknown;
}

export interface CustomResourceDefinition extends KubeObject {
  spec: {
    group: string;
    scope: string;
    names: Record<string, unknown>;
    versions: Version[];
  };
}

export interface DefinitionsDeps {
  host: Pick<KubeClient, 'get'>;
  virtual: Pick<KubeClient, 'create'>;
  resources: readonly CustomResource[];
  logger: Logger;
  clock: Clock;
}

/** A definition may come to the host later than the cluster. */
const ABSENT_MS = 20_000;
/** The virtual API may only be coming up. */
const RETRY_MS = 1_000;
/** Without it the API takes no kinds of groups below k8s.io. */
const APPROVED = 'api-approved.kubernetes.io';

/** Resolves when all are there, or cannot be read. Never rejects. */
export async function installDefinitions(deps: DefinitionsDeps, signal: AbortSignal): Promise<void> {
  await Promise.all(deps.resources.map((resource) => untilInstalled(resource, deps, signal)));
}

async function untilInstalled(
  resource: CustomResource,
  { host, virtual, logger, clock }: DefinitionsDeps,
  signal: AbortSignal,
): Promise<void> {
  const name = `${resource.plural}.${resource.group}`;
  let told = false;
  while (!signal.aborted) {
    let delayMs = ABSENT_MS;
    try {
      const found = await host.get<CustomResourceDefinition>(
        CUSTOM_RESOURCE_DEFINITIONS,
        { name },
        { signal },
      );
      const inside = definitionInside(found, resource.version);
      if (inside) {
        await virtual.create(CUSTOM_RESOURCE_DEFINITIONS, inside, { signal });
        logger.info({ definition: name }, 'the definition of the host is installed');
        return;
      }
      if (!told) logger.warn({ definition: name, version: resource.version }, 'the host has no such version');
      told = true;
    } catch (error) {
      if (isAlreadyExists(error) || signal.aborted) return;
      if (isForbidden(error)) {
        logger.warn(
          { definition: name },
          'the definition of the host may not be read; install it inside by hand',
        );
        return;
      }
      if (!isNotFound(error)) delayMs = RETRY_MS;
      logger.debug({ definition: name, reason: errorMessage(error) }, 'the definition is not installed yet');
    }
    await clock.sleep(delayMs, signal).catch(() => {});
  }
}

/** One version, so that nothing has to be converted; undefined when the host has another. */
function definitionInside(
  { metadata, spec: { group, scope, names, versions } }: CustomResourceDefinition,
  wanted: string,
): CustomResourceDefinition | undefined {
  const version = versions.find(({ name }) => name === wanted);
  if (!version) return undefined;
  const { plural, singular, kind, listKind, shortNames, categories } = names;
  const approved = metadata.annotations?.[APPROVED];
  return {
    metadata: { name: metadata.name, ...(approved && { annotations: { [APPROVED]: approved } }) },
    spec: {
      group,
      scope,
      names: defined({ plural, singular, kind, listKind, shortNames, categories }),
      versions: [
        defined({
          name: version.name,
          served: true,
          storage: true,
          schema: version.schema,
          subresources: version.subresources,
          additionalPrinterColumns: version.additionalPrinterColumns,
          selectableFields: version.selectableFields,
        }),
      ],
    },
  };
}
