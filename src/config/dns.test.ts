import { describe, expect, it } from 'vitest';
import { dnsSchema } from './dns.ts';

describe('what DNS answers by the operator’s word', () => {
  it('is nothing by default', () => {
    expect(dnsSchema.parse({})).toEqual({ hosts: {}, stubDomains: {}, hostServices: [] });
  });

  it('names hosts, servers with and without a port, and Services of the host', () => {
    const servers = ['192.0.2.53', '192.0.2.53:5353', '2001:db8::53', '[2001:db8::53]:5353'];
    expect(
      dnsSchema.parse({
        hosts: { 'DB.example.com.': ['192.0.2.7', '2001:db8::7'] },
        stubDomains: { 'corp.example.com': servers },
        hostServices: [{ name: 'db.shared.svc.cluster.local', service: 'infra/db' }],
      }),
    ).toEqual({
      hosts: { 'db.example.com': ['192.0.2.7', '2001:db8::7'] },
      stubDomains: {
        'corp.example.com': [
          { address: '192.0.2.53', port: 53 },
          { address: '192.0.2.53', port: 5353 },
          { address: '2001:db8::53', port: 53 },
          { address: '2001:db8::53', port: 5353 },
        ],
      },
      hostServices: [{ name: 'db.shared.svc.cluster.local', service: { namespace: 'infra', name: 'db' } }],
    });
  });

  it.each([
    [{ hosts: { 'db.example.com': ['db'] } }],
    [{ hosts: { 'db..example.com': ['192.0.2.7'] } }],
    [{ stubDomains: { 'corp.example.com': ['ns1.example.com'] } }],
    [{ stubDomains: { 'corp.example.com': ['192.0.2.53:70000'] } }],
    [{ stubDomains: { 'corp.example.com': [] } }],
    [{ hostServices: [{ name: 'db.shared', service: 'db' }] }],
    [{ forward: ['192.0.2.53'] }],
  ])('is refused when it is no such thing: %j', (values) => {
    expect(dnsSchema.safeParse(values).success).toBe(false);
  });
});
