// The host's PriorityClasses that the operator names.
import { PRIORITY_CLASSES } from '../../../kube/resource.ts';
import { fields, scalar } from '../../allow-list.ts';
import type { PriorityClass } from '../../objects.ts';
import { hostClass } from '../host-class.ts';

export const priorityClasses = hostClass<PriorityClass>({
  type: PRIORITY_CLASSES,
  copy: fields<PriorityClass>({
    value: scalar,
    globalDefault: scalar,
    description: scalar,
    preemptionPolicy: scalar,
  }),
  isShown: ({ metadata }, { context }) => context.sync.priorityClasses.includes(metadata.name ?? ''),
});
