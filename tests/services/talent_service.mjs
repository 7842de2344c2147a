// An AI service in another language, for the tests: résumés, matching jobs, analytics and health, over HTTP/1.1.
//
//   node talent_service.mjs --port 0 [--api-key KEY]
//
// prints `listening on http://127.0.0.1:PORT` first. README.md says which paths there are; misbehaviour.py says how to make it fail.
// Needs Node 18.3 or newer and nothing else.

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Behaviour, DEFAULTS, send } from './misbehaviour.mjs';
import { MODEL, Refused, calculateAnalytics, findMatchingJobs, generateResume } from './talent_answers.mjs';

const LONGEST_BODY = 16 * 2 ** 20;

/** By the last segment of the path, so that any prefix will do. */
const OPERATIONS = {
  'generate-resume': generateResume,
  resume: generateResume,
  'find-matching-jobs': findMatchingJobs,
  match: findMatchingJobs,
  'calculate-analytics': calculateAnalytics,
  analytics: calculateAnalytics,
};

const { values: options } = parseArgs({ options: { port: { type: 'string', default: '0' }, 'api-key': { type: 'string' } } });
const behaviour = new Behaviour();
const started = performance.now();

const json = (status, value) => [status, 'application/json', Buffer.from(JSON.stringify(value))];
const problem = (status, code, message) => json(status, { error: message, error_code: code, status_code: status });

async function bodyOf(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > LONGEST_BODY) throw new Refused('the body is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function isAllowed(headers) {
  const key = options['api-key'];
  return key === undefined || headers['x-api-key'] === key || headers.authorization === `Bearer ${key}`;
}

function answer(request, body) {
  const segment = request.url.split('?')[0].split('/').filter(Boolean).at(-1) ?? '';
  if (segment === 'health') {
    return json(200, { status: 'healthy', service: 'talent-service', model: MODEL, uptime_ms: Math.floor(performance.now() - started) });
  }
  if (!isAllowed(request.headers)) return problem(401, 'UNAUTHORIZED', 'a key is needed');
  const operation = Object.hasOwn(OPERATIONS, segment) ? OPERATIONS[segment] : undefined;
  if (operation === undefined) return problem(404, 'NOT_FOUND', `no such path: ${request.url}`);
  if (request.method !== 'POST') return problem(405, 'METHOD_NOT_ALLOWED', 'POST is needed');
  let input;
  try {
    input = JSON.parse(body);
  } catch {
    return problem(400, 'INVALID_JSON', 'the body is not JSON');
  }
  if (input === null || typeof input !== 'object' || Array.isArray(input)) return problem(400, 'INVALID_JSON', 'the body is not a JSON object');
  try {
    return json(200, operation(input));
  } catch (error) {
    if (error instanceof Refused) return problem(error.status, error.code, error.message);
    if (error instanceof TypeError) return problem(422, 'INVALID_REQUEST', `a field has the wrong type: ${error.message}`);
    throw error;
  }
}

async function control(request, response, body) {
  let result;
  try {
    if (request.method === 'POST') behaviour.set(JSON.parse(body));
    if (request.method === 'DELETE') behaviour.reset();
    result = json(200, behaviour.report());
  } catch (error) {
    result = json(400, { error: error.message });
  }
  await send(response, DEFAULTS, ...result, {});
}

async function serve(request, response) {
  const body = await bodyOf(request);
  if (request.url === '/_control') {
    await control(request, response, body);
    return;
  }
  const treat = behaviour.begin(request.method, request.url, request.headers);
  const correlation = request.headers['x-correlation-id'];
  const extra = { 'x-served-by': 'talent-service', ...(correlation ? { 'x-correlation-id': correlation } : {}) };
  try {
    await send(response, treat, ...answer(request, body), extra);
  } finally {
    behaviour.end();
  }
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  serve(request, response).catch(() => response.socket?.destroy());
});
server.on('connection', (socket) => {
  behaviour.connections += 1;
  // A connection that breaks is nothing to talk about here.
  socket.on('error', () => {});
});
server.on('clientError', (_, socket) => socket.destroy());
process.on('SIGTERM', () => process.exit(0));
server.listen(Number(options.port), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
