// DNS settings of a host pod: the virtual cluster's own server and search path in place of the host's.
import { defined } from '../../allow-list.ts';
import type { TranslationContext } from '../../kind.ts';
import type { Pod, PodSpec } from '../../objects.ts';

type DnsSettings = Pick<PodSpec, 'dnsPolicy' | 'dnsConfig'>;
type DnsOption = NonNullable<NonNullable<PodSpec['dnsConfig']>['options']>[number];

export function dnsSettings({ metadata, spec }: Pod, { dns }: TranslationContext): DnsSettings {
  const own = spec?.dnsConfig ?? {};
  const options = (own.options ?? []).map(({ name, value }): DnsOption => defined({ name, value }));
  const policy = spec?.dnsPolicy ?? 'ClusterFirst';
  const clusterDns =
    policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !spec?.hostNetwork);
  if (!clusterDns) {
    const settings = defined({
      nameservers: own.nameservers && [...own.nameservers],
      searches: own.searches && [...own.searches],
      options: own.options && options,
    });
    return {
      dnsPolicy: policy === 'None' ? 'None' : 'Default',
      ...(Object.keys(settings).length > 0 ? { dnsConfig: settings } : {}),
    };
  }
  return {
    dnsPolicy: 'None',
    dnsConfig: {
      nameservers: unique([dns.clusterIp, ...(own.nameservers ?? [])]),
      searches: unique([
        `${metadata.namespace}.svc.${dns.domain}`,
        `svc.${dns.domain}`,
        dns.domain,
        ...(own.searches ?? []),
      ]),
      options: [
        ...(options.some(({ name }) => name === 'ndots') ? [] : [{ name: 'ndots', value: '5' }]),
        ...options,
      ],
    },
  };
}

const unique = (values: readonly string[]) => [...new Set(values)];
