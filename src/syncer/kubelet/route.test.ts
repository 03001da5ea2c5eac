import { describe, expect, it } from 'vitest';
import { hostPath } from './host-path.ts';
import { type LogsRoute, type PortForwardRoute, parseRoute, type StreamRoute } from './route.ts';

describe('parseRoute', () => {
  it.each([
    ['GET', '/healthz', { kind: 'healthz' }],
    ['GET', '/pods', { kind: 'pods' }],
    ['GET', '/stats/summary?only_cpu_and_memory=true', { kind: 'summary' }],
    ['GET', '/metrics/resource', { kind: 'resource' }],
    [
      'GET',
      '/containerLogs/shop/web-0/app?follow=true',
      { kind: 'logs', namespace: 'shop', pod: 'web-0', container: 'app' },
    ],
    [
      'POST',
      '/exec/shop/web.0/app',
      { kind: 'exec', namespace: 'shop', pod: 'web.0', uid: undefined, container: 'app' },
    ],
    ['GET', '/attach/shop/web/u-1/app', { kind: 'attach', pod: 'web', uid: 'u-1', container: 'app' }],
    ['POST', '/portForward/shop/web', { kind: 'portForward', pod: 'web', uid: undefined }],
    ['POST', '/portForward/shop/web/u-1', { kind: 'portForward', pod: 'web', uid: 'u-1' }],
  ])('%s %s', (method, url, expected) => expect(parseRoute(method, url)).toMatchObject(expected));

  it.each([
    ['GET', '/'],
    ['GET', ''],
    ['GET', '*'],
    ['GET', 'http://10.0.0.1/healthz'],
    ['GET', '//healthz'],
    ['GET', '/healthz/'],
    ['GET', '/./healthz'],
    ['GET', '/pods/../healthz'],
    ['GET', '/containerLogs/shop/../app'],
    ['GET', '/containerLogs/shop/web..0/app'],
    ['GET', '/containerLogs/shop/%2e%2e/app'],
    ['GET', '/containerLogs/shop/web%2f0/app'],
    ['GET', '/containerLogs/shop/web;x=1/app'],
    ['GET', '/containerLogs/shop\\web/app'],
    ['GET', '/containerLogs/shop//app'],
    ['GET', '/containerLogs/shop/web/app#x'],
    ['GET', '/containerLogs/shop/web'],
    ['GET', '/containerLogs/shop/web/app/more'],
    ['POST', '/containerLogs/shop/web/app'],
    ['PUT', '/exec/shop/web/app'],
    ['POST', '/exec/shop/web/u/app/more'],
    ['POST', '/portForward/shop/web/u/more'],
    ['POST', '/run/shop/web/app'],
    ['GET', '/logs/'],
    ['GET', '/logs/syslog'],
    ['GET', '/runningpods'],
    ['GET', '/metrics'],
    ['POST', '/stats/summary'],
    ['GET', '/stats'],
    ['GET', '/stats/container'],
    ['GET', '/metrics/cadvisor'],
    ['GET', '/metrics/resource/'],
    ['GET', '/configz'],
    ['GET', '/debug/pprof/profile'],
    ['POST', '/checkpoint/shop/web/app'],
    ['GET', '/exec'],
  ])('has no route for %s %s', (method, url) => expect(parseRoute(method, url)).toBeUndefined());
});

describe('hostPath', () => {
  const POD = { namespace: 'host-ns', name: 'web-shop-vc-abc' };
  const path = (method: string, url: string) =>
    hostPath(parseRoute(method, url) as LogsRoute | StreamRoute | PortForwardRoute, POD);
  const BASE = '/api/v1/namespaces/host-ns/pods/web-shop-vc-abc';

  it('keeps all options of logs and drops everything else', () => {
    const options =
      'follow=true&previous=false&timestamps=true&sinceSeconds=5&sinceTime=2026-01-02T03%3A04%3A05Z&tailLines=10&limitBytes=99&stream=Stderr';
    expect(
      path('GET', `/containerLogs/shop/web/app?${options}&insecureSkipTLSVerifyBackend=true&container=other`),
    ).toBe(
      `${BASE}/log?container=app&follow=true&previous=false&timestamps=true&sinceSeconds=5&sinceTime=2026-01-02T03%3A04%3A05Z&tailLines=10&limitBytes=99&stream=Stderr`,
    );
  });

  it('does not ask for both streams by name, which older hosts do not know', () => {
    expect(path('GET', '/containerLogs/shop/web/app?stream=All')).toBe(`${BASE}/log?container=app`);
  });

  it.each(['tailLines=-1', 'follow=1', 'sinceSeconds=x', 'sinceTime=%0d%0a', 'stream=Both'])(
    'refuses %s',
    (option) => expect(() => path('GET', `/containerLogs/shop/web/app?${option}`)).toThrow(/is not valid/),
  );

  it('gives the streams of exec the names the API has for them, and keeps the words of the command', () => {
    expect(
      path('POST', '/exec/shop/web/app?command=sh&command=-c&command=a+%26+b&input=1&output=1&tty=1'),
    ).toBe(
      `${BASE}/exec?container=app&stdin=true&stdout=true&stderr=false&tty=true&command=sh&command=-c&command=a+%26+b`,
    );
    expect(path('POST', '/attach/shop/web/app?error=1&command=sh')).toBe(
      `${BASE}/attach?container=app&stdin=false&stdout=false&stderr=true&tty=false`,
    );
  });

  it('names the ports of a WebSocket port-forward one by one', () => {
    expect(path('GET', '/portForward/shop/web?port=80,8080')).toBe(`${BASE}/portforward?ports=80&ports=8080`);
    expect(path('POST', '/portForward/shop/web')).toBe(`${BASE}/portforward`);
    expect(() => path('GET', '/portForward/shop/web?port=80,')).toThrow(/port/);
  });
});
