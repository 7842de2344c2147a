// The examples of the requirements against the real binary. It must listen at BREAKWATER_URL, with
// - tests/services/image_service.py behind the upstream `image-service`, and at IMAGE_SERVICE_URL for us to break it,
// - tests/services/talent_service.mjs behind the upstream `talent-service`, and at TALENT_SERVICE_URL likewise,
// - pictures at /uploads/image.jpg, /uploads/image1.jpg and /uploads/image2.jpg of the media root,
// - the flag `ai-document-generation` in front of `generate-resume`.
// What has no address is not run, and says so.

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { PythonServiceError, getPythonServiceClient, resetPythonServiceClient } from '../src/index.js';
import { failureOf } from './fakeBreakwater.js';
import { describeTalent } from './talentBehaviours.js';

const { BREAKWATER_URL, IMAGE_SERVICE_URL, TALENT_SERVICE_URL } = process.env;

/** Tells a test service how to behave, or asks what it saw. */
async function control(service: string, method: string, behaviour?: object): Promise<{ total: number; counts: Record<string, number> }> {
  const init: RequestInit = { method, headers: { 'content-type': 'application/json' } };
  if (behaviour !== undefined) init.body = JSON.stringify(behaviour);
  const response = await fetch(`${service}/_control`, init);
  assert.equal(response.status, 200);
  return (await response.json()) as { total: number; counts: Record<string, number> };
}

/** How often a service was asked, without health checks. */
async function asked(service: string): Promise<number> {
  const { counts } = await control(service, 'GET');
  return Object.entries(counts).reduce((sum, [path, count]) => sum + (path.endsWith('/health') ? 0 : count), 0);
}

const skip = BREAKWATER_URL === undefined ? 'NOT RUN: BREAKWATER_URL is not set' : false;

describe('Python service client, against Breakwater', { skip }, () => {
  const client = () => getPythonServiceClient({ baseUrl: BREAKWATER_URL ?? '', retryDelay: 10 });
  const source = { image_path: '/uploads/image.jpg' };
  const detection_types = ['face' as const, 'person' as const];
  const target_aspect_ratio = { width: 4, height: 6 };

  afterEach(async () => {
    resetPythonServiceClient();
    if (IMAGE_SERVICE_URL !== undefined) await control(IMAGE_SERVICE_URL, 'DELETE');
  });

  it('detects objects, and crops by what it found', async () => {
    const detections = await client().detectObjects({ ...source, detection_types });
    assert.ok(Array.isArray(detections.detections));
    for (const { kind, confidence, box } of detections.detections) {
      assert.ok(detection_types.includes(kind as 'face') && confidence >= 0.3 && confidence <= 1 && box.width > 0 && box.height > 0);
    }
    const { crop } = await client().cropImage({ ...source, target_aspect_ratio, detection_results: detections, crop_strategy: 'center_faces' });
    assert.ok(Math.abs(crop.width - (crop.height * 4) / 6) <= 1.01, JSON.stringify(crop));
  });

  it('detects with a confidence threshold', async () => {
    const { detections } = await client().detectObjects({ ...source, detection_types, confidence_threshold: 0.7 });
    assert.ok(detections.every((detection) => detection.confidence >= 0.7));
  });

  it('names a strategy that does not exist', async () => {
    const error = await failureOf(client().cropImage({ ...source, target_aspect_ratio, crop_strategy: 'center_face' }));
    assert.ok(error instanceof PythonServiceError && error.statusCode >= 400 && error.statusCode < 500, String(error));
  });

  it('names an operation that does not exist, once', async () => {
    const attempts: number[] = [];
    resetPythonServiceClient();
    const logging = getPythonServiceClient({ baseUrl: BREAKWATER_URL ?? '', logger: (event) => void attempts.push(event.attempt) });
    const error = await failureOf(logging.call('no-such-operation', {}));
    assert.ok(error instanceof PythonServiceError);
    assert.equal(error.statusCode, 404);
    assert.ok(error.correlationId);
    assert.deepEqual(attempts, [1]);
  });

  it('serves the integration example', async () => {
    const call = async (imagePath: string): Promise<Response> =>
      fetch(`${BREAKWATER_URL}/api/process-image`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ imagePath, aspectRatio: target_aspect_ratio }),
      });
    const answer = await call(source.image_path);
    const { success, result, detections } = (await answer.json()) as { success: boolean; result: object; detections: unknown };
    assert.deepEqual([answer.status, success, typeof result, typeof detections], [200, true, 'object', 'object']);
    const refusal = await call('/uploads/missing.jpg');
    const { error } = (await refusal.json()) as { error: string };
    assert.deepEqual([refusal.ok, typeof error], [false, 'string']);
  });

  it('is healthy', async () => {
    const health = await client().checkHealth();
    assert.deepEqual([health.healthy, client().getHealthStatus()], [true, true], health.status);
  });

  describe('with the remote image service', { skip: IMAGE_SERVICE_URL === undefined ? 'NOT RUN: IMAGE_SERVICE_URL is not set' : skip }, () => {
    const service = IMAGE_SERVICE_URL ?? '';

    it('processes a batch', async () => {
      const images = ['/uploads/image1.jpg', '/uploads/image2.jpg'];
      const processing_options = { target_aspect_ratio, crop_strategy: 'center', detection_types: ['face' as const] };
      assert.equal((await client().processBatch({ images, processing_options })).results.length, 2);
    });

    it('composes a sheet', async () => {
      const processed_images = ['/uploads/image1.jpg', '/uploads/image2.jpg'];
      const grid_layout = { rows: 2, columns: 2 };
      const sheet = await client().composeSheet({ processed_images, grid_layout, sheet_orientation: 'portrait', output_format: 'pdf' });
      assert.ok(Object.keys(sheet).length > 0);
    });

    it('answers by itself when the service fails', async () => {
      // Only what is called: health checks that fail would keep the call away from the service.
      await control(service, 'POST', { status: 500, only: 'detect' });
      const answered = await client().call<{ detections: unknown[] }>('detect-objects', { ...source, detection_types: ['person'], confidence_threshold: 0.61 });
      assert.ok(Array.isArray(answered.output.detections));
      assert.equal(answered.degraded, true, JSON.stringify(answered));
      assert.ok((await asked(service)) >= 1);
    });
  });
});

if (BREAKWATER_URL !== undefined && TALENT_SERVICE_URL !== undefined) {
  describeTalent('AI-service client, against Breakwater', async () => ({
    baseUrl: BREAKWATER_URL,
    upstream: 'talent-service',
    flag: 'ai-document-generation',
    breakService: async () => void (await control(TALENT_SERVICE_URL, 'POST', { status: 500 })),
    healService: async () => void (await control(TALENT_SERVICE_URL, 'POST', {})),
    asked: () => asked(TALENT_SERVICE_URL),
    stop: async () => void (await control(TALENT_SERVICE_URL, 'DELETE')),
  }));
} else {
  it('AI-service client, against Breakwater', { skip: 'NOT RUN: BREAKWATER_URL or TALENT_SERVICE_URL is not set' });
}
