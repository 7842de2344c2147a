import { type CallOptions, Caller, type OperationAnswer } from './caller.js';
import { type PythonServiceConfig, resolveConfig } from './config.js';
import { PythonServiceError } from './errors.js';

/** A document of the application; Breakwater's schema of the operation says what is in it. */
export type Document = Record<string, unknown>;

/** Either an answer or a failure; nothing is thrown. */
export type ServiceResult<T> =
  | { success: true; data: T; meta: Omit<OperationAnswer<T>, 'output'> }
  | { success: false; error: PythonServiceError };

export interface JobMatch {
  jobId: string;
  /** 0 to 1. */
  score: number;
  [more: string]: unknown;
}

export interface JobMatches {
  /** Best first. */
  matches: JobMatch[];
  /** How many jobs were looked at. */
  total: number;
  [more: string]: unknown;
}

export interface MatchOptions extends CallOptions {
  /** The most matches given; 10 when absent. */
  limit?: number;
  /** The least score given, 0 to 1; 0 when absent. */
  minScore?: number;
}

/** State of one service behind Breakwater. */
export interface UpstreamStatus {
  name: string;
  state: 'up' | 'degraded' | 'down' | 'isolated';
  /** Whether an endpoint is well, as health checks and heartbeats say. */
  healthy: boolean;
  breaker: 'closed' | 'open' | 'half-open' | 'forced-open' | 'forced-closed';
  /** Calls that failed in a row. */
  consecutive_failures: number;
  [more: string]: unknown;
}

export interface ServiceStatus {
  /** Whether Breakwater is ready. */
  ready: boolean;
  upstreams: UpstreamStatus[];
}

/** How connecting to the services went. */
export interface WarmUp {
  /** Whether every endpoint of every service answered as it should. */
  ok: boolean;
  upstreams: { name: string; ok: boolean; [more: string]: unknown }[];
}

/** A feature flag. */
export interface FeatureFlag {
  /** Off means off for everybody. */
  enabled: boolean;
  /** Share of subjects that no rule decides about, 0 to 100; 100 when absent. */
  rollout?: number;
  /** Asked in order; the first that matches decides. */
  rules?: unknown[];
  description?: string;
  [more: string]: unknown;
}

/** For whom a flag is evaluated. */
export interface FlagCaller {
  subject?: string;
  tenant?: string;
  attributes?: Record<string, string>;
}

/** `open` and `close` hold a breaker until it is reset. */
export type BreakerAction = 'reset' | 'open' | 'close';

/** Résumés, matching jobs and analytics by an AI service, with basic answers when it fails. */
export class TalentServiceClient {
  readonly #caller: Caller;

  /** Options and environment variables are those of the Python service client; there are no health checks in the background. */
  constructor(options: Partial<PythonServiceConfig> = {}) {
    this.#caller = new Caller(resolveConfig(options));
  }

  /** A résumé, for a posting if there is one. Degraded: from a template. */
  generateResume(userProfile: Document, jobPosting?: Document, options?: CallOptions): Promise<ServiceResult<Document>> {
    return this.#result('generate-resume', { userProfile, jobPosting }, options);
  }

  /** The jobs that fit, best first, among those given or those that the service knows. Degraded: by rules. */
  findMatchingJobs(userProfile: Document, jobPostings?: Document[], options?: MatchOptions): Promise<ServiceResult<JobMatches>> {
    const { limit, minScore, ...rest } = options ?? {};
    return this.#result('find-matching-jobs', { userProfile, jobPostings, limit, minScore }, rest);
  }

  /** Figures about applications. Degraded: counted from the input. */
  calculateAnalytics(input: Document, options?: CallOptions): Promise<ServiceResult<Document>> {
    return this.#result('calculate-analytics', input, options);
  }

  /** State of Breakwater and of every service behind it. */
  async getServiceStatus(): Promise<ServiceStatus> {
    const ready = await this.#caller.probe('/readyz').then(
      (answer) => answer.status === 200,
      () => false,
    );
    return { ready, upstreams: await this.#upstreams() };
  }

  /** Begins anew with one service, or with all: closes its breaker, forgets what it counted, and checks every endpoint. */
  async resetCircuitBreakers(upstream?: string): Promise<void> {
    const names = upstream === undefined ? (await this.#upstreams()).map((status) => status.name) : [upstream];
    for (const name of names) await this.#caller.request('POST', `/v1/upstreams/${encodeURIComponent(name)}/reset`);
  }

  /** Holds a breaker open or closed, or lets it go. */
  setCircuitBreaker(upstream: string, action: BreakerAction): Promise<UpstreamStatus> {
    return this.#caller.request('POST', `/v1/upstreams/${encodeURIComponent(upstream)}/breaker`, { action });
  }

  /** Whether the flag is on for somebody. A flag that does not exist is an error. */
  async isFeatureEnabled(flag: string, caller: FlagCaller = {}): Promise<boolean> {
    const query = new URLSearchParams();
    if (caller.subject !== undefined) query.set('subject', caller.subject);
    if (caller.tenant !== undefined) query.set('tenant', caller.tenant);
    if (caller.attributes !== undefined) query.set('attributes', JSON.stringify(caller.attributes));
    const path = `/v1/flags/${encodeURIComponent(flag)}/evaluate${query.size > 0 ? `?${query.toString()}` : ''}`;
    return (await this.#caller.request<{ enabled: boolean }>('GET', path)).enabled;
  }

  getFeatureFlag(flag: string): Promise<FeatureFlag> {
    return this.#caller.request('GET', `/v1/flags/${encodeURIComponent(flag)}`);
  }

  /** Stores the flag in the place of what it was, for all processes on one store. */
  updateFeatureFlag(flag: string, value: FeatureFlag): Promise<FeatureFlag> {
    return this.#caller.request('PUT', `/v1/flags/${encodeURIComponent(flag)}`, value);
  }

  /** Connects to the services ahead of the first call. A service that does not answer is no error, but `ok` is false. */
  warmUpService(): Promise<WarmUp> {
    return this.#caller.request('POST', '/v1/warm-up', {});
  }

  /** Ends all connections. */
  dispose(): void {
    this.#caller.close();
  }

  async #upstreams(): Promise<UpstreamStatus[]> {
    const { upstreams } = await this.#caller.request<{ upstreams: UpstreamStatus[] }>('GET', '/v1/upstreams');
    return upstreams;
  }

  async #result<T>(operation: string, input: unknown, options?: CallOptions): Promise<ServiceResult<T>> {
    try {
      const { output, ...meta } = await this.#caller.operation<T>(operation, input, options);
      return { success: true, data: output, meta };
    } catch (error) {
      if (error instanceof PythonServiceError) return { success: false, error };
      throw error;
    }
  }
}
