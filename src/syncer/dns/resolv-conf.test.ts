import { expect, it } from 'vitest';
import { upstreamsOf } from './resolv-conf.ts';

it('reads the first three name servers and nothing else', () => {
  const text = `# comment
search corp.example
nameserver 192.0.2.1
  nameserver\tfd00::1
nameserver 192.0.2.3 # with a comment
nameserver 192.0.2.4
options ndots:5`;
  expect(upstreamsOf(text, []).map(({ address }) => address)).toEqual(['192.0.2.1', 'fd00::1', '192.0.2.3']);
});

it('leaves out this server itself and what is not an address', () => {
  expect(upstreamsOf('nameserver 10.96.0.10\nnameserver dns.example\nnameserver', ['10.96.0.10'])).toEqual(
    [],
  );
});
