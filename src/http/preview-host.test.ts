import { describe, expect, test } from 'vitest';
import { hostKind } from './preview-host.ts';

const HOSTS = { publicHost: 'mayfly.example.com', previewDomain: 'preview.example.com' };

describe('a request is for a preview when its host is below the preview domain', () => {
  test.each([
    ['shop-412-abcdefghij.preview.example.com', 'shop-412-abcdefghij'],
    ['SHOP-412.Preview.Example.COM', 'shop-412'],
    ['shop-412.preview.example.com.', 'shop-412'],
    ['shop-412.preview.example.com:8443', 'shop-412'],
    ['preview.example.com', undefined],
    ['a.b.preview.example.com', undefined],
    ['.preview.example.com', undefined],
    ['a_b.preview.example.com', undefined],
  ])('%s', (host, hostLabel) => {
    expect(hostKind(host, HOSTS)).toEqual({ kind: 'preview', hostLabel });
  });
});

describe('a request is for the API otherwise', () => {
  test.each([
    'mayfly.example.com',
    'mayfly.example.com:80',
    '10.0.0.7:8080',
    'evilpreview.example.com',
    '',
    undefined,
    '[::1]:80',
  ])('%s', (host) => {
    expect(hostKind(host, HOSTS)).toEqual({ kind: 'api' });
  });

  test('even when the API itself is below the preview domain', () => {
    const hosts = { publicHost: 'mayfly.example.com', previewDomain: 'example.com' };
    expect(hostKind('mayfly.example.com', hosts)).toEqual({ kind: 'api' });
    expect(hostKind('shop.example.com', hosts)).toEqual({ kind: 'preview', hostLabel: 'shop' });
  });
});
