// The fast way in Node: Fastify and a pool of undici.
//   node fastify.mjs PORT UPSTREAM

import Fastify from 'fastify';
import { Pool } from 'undici';

const [port, upstream] = process.argv.slice(2);
const pool = new Pool(upstream, { connections: 64 });
const app = Fastify();
app.post('/v1/operations/:name', async (request) => {
  const headers = { 'content-type': 'application/json' };
  const { body } = await pool.request({ method: 'POST', path: `/${request.params.name}`, headers, body: JSON.stringify(request.body) });
  return body.json();
});
await app.listen({ port: Number(port), host: '127.0.0.1' });
