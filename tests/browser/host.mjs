// A host of static files, whose files a test may change while it runs.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { dist } from './harness.mjs';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm', '.css': 'text/css', '.svg': 'image/svg+xml' };

/**
 * A host of static files: no headers but the type and these; the page is there a second time, in the folder dragentity.
 * `instead` are files that differ, by path; `asked` what was asked for.
 */
export function host(t, headers = {}) {
  const instead = {};
  const asked = [];
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://host').pathname)).replace(/\/$/, '/index.html');
    asked.push(path.slice(1));
    const file = join(dist, path.replace(/^\/dragentity\//, '/'));
    const body = instead[path.slice(1)] ?? (existsSync(file) && statSync(file).isFile() ? readFileSync(file) : undefined);
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', ...headers });
    response.end(body);
  });
  const close = () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  t.after(close);
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve({ base: `http://127.0.0.1:${server.address().port}`, instead, asked, close })),
  );
}
