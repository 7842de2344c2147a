// The test categories of the Python service client, against a fake of Breakwater's API.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, afterEach, beforeEach, describe, it, mock } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import {
  DEFAULT_CONFIG,
  type LogEvent,
  PythonServiceClient,
  type PythonServiceConfig,
  PythonServiceConnectionError,
  PythonServiceError,
  PythonServiceTimeoutError,
  getPythonServiceClient,
  resetPythonServiceClient,
} from '../src/index.js';
import { resolveConfig } from '../src/config.js';
import { isRetryable, retryDelayOf } from '../src/retry.js';
import { FakeBreakwater, type Reply, answer, failureOf, problem, until } from './fakeBreakwater.js';

let fake: FakeBreakwater;
const clients: PythonServiceClient[] = [];

beforeEach(async () => {
  fake = await FakeBreakwater.start(() => answer({ detections: [] }));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.dispose();
  resetPythonServiceClient();
  mock.timers.reset();
  await fake.stop();
});

function connect(options: Partial<PythonServiceConfig> = {}): PythonServiceClient {
  const client = new PythonServiceClient({ baseUrl: fake.baseUrl, retryDelay: 1, healthCheckInterval: 0, ...options });
  clients.push(client);
  return client;
}

const FIND = { image_path: '/uploads/image.jpg', detection_types: ['face' as const, 'person' as const] };

describe('configuration and initialization', () => {
  it('has the documented defaults', () => {
    assert.deepEqual(resolveConfig({}, {}), { ...DEFAULT_CONFIG });
    const { baseUrl, timeout, maxRetries, retryDelay, maxConnections, healthCheckInterval } = DEFAULT_CONFIG;
    assert.deepEqual(
      [baseUrl, timeout, maxRetries, retryDelay, maxConnections, healthCheckInterval],
      ['http://localhost:8000', 30000, 3, 1000, 10, 60000],
    );
  });

  it('reads the documented environment variables', () => {
    const config = resolveConfig(
      {},
      {
        PYTHON_SERVICE_URL: 'http://images:9000/',
        PYTHON_SERVICE_TIMEOUT: '5000',
        PYTHON_SERVICE_MAX_RETRIES: '0',
        PYTHON_SERVICE_RETRY_DELAY: '250',
        PYTHON_SERVICE_MAX_CONNECTIONS: '4',
        HEALTH_CHECK_INTERVAL: '15000',
      },
    );
    const { baseUrl, timeout, maxRetries, retryDelay, maxConnections, healthCheckInterval } = config;
    assert.deepEqual([baseUrl, timeout, maxRetries, retryDelay, maxConnections, healthCheckInterval], ['http://images:9000', 5000, 0, 250, 4, 15000]);
  });

  it('prefers options to the environment', () => {
    const config = resolveConfig({ timeout: 7, baseUrl: 'https://a.example' }, { PYTHON_SERVICE_TIMEOUT: '5', PYTHON_SERVICE_URL: 'http://b' });
    assert.deepEqual([config.timeout, config.baseUrl], [7, 'https://a.example']);
  });

  it('refuses what is out of range and says where it came from', () => {
    assert.throws(() => resolveConfig({}, { PYTHON_SERVICE_TIMEOUT: 'soon' }), /PYTHON_SERVICE_TIMEOUT is a whole number from 1/);
    assert.throws(() => resolveConfig({ maxConnections: 0 }, {}), /maxConnections is a whole number from 1/);
    assert.throws(() => resolveConfig({ retryDelay: 2 ** 31 }, {}), /retryDelay is a whole number from 0 to 2147483647/);
    assert.throws(() => resolveConfig({ baseUrl: 'ftp://a' }, {}), /baseUrl is an http or https address, not "ftp:\/\/a"/);
  });
});

