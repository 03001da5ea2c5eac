// What the DNS of a virtual cluster answers by the operator's word: the chart's values `dns`.
import { isIP, isIPv6 } from 'node:net';
import * as z from 'zod';

const DNS_PORT = 53;

/** Lower case, without the dot at its end. `_` begins the labels of service records. */
const domain = z
  .string()
  .transform((name) => name.toLowerCase().replace(/\.$/, ''))
  .pipe(
    z
      .string()
      .regex(
        /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/,
        'must be a name',
      ),
  );

/** `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`. */
const server = z.string().transform((text, context) => {
  const [, bracketed, plain, portText] =
    /^(?:\[(.+)\]|([^:]+|.*:.*:.*?))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const address = isIPv6(text) ? text : (bracketed ?? plain ?? '');
  const port = isIPv6(text) || portText === undefined ? DNS_PORT : Number(portText);
  if (isIP(address) !== 0 && port > 0 && port < 65_536) return { address, port };
  context.addIssue({ code: 'custom', message: `${text} is no address of a server` });
  return z.NEVER;
});

const hostService = z.strictObject({
  name: domain,
  service: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?\/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be namespace/name')
    .transform((key) => {
      const [namespace = '', name = ''] = key.split('/');
      return { namespace, name };
    }),
});

const address = z.union([z.ipv4(), z.ipv6()]);

export const dnsSchema = z.strictObject({
  /** Addresses of names. */
  hosts: z.record(domain, z.array(address).min(1)).default({}),
  /** Who is asked about a domain and all below it. */
  stubDomains: z.record(domain, z.array(server).min(1)).default({}),
  /** Services of the host under names of the cluster. */
  hostServices: z.array(hostService).default([]),
});
