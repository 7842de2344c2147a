// The image search client, against a fake of Breakwater's API.

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { ImageSearchClient, PythonServiceError } from '../src/index.js';
import { FakeBreakwater, failureOf, problem } from './fakeBreakwater.js';

it('searches page by page, and names products safely', async () => {
  const fake = await FakeBreakwater.start(({ body }) => {
    const more = (body as { cursor?: string } | undefined)?.cursor === undefined ? { next_cursor: 'second' } : {};
    return { status: 200, body: { items: [], ...more } };
  });
  const client = new ImageSearchClient({ baseUrl: fake.baseUrl });
  try {
    let pages = 0;
    for await (const page of client.pages({ text: 'a red dress', limit: 5 })) pages += page.items.length + 1;
    assert.equal(pages, 2);
    assert.deepEqual(
      fake.calls.map(({ body }) => body),
      [
        { text: 'a red dress', limit: 5 },
        { text: 'a red dress', limit: 5, cursor: 'second' },
      ],
    );
    await client.putProduct('a/b?c', { title: 'A' });
    assert.deepEqual([fake.calls[2]?.method, fake.calls[2]?.path], ['PUT', '/v1/products/a%2Fb%3Fc']);
    fake.handler = () => problem(404, 'product.not-found');
    const error = await failureOf(client.getProduct('none'));
    assert.ok(error instanceof PythonServiceError && error.errorCode === 'product.not-found' && error.statusCode === 404);
  } finally {
    client.dispose();
    await fake.stop();
  }
});
