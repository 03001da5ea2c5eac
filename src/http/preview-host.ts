// Which requests are for a preview: those whose Host is one below the preview domain.

export type HostKind =
  /** Not a preview: the API. */
  | { kind: 'api' }
  /** `hostLabel` is undefined when the host is the preview domain itself or lies more than one label below it. */
  | { kind: 'preview'; hostLabel: string | undefined };

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export interface ServiceHosts {
  /** Host of the URL where people reach the API; wins when it lies below the preview domain. */
  publicHost: string;
  previewDomain: string;
}

/** @param host value of the Host header; ports do not count, because a port-forward or a NodePort changes them. */
export function hostKind(host: string | undefined, { publicHost, previewDomain }: ServiceHosts): HostKind {
  const name = (host ?? '').toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  const isBelow = name.endsWith(`.${previewDomain}`);
  if (name === publicHost || (name !== previewDomain && !isBelow)) return { kind: 'api' };
  const label = isBelow ? name.slice(0, -previewDomain.length - 1) : '';
  return { kind: 'preview', hostLabel: LABEL.test(label) ? label : undefined };
}
