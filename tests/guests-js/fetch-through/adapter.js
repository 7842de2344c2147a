// An adapter as somebody would write it who knows `fetch` and nothing of Breakwater's own interface for upstreams.

import { log } from 'wasi:logging/logging@0.1.0-draft';

const INPUT = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    path: { type: 'string', pattern: '^/', description: 'Asked of the upstream.' },
    upstream: { type: 'string', description: 'Name of the upstream; image-service when absent.' },
    url: { type: 'string', description: 'Asked instead of an upstream.' },
    method: { type: 'string', enum: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    body: { type: 'string' },
  },
  oneOf: [{ required: ['path'] }, { required: ['url'] }],
  additionalProperties: false,
};

const OUTPUT = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    status: { type: 'integer' },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    body: { type: 'string' },
  },
  required: ['status', 'headers', 'body'],
  additionalProperties: false,
};

const SAFE = new Set(['GET', 'HEAD']);

/** Thrown values with a `payload` become the error of a WIT result. */
function failure(kind, code, message, effect, retryable) {
  return Object.assign(new Error(message), {
    payload: { kind, code, message, retryable, retryAfterMs: undefined, effect, detail: undefined },
  });
}

/** @param {{ path?: string, upstream?: string, url?: string }} input */
function address(input) {
  return input.url ?? `http://${input.upstream ?? 'image-service'}.upstream${input.path}`;
}

export const adapter = {
  describe() {
    return [
      {
        name: 'fetch-through',
        summary: 'Fetches a path of an upstream, or a URL, and says what came back.',
        inputSchema: JSON.stringify(INPUT),
        outputSchema: JSON.stringify(OUTPUT),
        effect: 'read',
        idempotent: true,
        permission: undefined,
      },
    ];
  },

  async invoke(context, operation, text) {
    if (operation !== 'fetch-through') {
      throw failure('not-found', 'fetch-through.operation-unknown', `no operation ${operation}`, 'none', false);
    }
    const input = JSON.parse(text);
    const method = input.method ?? 'GET';
    log('info', 'fetch-through', `${method} ${address(input)} for ${context.correlationId}`);
    let response;
    let body;
    try {
      response = await fetch(address(input), { method, headers: input.headers ?? {}, body: input.body });
      body = await response.text();
    } catch (error) {
      throw failure('unavailable', 'fetch-through.failed', String(error), SAFE.has(method) ? 'none' : 'unknown', true);
    }
    const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'date'));
    return { output: JSON.stringify({ status: response.status, headers, body }), attachments: [] };
  },
};
