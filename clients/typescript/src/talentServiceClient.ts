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
  job_id: string;
  /** 0 to 1. */
  score: number;
  [more: string]: unknown;
}

/** State of one service behind Breakwater, as `GET /v1/upstreams` gives it. */
export interface UpstreamStatus {
  name: string;
  [more: string]: unknown;
}

export interface ServiceStatus {
  /** Whether Breakwater is ready. */
  ready: boolean;
  upstreams: UpstreamStatus[];
}

/** A feature flag. */
export interface FeatureFlag {
  enabled: boolean;
  /** Share of subjects it is on for, 0 to 100. */
  rollout?: number;
  [more: string]: unknown;
}

export type BreakerCommand = 'reset' | 'open' | 'close';

/** Résumés, matching jobs and analytics by an AI service, with basic answers when it fails. */
export class TalentServiceClient {
  readonly #caller: Caller;

  /** Options and environment variables are those of the Python service client; there are no health checks in the background. */
  constructor(options: Partial<PythonServiceConfig> = {}) {
    this.#caller = new Caller(resolveConfig(options));
  }

  /** A résumé for a posting. Degraded: from a template. */
  generateResume(userProfile: Document, jobPosting?: Document, options?: CallOptions): Promise<ServiceResult<Document>> {
    const input = jobPosting === undefined ? { user_profile: userProfile } : { user_profile: userProfile, job_posting: jobPosting };
    return this.#result('generate-resume', input, options);
  }

  /** The jobs that fit, best first. Degraded: by rules. */
  findMatchingJobs(userProfile: Document, jobs: Document[], options?: CallOptions): Promise<ServiceResult<{ matches: JobMatch[]; [more: string]: unknown }>> {
    return this.#result('find-matching-jobs', { user_profile: userProfile, jobs }, options);
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

  /** Closes the breaker of one upstream, or of all, and forgets what it counted. */
  async resetCircuitBreakers(upstream?: string): Promise<void> {
    const names = upstream === undefined ? (await this.#upstreams()).map((status) => status.name) : [upstream];
    for (const name of names) await this.setCircuitBreaker(name, 'reset');
  }

  /** Tells a breaker what to do: `open` and `close` hold it, `reset` lets it go by what it sees. */
  setCircuitBreaker(upstream: string, command: BreakerCommand): Promise<UpstreamStatus> {
    return this.#caller.request('POST', `/v1/upstreams/${encodeURIComponent(upstream)}/breaker`, { command });
  }

  /** Whether the flag is on for all who have it by its share: the flag itself, not a decision about one subject. */
  async isFeatureEnabled(flag: string): Promise<boolean> {
    return (await this.getFeatureFlag(flag)).enabled;
  }

  getFeatureFlag(flag: string): Promise<FeatureFlag> {
    return this.#caller.request('GET', `/v1/flags/${encodeURIComponent(flag)}`);
  }

  /** Sets the flag for all processes on one store. */
  updateFeatureFlag(flag: string, value: FeatureFlag): Promise<FeatureFlag> {
    return this.#caller.request('PUT', `/v1/flags/${encodeURIComponent(flag)}`, value);
  }

  /** Connects to the services ahead of the first call, and says how that went. */
  warmUpService(): Promise<Document> {
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
