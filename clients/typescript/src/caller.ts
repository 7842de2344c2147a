import { randomUUID } from 'node:crypto';

import type { LogEvent, PythonServiceConfig } from './config.js';
import { PythonServiceError, errorOf } from './errors.js';
import { type Answer, ConnectionPool } from './pool.js';
import { isRetryable, retryDelayOf } from './retry.js';

/** A document or photograph beside the JSON. */
export interface Attachment {
  /** Such as `image/jpeg`. */
  media_type: string;
  /** The content in base64. */
  data: string;
}

/** What an operation answered, and where the answer came from. */
export interface OperationAnswer<T> {
  output: T;
  /** In the order in which the output refers to them. */
  attachments?: Attachment[];
  /** Such as `plugin:adapter-talent@0.1.0`, `cache:…` or `host:center`. */
  served_by: string;
  /** Whether somebody else than the first choice answered. */
  degraded: boolean;
  /** What failed before. */
  degraded_reasons?: { provider: string; code: string; [more: string]: unknown }[];
  /** Of a degraded answer: which of the ways to answer worse. */
  level?: string | null;
  /** How many providers were asked. */
  attempts: number;
  /** How many requests were sent to services behind Breakwater, retries included. */
  upstream_attempts?: number;
  /** Of a cached answer: its age in milliseconds. */
  cached_age_ms?: number | null;
  correlation_id: string;
}

/** Options of one call. */
export interface CallOptions {
  /** Taken over as the call's name in every log; made up when absent. */
  correlationId?: string;
  /** The same for every try at one effect; made up when absent. */
  idempotencyKey?: string;
  /** The user or service on whose behalf the call is made: what shares of flags are stable by. */
  subject?: string;
  /** The organisation it belongs to. */
  tenant?: string;
  /** What rules of flags may ask about, such as `plan`. */
  attributes?: Record<string, string>;
  /** Passed on with the call and never interpreted, such as `project_id`. */
  labels?: Record<string, string>;
  /** Documents and photographs, in the order in which the input refers to them. */
  attachments?: Attachment[];
}

/** Milliseconds kept of an attempt's time for the way of the answer, so that Breakwater still has the time to degrade. */
const RESERVE_MS = 250;

/** Calls routes of Breakwater, repeating what fails. */
export class Caller {
  readonly config: PythonServiceConfig;
  readonly #pool: ConnectionPool;
  readonly #pauses = new Set<() => void>();

  constructor(config: PythonServiceConfig) {
    this.config = config;
    this.#pool = new ConnectionPool(config.baseUrl, config.maxConnections);
  }

  /** `POST /v1/operations/{name}`. */
  operation<T>(name: string, input: unknown, options: CallOptions = {}): Promise<OperationAnswer<T>> {
    const { subject, tenant, attributes, labels, attachments } = options;
    const reserve = Math.min(RESERVE_MS, Math.ceil(this.config.timeout / 20));
    // JSON leaves out what is undefined.
    const body = { input, subject, tenant, attributes, labels, attachments, timeout_ms: Math.max(1, this.config.timeout - reserve) };
    return this.request('POST', `/v1/operations/${encodeURIComponent(name)}`, body, options);
  }

  /**
   * Any route, repeated after failures that are worth it. Every repetition carries the same idempotency key.
   *
   * @throws {PythonServiceError} the last failure.
   */
  async request<T>(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<T> {
    const headers: Record<string, string> = { ...this.config.headers, 'x-correlation-id': options.correlationId ?? randomUUID() };
    if (method === 'POST') headers['idempotency-key'] = options.idempotencyKey ?? randomUUID();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once<T>(method, path, headers, body, attempt);
      } catch (error) {
        if (attempt > this.config.maxRetries || !isRetryable(error)) throw error;
        await this.#pause(retryDelayOf(this.config.retryDelay, attempt), error);
      }
    }
  }

  /** One request whose status and body the caller judges. In the background it does not keep the process alive. */
  probe(path: string, background = false): Promise<Answer> {
    const { headers, timeout } = this.config;
    return this.#pool.send({ method: 'GET', path, headers, timeout, background });
  }

  /** Requests under way, waiting for a connection, or waiting to be repeated. */
  get pending(): number {
    return this.#pool.pending + this.#pauses.size;
  }

  /** Ends all connections and pauses; what is under way fails. */
  close(): void {
    this.#pool.close();
    for (const wake of this.#pauses) wake();
    this.#pauses.clear();
  }

  async #once<T>(method: string, path: string, headers: Record<string, string>, body: unknown, attempt: number): Promise<T> {
    const started = performance.now();
    const event: LogEvent = { level: 'debug', message: 'answered', method, path, attempt, elapsed: 0 };
    try {
      const exchange = { method, path, headers, timeout: this.config.timeout };
      const answer = await this.#pool.send(body === undefined ? exchange : { ...exchange, body: JSON.stringify(body) });
      event.statusCode = answer.status;
      return parse<T>(answer);
    } catch (error) {
      event.level = 'warn';
      event.message = (error as Error).message;
      if (error instanceof PythonServiceError) event.errorCode = error.errorCode;
      throw error;
    } finally {
      event.elapsed = performance.now() - started;
      event.correlationId = headers['x-correlation-id'] ?? '';
      this.config.logger(event);
    }
  }

  /** Waits; a client that is disposed meanwhile gives the failure it was about to repeat. */
  async #pause(milliseconds: number, failure: unknown): Promise<void> {
    let closed = false;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        closed = true;
        clearTimeout(timer);
        resolve();
      };
      this.#pauses.add(wake);
      const timer = setTimeout(() => {
        this.#pauses.delete(wake);
        resolve();
      }, milliseconds);
    });
    if (closed) throw failure;
  }
}

function parse<T>(answer: Answer): T {
  const correlation = answer.headers['x-correlation-id'];
  const correlationId = Array.isArray(correlation) ? correlation[0] : correlation;
  let body: unknown;
  try {
    body = answer.body === '' ? undefined : JSON.parse(answer.body);
  } catch (error) {
    if (answer.status < 400) throw new PythonServiceError('the answer is not JSON', { statusCode: 502, errorCode: 'INVALID_ANSWER', cause: error });
  }
  if (answer.status >= 400) throw errorOf(answer.status, body, correlationId);
  return body as T;
}