describe('error handling and custom error types', () => {
  const failing = async (reply: Reply): Promise<PythonServiceError> => {
    fake.handler = () => reply;
    const error: unknown = await failureOf(connect({ maxRetries: 0 }).detectObjects(FIND));
    assert.ok(error instanceof PythonServiceError);
    return error;
  };

  it('says what was wrong with a request', async () => {
    const violations = [{ pointer: '/detection_types/0', message: 'not one of face, person, object' }];
    const error = await failing(problem(400, 'operation.input-invalid', { title: 'invalid-request', violations, retryable: false }));
    assert.equal(error.constructor, PythonServiceError);
    assert.deepEqual([error.message, error.statusCode, error.errorCode], ['it is operation.input-invalid', 400, 'operation.input-invalid']);
    assert.deepEqual([error.violations, error.correlationId, error.retryable], [violations, 'c-1', false]);
  });

  it('prefers what the service behind said of itself', async () => {
    const error = await failing(problem(502, 'upstream.status', { status_code: 422, error_code: 'INVALID_IMAGE' }));
    assert.deepEqual([error.statusCode, error.errorCode], [422, 'INVALID_IMAGE']);
  });

  it('is a connection error (503) when nothing listens', async () => {
    const gone = await FakeBreakwater.start();
    await gone.stop();
    const error: unknown = await failureOf(connect({ baseUrl: gone.baseUrl, maxRetries: 0 }).detectObjects(FIND));
    assert.ok(error instanceof PythonServiceConnectionError && error instanceof PythonServiceError);
    assert.deepEqual([error.name, error.statusCode, error.errorCode], ['PythonServiceConnectionError', 503, 'CONNECTION_ERROR']);
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  });

  it('is a connection error when the connection breaks', async () => {
    for (const reply of ['reset', 'half'] as const) assert.ok((await failing(reply)) instanceof PythonServiceConnectionError, reply);
  });

  it('is a connection error when Breakwater cannot reach the service', async () => {
    const error = await failing(problem(503, 'upstream.connection', { title: 'unavailable', error_code: 'CONNECTION_ERROR', status_code: 503 }));
    assert.ok(error instanceof PythonServiceConnectionError);
    assert.ok(!((await failing(problem(503, 'upstream.circuit-open', { title: 'circuit-open' }))) instanceof PythonServiceConnectionError));
  });

  it('is a timeout error (504) when no answer comes in time', async () => {
    fake.handler = () => 'silence';
    const error: unknown = await failureOf(connect({ maxRetries: 0, timeout: 20 }).detectObjects(FIND));
    assert.ok(error instanceof PythonServiceTimeoutError);
    assert.deepEqual([error.name, error.statusCode, error.errorCode], ['PythonServiceTimeoutError', 504, 'TIMEOUT_ERROR']);
    assert.match(error.message, /within 20 ms/);
  });

  it('is a timeout error when Breakwater ran out of time', async () => {
    assert.ok((await failing(problem(504, 'call.deadline', { title: 'timeout' }))) instanceof PythonServiceTimeoutError);
  });

  it('is an error of the service when the answer is no JSON', async () => {
    const error = await failing('html');
    assert.deepEqual([error.constructor, error.statusCode, error.errorCode], [PythonServiceError, 502, 'INVALID_ANSWER']);
  });
});

