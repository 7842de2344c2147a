// What a team writes by hand: Express, axios with kept-alive connections, opossum with the options of the AI-service client.
//   node express.mjs PORT UPSTREAM

import { Agent } from 'node:http';
import axios from 'axios';
import express from 'express';
import CircuitBreaker from 'opossum';

const [port, upstream] = process.argv.slice(2);
const client = axios.create({ baseURL: upstream, timeout: 30_000, httpAgent: new Agent({ keepAlive: true, maxSockets: 64 }) });
const breaker = new CircuitBreaker((path, body) => client.post(path, body), {
  timeout: 30_000,
  errorThresholdPercentage: 50,
  resetTimeout: 30_000,
  rollingCountTimeout: 10_000,
  rollingCountBuckets: 10,
});

const app = express();
app.use(express.json());
app.post('/v1/operations/:name', async (request, response) => {
  const { data } = await breaker.fire(`/${request.params.name}`, request.body);
  response.json(data);
});
app.listen(Number(port), '127.0.0.1');
