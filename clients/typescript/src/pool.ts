import * as http from 'node:http';
import * as https from 'node:https';

import { PythonServiceConnectionError, PythonServiceTimeoutError } from './errors.js';

/** Longest answer taken, in bytes: a contact sheet in base64 is far below. */
const LONGEST_ANSWER = 256 * 2 ** 20;

/** One request. */
export interface Exchange {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
  /** Milliseconds, from now to the last byte of the answer. */
  timeout: number;
  /** Does not keep the process alive. */
  background?: boolean;
}

/** What came back. */
export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** Kept-alive connections to one address, a limited number of them. `fetch` has no say in either, so this is `node:http`. */
export class ConnectionPool {
  readonly #base: URL;
  readonly #agent: http.Agent;
  readonly #client: typeof http | typeof https;
  readonly #active = new Set<http.ClientRequest>();
  #closed = false;

  constructor(baseUrl: string, maxConnections: number) {
    this.#base = new URL(baseUrl);
    this.#client = this.#base.protocol === 'https:' ? https : http;
    this.#agent = new this.#client.Agent({ keepAlive: true, maxSockets: maxConnections, maxFreeSockets: maxConnections, scheduling: 'lifo' });
  }

  /** Requests under way and waiting. */
  get pending(): number {
    return this.#active.size;
  }

  /**
   * Sends a request and reads the whole answer, whatever its status.
   *
   * @throws {PythonServiceConnectionError} when there is no connection, or it breaks.
   * @throws {PythonServiceTimeoutError} when the time is over.
   */
  async send(exchange: Exchange): Promise<Answer> {
    const deadline = performance.now() + exchange.timeout;
    for (;;) {
      const sent = await this.#attempt(exchange, deadline);
      // The server may close an idle connection in the very moment it is used again; that is no failure of the service.
      if (sent !== 'stale') return sent;
    }
  }

  /** Ends every connection. Requests under way fail. */
  close(): void {
    this.#closed = true;
    for (const request of this.#active) request.destroy();
    this.#agent.destroy();
  }

  #attempt(exchange: Exchange, deadline: number): Promise<Answer | 'stale'> {
    if (this.#closed) return Promise.reject(new PythonServiceConnectionError('the client is disposed', { errorCode: 'CLIENT_DISPOSED', retryable: false }));
    return new Promise((resolve, reject) => {
      const { method, path, body } = exchange;
      const headers: Record<string, string | number> = { accept: 'application/json', ...exchange.headers };
      if (body !== undefined) Object.assign(headers, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      const prefix = this.#base.pathname.replace(/\/+$/, '');
      const request = this.#client.request({
        host: this.#base.hostname.replace(/^\[|\]$/g, ''),
        port: this.#base.port,
        method,
        path: prefix + path,
        headers,
        agent: this.#agent,
      });
      this.#active.add(request);
      const timer = setTimeout(() => {
        fail(new PythonServiceTimeoutError(`no answer to ${method} ${path} within ${exchange.timeout} ms`));
      }, Math.max(0, deadline - performance.now()));
      if (exchange.background) timer.unref();
      let answering = false;
      const settle = (): void => {
        clearTimeout(timer);
        this.#active.delete(request);
      };
      const fail = (error: unknown): void => {
        settle();
        request.destroy();
        const code = (error as NodeJS.ErrnoException).code;
        if (error instanceof PythonServiceTimeoutError) reject(error);
        else if (!this.#closed && !answering && request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')) resolve('stale');
        else reject(new PythonServiceConnectionError(`${method} ${path} failed: ${(error as Error).message || code}`, { cause: error }));
      };
      request.on('error', fail);
      // A connection that a check left behind is used again: it then keeps the process alive for whoever waits.
      request.on('socket', (socket) => (exchange.background ? socket.unref() : socket.ref()));
      request.on('response', (response) => {
        answering = true;
        const pieces: Buffer[] = [];
        let length = 0;
        response.on('data', (piece: Buffer) => {
          length += piece.length;
          if (length > LONGEST_ANSWER) fail(new Error(`the answer is longer than ${LONGEST_ANSWER} bytes`));
          else pieces.push(piece);
        });
        response.on('error', fail);
        response.on('end', () => {
          settle();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces).toString('utf8') });
        });
      });
      request.end(body);
    });
  }
}