describe('retry logic with exponential backoff', () => {
  it('waits retryDelay * 2^(attempt - 1)', () => {
    assert.deepEqual([1, 2, 3, 4].map((attempt) => retryDelayOf(1000, attempt)), [1000, 2000, 4000, 8000]);
  });

  it('fails, waits 1000, 2000 and 4000 ms, and throws the last failure', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const events: LogEvent[] = [];
    fake.handler = () => problem(500 + fake.calls.length, 'upstream.status');
    const client = connect({ retryDelay: 1000, maxRetries: 3, logger: (event) => events.push(event) });
    const failure = failureOf(client.detectObjects(FIND));
    for (const [index, pause] of [1000, 2000, 4000].entries()) {
      await until(`attempt ${index + 1}`, () => events.length === index + 1);
      await turn();
      mock.timers.tick(pause - 1);
      await turn();
      assert.deepEqual([fake.calls.length, client.pending], [index + 1, 1], 'still waiting');
      mock.timers.tick(1);
    }
    assert.equal(((await failure) as PythonServiceError).statusCode, 504);
    assert.equal(fake.calls.length, 4);
    assert.deepEqual(events.map((event) => [event.attempt, event.level]), [1, 2, 3, 4].map((attempt) => [attempt, 'warn']));
  });

  it('repeats connection errors, timeouts, 5xx and 408', async () => {
    const failures: Reply[] = ['reset', 'half', problem(500, 'a.b'), problem(503, 'a.b'), problem(504, 'a.b'), problem(408, 'a.b')];
    for (const failure of failures) {
      fake.seen.length = 0;
      fake.handler = () => (fake.calls.length === 1 ? failure : answer({ detections: [] }));
      assert.deepEqual(await connect().detectObjects(FIND), { detections: [] });
      assert.equal(fake.calls.length, 2, JSON.stringify(failure));
    }
    fake.seen.length = 0;
    fake.handler = () => (fake.calls.length === 1 ? 'silence' : answer({ detections: [] }));
    assert.deepEqual(await connect({ timeout: 250 }).detectObjects(FIND), { detections: [] });
  });

  it('does not repeat other 4xx, nor what Breakwater says cannot be helped', async () => {
    for (const failure of [problem(400, 'a.b'), problem(404, 'a.b'), problem(422, 'a.b'), problem(429, 'a.b'), problem(502, 'a.b', { retryable: false })]) {
      fake.seen.length = 0;
      fake.handler = () => failure;
      await assert.rejects(connect().detectObjects(FIND), PythonServiceError);
      assert.equal(fake.calls.length, 1, JSON.stringify(failure));
    }
    assert.equal(isRetryable(new RangeError('a defect')), false);
  });

  it('sends the same idempotency key and correlation id with every attempt of a call, and others with the next call', async () => {
    fake.handler = () => (fake.calls.length % 3 === 0 ? answer({ detections: [] }) : problem(503, 'a.b'));
    const client = connect();
    await client.detectObjects(FIND);
    await client.detectObjects(FIND);
    for (const name of ['idempotency-key', 'x-correlation-id']) {
      const values = fake.calls.map((call) => call.headers[name]);
      assert.equal(new Set(values.slice(0, 3)).size, 1);
      assert.equal(new Set(values).size, 2);
    }
    await client.detectObjects(FIND, { idempotencyKey: 'mine', correlationId: 'call-7' });
    assert.deepEqual([fake.calls.at(-1)?.headers['idempotency-key'], fake.calls.at(-1)?.headers['x-correlation-id']], ['mine', 'call-7']);
  });
});

