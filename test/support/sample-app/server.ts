// The sample app: a page that says which version it is and counts its visits in the Redis behind a Service name. It needs
// nothing but node, so that its image is one file.
import { createServer } from 'node:http';
import { connect } from 'node:net';

// Not REDIS_PORT: Kubernetes sets that one, to a URL, wherever there is a Service named redis.
const { PORT = '8080', VERSION = 'unknown', HOST_NAME = '', REDIS_ADDRESS = 'redis:6379' } = process.env;
const [REDIS_HOST = '', REDIS_PORT = ''] = REDIS_ADDRESS.split(':');
const REDIS_TIMEOUT_MS = 2_000;

/** Sends one command in Redis's protocol, and resolves with the integer or the text that it answers. */
function redis(...command: string[]): Promise<string> {
  const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: REDIS_HOST, port: Number(REDIS_PORT), timeout: REDIS_TIMEOUT_MS });
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`*${command.length}\r\n${parts.join('')}`));
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (!answer.includes('\r\n')) return;
      socket.destroy();
      const line = answer.slice(1, answer.indexOf('\r\n'));
      if (answer.startsWith('-')) reject(new Error(line));
      else resolve(line);
    });
    socket.on('timeout', () => socket.destroy(new Error('Redis does not answer')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('Redis closed the connection')));
  });
}

function page(visits: string): string {
  return `<!doctype html>
<title>Sample shop</title>
<h1>Sample shop</h1>
<p>Version <code id="version">${escapeHtml(VERSION)}</code> at ${escapeHtml(HOST_NAME)}</p>
<p>Visits: <span id="visits">${escapeHtml(visits)}</span></p>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const server = createServer(async (request, response) => {
  try {
    if (request.url === '/healthz') {
      await redis('PING');
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    } else if (request.url === '/') {
      const visits = await redis('INCR', 'visits');
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(visits));
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    }
  } catch (error) {
    response.writeHead(503, { 'content-type': 'text/plain' }).end(`${error}\n`);
  }
});

server.listen(Number(PORT), () => console.log(`listening, version ${VERSION}`));
process.once('SIGTERM', () => {
  server.close();
  server.closeIdleConnections();
});
