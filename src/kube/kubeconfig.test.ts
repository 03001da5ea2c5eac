import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { InvalidInputError } from '../lib/errors.ts';
import { connectionFromKubeconfig } from './kubeconfig.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const kubeconfig = ({ user = {}, cluster = {} }: { user?: object; cluster?: object } = {}) =>
  stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    contexts: [
      { name: 'one', context: { cluster: 'c', user: 'u' } },
      { name: 'two', context: { cluster: 'd', user: 'v', namespace: 'ns' } },
      { name: 'astray', context: { cluster: 'none', user: 'u' } },
    ],
    clusters: [
      {
        name: 'c',
        cluster: { server: 'https://one:6443/', 'certificate-authority-data': base64('CA'), ...cluster },
      },
      { name: 'd', cluster: { server: 'https://two:6443', 'tls-server-name': 'kubernetes' } },
    ],
    users: [
      {
        name: 'u',
        user: { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY'), ...user },
      },
      { name: 'v', user: { token: 'canary-credential' } },
    ],
  });

describe('a kubeconfig', () => {
  it('gives the connection of its current context', () => {
    const { server, ca, cert, key, token } = connectionFromKubeconfig(kubeconfig());
    expect({ server, ca, cert, key, token }).toEqual({
      server: 'https://one:6443',
      ca: 'CA',
      cert: 'CERT',
      key: 'KEY',
      token: undefined,
    });
  });

  it('gives the connection of the context that is named', async () => {
    const connection = connectionFromKubeconfig(kubeconfig(), 'two');
    expect(connection).toMatchObject({ server: 'https://two:6443', servername: 'kubernetes' });
    expect(await connection.token?.()).toBe('canary-credential');
  });

  it.each([
    [
      'names files',
      kubeconfig({ cluster: { 'certificate-authority': '/etc/ca' } }),
      undefined,
      'certificate-authority',
    ],
    ['runs a program', kubeconfig({ user: { exec: { command: 'aws' } } }), undefined, 'exec'],
    [
      'trusts anybody',
      kubeconfig({ cluster: { 'insecure-skip-tls-verify': true } }),
      undefined,
      'insecure-skip',
    ],
    ['has no such context', kubeconfig(), 'three', 'no context "three"'],
    ['names a cluster it does not have', kubeconfig(), 'astray', 'no cluster "none"'],
    ['has a server that is no URL', kubeconfig({ cluster: { server: 'one' } }), undefined, 'server'],
    ['has no context at all', 'contexts: []\nclusters: []\nusers: []', undefined, 'no context is named'],
    ['is something else', '- a list', undefined, 'the kubeconfig'],
    ['is not YAML', 'token: canary-credential\n  : [', undefined, 'not YAML'],
    [
      'has a malformed credential',
      kubeconfig({ user: { token: ['canary-credential'] } }),
      undefined,
      'token',
    ],
  ])('is refused with the reason, and no credential in it, when it %s', (_, text, context, reason) => {
    let thrown: unknown;
    try {
      connectionFromKubeconfig(text, context);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(InvalidInputError);
    expect(thrown).toMatchObject({ code: 'InvalidKubeconfig', message: expect.stringContaining(reason) });
    expect(String(thrown)).not.toContain('canary-credential');
  });
});