describe('API methods', () => {
  const detections = { detections: [{ kind: 'face', confidence: 0.9, box: { x: 1, y: 2, width: 3, height: 4 } }] };
  const crop = { crop: { x: 0, y: 0, width: 40, height: 60 }, output_path: '/crops/a.jpg' };

  it('detects objects', async () => {
    fake.handler = () => answer(detections);
    const input = { ...FIND, confidence_threshold: 0.7 };
    assert.deepEqual(await connect().detectObjects(input), detections);
    assert.deepEqual([fake.calls[0]?.method, fake.calls[0]?.path, fake.calls[0]?.body], ['POST', '/v1/operations/detect-objects', { input, timeout_ms: 29_750 }]);
  });

  it('crops an image by detections', async () => {
    fake.handler = (seen) => answer(seen.path.endsWith('crop-image') ? crop : detections);
    const client = connect();
    const found = await client.detectObjects(FIND);
    const input = { image_path: '/uploads/image.jpg', target_aspect_ratio: { width: 4, height: 6 }, detection_results: found, crop_strategy: 'center_faces' };
    assert.deepEqual(await client.cropImage(input), crop);
    assert.deepEqual([fake.calls[1]?.path, fake.calls[1]?.body], ['/v1/operations/crop-image', { input, timeout_ms: 29_750 }]);
  });

  it('processes a batch', async () => {
    fake.handler = () => answer({ results: [{}, {}] });
    const processing_options = { target_aspect_ratio: { width: 4, height: 6 }, crop_strategy: 'center', detection_types: ['face' as const] };
    const input = { images: ['/path/to/image1.jpg', '/path/to/image2.jpg'], processing_options };
    assert.equal((await connect().processBatch(input)).results.length, 2);
    assert.deepEqual([fake.calls[0]?.path, fake.calls[0]?.body], ['/v1/operations/process-batch', { input, timeout_ms: 29_750 }]);
  });

  it('composes a sheet', async () => {
    fake.handler = () => answer({ output_path: '/sheets/a.pdf' });
    const input = {
      processed_images: ['/path/to/processed1.jpg', '/path/to/processed2.jpg'],
      grid_layout: { rows: 2, columns: 2 },
      sheet_orientation: 'portrait' as const,
      output_format: 'pdf',
    };
    assert.deepEqual(await connect().composeSheet(input), { output_path: '/sheets/a.pdf' });
    assert.deepEqual([fake.calls[0]?.path, fake.calls[0]?.body], ['/v1/operations/compose-sheet', { input, timeout_ms: 29_750 }]);
  });

  it('sends bytes as attachment, and gives the result back as bytes', async () => {
    fake.handler = () => answer(crop, { attachments: [{ media_type: 'image/png', data: 'iVBORw0K' }] });
    const client = connect({ timeout: 1000 });
    const input = { target_aspect_ratio: '4:6' };
    for (const image_base64 of ['/9j/4AAQ', 'data:image/jpeg;base64,/9j/4AAQ']) {
      assert.deepEqual(await client.cropImage({ ...input, image_base64 }), { ...crop, image_base64: 'iVBORw0K' });
      assert.deepEqual(fake.calls.at(-1)?.body, { input, attachments: [{ media_type: 'image/jpeg', data: '/9j/4AAQ' }], timeout_ms: 950 });
    }
    await client.detectObjects({ image_base64: 'AAAA' });
    assert.deepEqual(fake.calls.at(-1)?.body, { input: {}, attachments: [{ media_type: 'application/octet-stream', data: 'AAAA' }], timeout_ms: 950 });
  });

  it('says on whose behalf a call is made', async () => {
    const about = { subject: 'user-1', tenant: 'acme', attributes: { plan: 'pro' }, labels: { project_id: '7' } };
    await connect().detectObjects(FIND, about);
    assert.deepEqual(fake.calls[0]?.body, { input: FIND, ...about, timeout_ms: 29_750 });
  });

  it('tells where an answer came from to those who ask', async () => {
    fake.handler = () => answer(detections, { served_by: 'model:yunet on cpu', degraded: true, level: 'local', attempts: 4, cached_age_ms: 12 });
    const { output, ...meta } = await connect().call('detect-objects', FIND);
    assert.deepEqual(output, detections);
    assert.deepEqual(meta, { served_by: 'model:yunet on cpu', degraded: true, level: 'local', attempts: 4, cached_age_ms: 12, correlation_id: 'c-1' });
  });
});

describe('health check monitoring', () => {
  it('is healthy until a check says otherwise, and again when the service recovers', async () => {
    const client = connect();
    assert.equal(client.getHealthStatus(), true);
    fake.handler = () => ({ status: 503, body: { status: 'draining' } });
    const bad = await client.checkHealth();
    assert.deepEqual([bad.healthy, bad.status, bad.consecutiveFailures, bad.details], [false, 'status 503', 1, { status: 'draining' }]);
    assert.equal((await client.checkHealth()).consecutiveFailures, 2);
    assert.equal(client.getHealthStatus(), false);
    fake.handler = () => ({ status: 200, body: { status: 'ready' } });
    const good = await client.checkHealth();
    assert.deepEqual([good.healthy, good.status, good.consecutiveFailures], [true, 'healthy', 0]);
    assert.equal(client.getHealthStatus(), true);
  });

  it('never throws', async () => {
    fake.handler = () => 'reset';
    const status = await connect().checkHealth();
    assert.equal(status.healthy, false);
    assert.match(status.status, /GET \/readyz failed/);
    fake.handler = () => 'html';
    assert.equal((await connect().checkHealth()).healthy, false);
  });

  it('checks at once and then at the interval, in the background', async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    fake.handler = () => ({ status: fake.seen.length === 2 ? 503 : 200, body: {} });
    const client = connect({ healthCheckInterval: 60_000 });
    await until('the first check', () => fake.seen.length === 1);
    mock.timers.tick(59_999);
    await turn();
    assert.equal(fake.seen.length, 1);
    mock.timers.tick(1);
    await until('the second check', () => !client.getHealthStatus());
    mock.timers.tick(60_000);
    await until('the third check', () => client.getHealthStatus());
    assert.deepEqual(fake.seen.map((seen) => seen.path), ['/readyz', '/readyz', '/readyz']);
  });
});

