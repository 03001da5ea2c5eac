// The host's IngressClasses that may be used inside. Their parameters are between the administrator and his controller.
import { INGRESS_CLASSES } from '../../../kube/resource.ts';
import { fields, scalar } from '../../allow-list.ts';
import type { IngressClass } from '../../objects.ts';
import { hostClass } from '../host-class.ts';

export const ingressClasses = hostClass<IngressClass>({
  type: INGRESS_CLASSES,
  annotations: ['ingressclass.kubernetes.io/is-default-class'],
  copy: fields<IngressClass>({
    spec: fields<NonNullable<IngressClass['spec']>>({ controller: scalar }),
  }),
  isShown: ({ metadata }, { context }) =>
    ['*', metadata.name ?? ''].some((name) => context.sync.ingressClasses.includes(name)),
});
