import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

import type { OperationAnswer } from '../src/caller.js';
import type { Problem } from '../src/errors.js';

/** A request as the fake saw it. */
export interface Seen {
  method: string;
  path: string;
  headers: http.IncomingHttpHeaders;
  body: unknown;
}

/** What the fake answers: a status and a body, or something to do to the connection. */
export type Reply = { status: number; body: unknown; headers?: Record<string, string> } | 'reset' | 'silence' | 'half' | 'html';

/** As much of Breakwater's HTTP API as a test scripts. */
export class FakeBreakwater {
  readonly seen: Seen[] = [];
  /** Answers each request. */
  handler: (seen: Seen) => Reply | Promise<Reply>;
  connections = 0;
  /** Where it listens, or listened. */
  baseUrl = '';
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();

  private constructor(handler: (seen: Seen) => Reply | Promise<Reply>) {
    this.handler = handler;
    this.#server = http.createServer((request, response) => void this.#serve(request, response));
    this.#server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(handler: (seen: Seen) => Reply | Promise<Reply> = () => problem(404, 'http.not-found')): Promise<FakeBreakwater> {
    const fake = new FakeBreakwater(handler);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    fake.baseUrl = `http://127.0.0.1:${(fake.#server.address() as AddressInfo).port}`;
    return fake;
  }


  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Calls of operations, without health checks. */
  get calls(): Seen[] {
    return this.seen.filter((seen) => seen.path !== '/readyz');
  }

  /** Closes idle connections as a server does after its keep-alive time. */
  closeIdle(): void {
    this.#server.closeIdleConnections();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const text = Buffer.concat(pieces).toString();
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: text ? JSON.parse(text) : undefined };
    this.seen.push(seen);
    const reply = await this.handler(seen);
    if (reply === 'silence') return;
    if (reply === 'reset') {
      request.socket.resetAndDestroy();
    } else if (reply === 'half') {
      response.writeHead(200, { 'content-length': 100 });
      response.write('{"output": ');
      response.socket?.end();
    } else if (reply === 'html') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>It works</h1>');
    } else {
      const type = reply.status < 400 ? 'application/json' : 'application/problem+json';
      const correlation = String(seen.headers['x-correlation-id'] ?? 'none');
      response.writeHead(reply.status, { 'content-type': type, 'x-correlation-id': correlation, ...reply.headers });
      response.end(JSON.stringify(reply.body));
    }
  }
}

/** A good answer of an operation. */
export function answer<T>(output: T, more: Partial<OperationAnswer<T>> = {}): Reply {
  const body = { output, served_by: 'plugin:adapter-image-service@0.1.0', degraded: false, attempts: 1, correlation_id: 'c-1', ...more };
  return { status: 200, body };
}

/** An error answer. */
export function problem(status: number, code: string, more: Partial<Problem> = {}): Reply {
  const body = { type: `urn:breakwater:error:${code}`, title: 'other', status, detail: `it is ${code}`, code, correlation_id: 'c-1', ...more };
  return { status, body };
}

/** Lets the event loop turn until it is so. Fails after a while. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const patience = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > patience) throw new Error(`waited in vain: ${what}`);
    await turn();
  }
}

/** What a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await call;
  } catch (error) {
    return error;
  }
  throw new Error(`it did not fail but answered ${JSON.stringify(value)}`);
}
