// The types of Kubernetes objects as they are on the wire, made from those of the generated client, which is never loaded.
import type { ObjectMeta } from './resource.ts';

/** The same shape with time stamps as the RFC 3339 strings of the wire. */
type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Field in keyof T]: Wire<T[Field]> }
      : T;

/** A generated class, `V1Pod` for example, as JSON holds it. */
export type WireObject<T> = Wire<Omit<T, 'metadata'>> & { metadata: ObjectMeta };