describe('singleton pattern behavior', () => {
  it('gives the same client everywhere', () => {
    assert.equal(getPythonServiceClient({ baseUrl: fake.baseUrl, healthCheckInterval: 0 }), getPythonServiceClient());
  });

  it('makes another after a reset, and the old one is disposed', async () => {
    const first = getPythonServiceClient({ baseUrl: fake.baseUrl, healthCheckInterval: 0 });
    resetPythonServiceClient();
    const second = getPythonServiceClient({ baseUrl: fake.baseUrl, healthCheckInterval: 0 });
    assert.notEqual(first, second);
    await assert.rejects(first.detectObjects(FIND), { name: 'PythonServiceConnectionError', errorCode: 'CLIENT_DISPOSED' });
    assert.deepEqual(await second.detectObjects(FIND), { detections: [] });
  });
});

describe('resource management', () => {
  it('uses one connection again and again', async () => {
    const client = connect();
    for (let call = 0; call < 5; call += 1) await client.detectObjects(FIND);
    assert.equal(fake.connections, 1);
  });

  it('has at most maxConnections connections; further calls wait', async () => {
    const held: (() => void)[] = [];
    fake.handler = async () => {
      await new Promise<void>((resolve) => held.push(resolve));
      return answer({ detections: [] });
    };
    const client = connect({ maxConnections: 3 });
    const calls = Array.from({ length: 7 }, () => client.detectObjects(FIND));
    await until('three calls', () => held.length === 3);
    await turn();
    assert.deepEqual([fake.connections, fake.calls.length, client.pending], [3, 3, 7]);
    const release = setInterval(() => held.shift()?.(), 1);
    await Promise.all(calls);
    clearInterval(release);
    assert.deepEqual([fake.connections, client.pending], [3, 0]);
  });

  it('asks again on a new connection when an idle one was closed, without counting it as a failure', async () => {
    const client = connect({ maxRetries: 0 });
    for (let call = 0; call < 20; call += 1) {
      await client.detectObjects(FIND);
      fake.closeIdle();
      await client.detectObjects(FIND);
    }
    assert.ok(fake.connections >= 2);
  });

  it('ends calls, pauses and connections when it is disposed', async () => {
    fake.handler = () => 'silence';
    const client = connect();
    const call = assert.rejects(client.detectObjects(FIND), PythonServiceConnectionError);
    await until('the call', () => fake.calls.length === 1);
    client.dispose();
    await call;
    await until('the connections to close', () => fake.open === 0);

    fake.handler = () => problem(503, 'a.b');
    const waiting = connect({ retryDelay: 1_000_000 });
    const repeated = assert.rejects(waiting.detectObjects(FIND), { errorCode: 'a.b' });
    await until('the pause', () => fake.calls.length === 2 && waiting.pending === 1 && fake.open === 1);
    await turn();
    waiting.dispose();
    await repeated;
    assert.equal(waiting.pending, 0);
  });

  it('does not keep a process alive that has nothing else to do', async () => {
    const index = fileURLToPath(new URL('../src/index.js', import.meta.url));
    const script = `import { getPythonServiceClient } from ${JSON.stringify(index)};
      const client = getPythonServiceClient({ baseUrl: ${JSON.stringify(fake.baseUrl)} });
      await client.detectObjects({ image_path: '/a.jpg' });`;
    await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000 });
    assert.equal(fake.calls.length, 1);
  });
});

after(() => resetPythonServiceClient());
