// What a pod inside a virtual cluster serves to its API server over TLS: conversion of a custom resource, two admission
// webhooks and an aggregated API. Imports nothing but Node, because a config map brings this file into a pod.
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';

const FOLDER = '/srv/extension';
const PORT = 8443;
const LAMPS = 'lamps.example.com/v1';

interface Asked {
  uid: string;
  object: { data?: Record<string, string> };
  objects: Widget[];
  desiredAPIVersion: string;
}

interface Widget {
  apiVersion: string;
  spec: { host?: string; port?: number; address?: string };
}

/** `host` and `port` of version v1 are one `address` in v2. */
function convert(widget: Widget, apiVersion: string): Widget {
  const { host, port, address = '' } = widget.spec;
  if (widget.apiVersion === apiVersion) return widget;
  if (apiVersion.endsWith('/v2')) return { ...widget, apiVersion, spec: { address: `${host}:${port}` } };
  const [name, number] = address.split(':');
  return { ...widget, apiVersion, spec: { host: name, port: Number(number) } };
}

const reviews: Record<string, (asked: Asked) => object> = {
  '/convert': ({ objects, desiredAPIVersion }) => ({
    result: { status: 'Success' },
    convertedObjects: objects.map((object) => convert(object, desiredAPIVersion)),
  }),
  '/validate': ({ object }) => ({
    allowed: object.data?.color !== 'beige',
    status: { message: 'beige is not a color' },
  }),
  '/mutate': ({ object }) => {
    const patch = [{ op: 'add', path: '/data', value: { ...object.data, stamped: 'yes' } }];
    return {
      allowed: true,
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    };
  },
};

/** Only the API server's front proxy may say who the user is. */
function lampsFor({ socket, headers }: IncomingMessage): object {
  const user = (socket as TLSSocket).authorized ? headers['x-remote-user'] : 'nobody';
  return {
    kind: 'LampList',
    apiVersion: LAMPS,
    metadata: {},
    items: [
      {
        kind: 'Lamp',
        apiVersion: LAMPS,
        metadata: { name: 'desk', namespace: 'default', annotations: { user } },
      },
    ],
  };
}

const documents: Record<string, (request: IncomingMessage) => object> = {
  [`/apis/${LAMPS}`]: () => ({
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: LAMPS,
    resources: [{ name: 'lamps', singularName: 'lamp', kind: 'Lamp', namespaced: true, verbs: ['list'] }],
  }),
  [`/apis/${LAMPS}/namespaces/default/lamps`]: lampsFor,
};

async function answer(request: IncomingMessage): Promise<object | undefined> {
  const path = request.url?.split('?')[0] ?? '';
  if (request.method === 'GET') return documents[path]?.(request);
  const review = reviews[path];
  if (review === undefined) return undefined;
  const chunks = (await request.toArray()) as Buffer[];
  const { request: asked, ...kind } = JSON.parse(Buffer.concat(chunks).toString()) as { request: Asked };
  return { ...kind, response: { uid: asked.uid, ...review(asked) } };
}

const read = (file: string) => readFileSync(`${FOLDER}/${file}`);
createServer(
  {
    cert: read('tls.crt'),
    key: read('tls.key'),
    ca: read('front-proxy-ca.crt'),
    requestCert: true,
    rejectUnauthorized: false,
  },
  async (request, response) => {
    const document = await answer(request);
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(document ?? {}));
  },
).listen(PORT);
