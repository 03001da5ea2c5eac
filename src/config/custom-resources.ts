// Which custom resources an operator has synced, and what of the host he has shown inside: the parts of the values `sync`
// that name kinds and objects of his own cluster.
import * as z from 'zod';

const label = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a DNS label');
const objectName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'must be the name of an object');

/** Groups of Kubernetes itself: what they hold is no custom resource, and much of it would be a right over the host. */
const BUILT_IN_GROUPS = new Set(
  [
    'admissionregistration',
    'apiextensions',
    'apiregistration',
    'authentication',
    'authorization',
    'certificates',
    'coordination',
    'discovery',
    'events',
    'flowcontrol.apiserver',
    'internal.apiserver',
    'networking',
    'node',
    'rbac.authorization',
    'resource',
    'scheduling',
    'storage',
    'storagemigration',
  ].map((group) => `${group}.k8s.io`),
);
/** Custom resources that have a translator of their own. */
const TRANSLATED = new Set([
  'httproutes.gateway.networking.k8s.io',
  'volumesnapshots.snapshot.storage.k8s.io',
  'volumesnapshotclasses.snapshot.storage.k8s.io',
]);

const group = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/, 'must be a group with a dot')
  .refine((name) => !BUILT_IN_GROUPS.has(name), 'is a group of Kubernetes itself');

/** `spec.rules[*].secretName`: fields below `spec`, `[*]` after those that are lists. */
const path = z
  .string()
  .regex(
    /^spec(\[\*\])*(\.[A-Za-z_][A-Za-z0-9_-]*(\[\*\])*)+$/,
    'must be a path below spec, such as spec.rules[*].secretName',
  );

const kind = {
  group,
  version: z.string().regex(/^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$/, 'must be a version such as v1beta1'),
  plural: label,
  kind: z.string().regex(/^[A-Z][A-Za-z0-9]*$/, 'must be a kind such as Certificate'),
  /** Whether the host's status is shown inside; the kind needs the status sub-resource then. */
  statusBack: z.boolean().default(true),
};

const toHost = z.strictObject({
  ...kind,
  direction: z.literal('toHost'),
  /** Fields with the name of another object. Its kind is one of those that are copied, or another of these. */
  references: z.array(z.strictObject({ path, kind: z.string().min(1) })).default([]),
  /** Fields with a selector of pods. */
  selectors: z.array(path).default([]),
});

const fromHost = z.strictObject({
  ...kind,
  direction: z.literal('fromHost'),
  /** Absent: the kind is cluster-scoped. */
  namespace: z.strictObject({ from: label, to: label }).optional(),
});

const REFERABLE = ['ConfigMap', 'PersistentVolumeClaim', 'Pod', 'Secret', 'Service', 'ServiceAccount'];

export const customResourcesSchema = z
  .array(z.discriminatedUnion('direction', [toHost, fromHost]))
  .default([])
  .superRefine((resources, context) => {
    const seen = new Set<string>();
    const referable = new Set([...REFERABLE, ...resources.filter(isToHost).map((resource) => resource.kind)]);
    resources.forEach((resource, index) => {
      const id = `${resource.plural}.${resource.group}`;
      const refuse = (field: string, message: string) =>
        context.addIssue({ code: 'custom', path: [index, field], message });
      if (TRANSLATED.has(id)) refuse('plural', `${id} is synced already`);
      if (seen.has(id)) refuse('plural', `${id} is listed twice`);
      seen.add(id);
      if (!isToHost(resource)) return;
      for (const reference of resource.references)
        if (!referable.has(reference.kind))
          refuse('references', `${reference.kind} is none of ${[...referable].sort().join(', ')}`);
    });
  });

function isToHost<T extends { direction: string }>(resource: T): resource is T & { direction: 'toHost' } {
  return resource.direction === 'toHost';
}

const objectKey = z.string().transform((text, context) => {
  const [namespace, name, ...more] = text.split('/');
  if (more.length === 0 && label.safeParse(namespace).success && objectName.safeParse(name).success)
    return { namespace: namespace ?? '', name: name ?? '' };
  context.addIssue({ code: 'custom', message: `${text} is no namespace/name` });
  return z.NEVER;
});

const mappings = z
  .array(z.strictObject({ from: objectKey, to: objectKey }))
  .default([])
  .superRefine((all, context) => {
    const targets = all.map(({ to }) => `${to.namespace}/${to.name}`);
    targets.forEach((target, index) => {
      if (targets.indexOf(target) !== index)
        context.addIssue({ code: 'custom', path: [index, 'to'], message: `${target} is mapped twice` });
    });
  });

/** Objects of the host that are shown inside, by `namespace/name` on both sides. */
export const fromHostSchema = z.strictObject({ configMaps: mappings, secrets: mappings }).prefault({});
