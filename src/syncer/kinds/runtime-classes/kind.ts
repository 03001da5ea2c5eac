// The host's RuntimeClasses that the operator names. Which nodes run them is the host's business: it places the pods.
import { RUNTIME_CLASSES } from '../../../kube/resource.ts';
import { dictionary, fields, scalar } from '../../allow-list.ts';
import type { RuntimeClass } from '../../objects.ts';
import { hostClass } from '../host-class.ts';

export const runtimeClasses = hostClass<RuntimeClass>({
  type: RUNTIME_CLASSES,
  copy: fields<RuntimeClass>({
    handler: scalar,
    overhead: fields<NonNullable<RuntimeClass['overhead']>>({ podFixed: dictionary }),
  }),
  isShown: ({ metadata }, { context }) => context.sync.runtimeClasses.includes(metadata.name ?? ''),
});
