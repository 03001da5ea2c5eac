// Who serves an Ingress: a controller of the host, by one of the classes that the host has and the operator lets be used, or one
// that runs inside.
import { RefusedError, type TranslationContext } from '../../kind.ts';
import { ANNOTATION_FROM_HOST } from '../../names.ts';
import type { Ingress } from '../../objects.ts';

const ALL = '*';
/** What the field was before it was one. */
export const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';

export function classNameOf({ metadata, spec }: Ingress): string | undefined {
  return spec?.ingressClassName || metadata.annotations?.[CLASS_ANNOTATION] || undefined;
}

export type ServedBy = { side: 'inside' } | { side: 'host'; className: string | undefined };

/**
 * Without a class it is the host's default that serves, if there is one.
 * @throws RefusedError where there is no such class, or the operator does not let it be used.
 */
export function servedBy(ingress: Ingress, context: TranslationContext): ServedBy {
  const { ingressClasses } = context.sync;
  const className = classNameOf(ingress);
  const takesAll = ingressClasses.includes(ALL);
  if (className === undefined) {
    if (takesAll) return { side: 'host', className };
    throw new RefusedError(
      'ClassRequired',
      `spec.ingressClassName: must be one of ${ingressClasses.join(', ') || 'none: Ingresses are not given to the host'}`,
    );
  }
  const known = context.ingressClass(className);
  const isOfHost = known?.metadata.annotations?.[ANNOTATION_FROM_HOST] === 'true';
  if (ingressClasses.includes(className) || (takesAll && isOfHost)) return { side: 'host', className };
  if (known && !isOfHost) return { side: 'inside' };
  throw new RefusedError('UnknownClass', `spec.ingressClassName: there is no class ${className}`);
}
