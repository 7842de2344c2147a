import type { Caller } from './caller.js';

/** What the last health check found. */
export interface HealthStatus {
  healthy: boolean;
  /** `healthy`, or why not. */
  status: string;
  /** Milliseconds the check took. */
  responseTime: number;
  checkedAt: Date;
  /** Failed checks since the last good one. */
  consecutiveFailures: number;
  /** What Breakwater said of its parts. */
  details?: unknown;
}

/** A timer that never fires while somebody waits. */
const LONG = 2 ** 30;

/** Asks again and again whether the service is ready. */
export class HealthMonitor {
  readonly #caller: Caller;
  readonly #timer: NodeJS.Timeout | undefined;
  #last: HealthStatus | undefined;
  #failures = 0;
  #running: Promise<HealthStatus> | undefined;

  /** Checks at once and then at every `interval` milliseconds; never when it is 0. No check keeps the process alive. */
  constructor(caller: Caller, interval: number) {
    this.#caller = caller;
    if (interval > 0) {
      this.#timer = setInterval(() => void this.#shared(), interval);
      this.#timer.unref();
      void this.#shared();
    }
  }

  /** Whether the last check was good; good until a check says otherwise. */
  get healthy(): boolean {
    return this.#last?.healthy ?? true;
  }

  /** What the last check found; nothing before the first. */
  get last(): HealthStatus | undefined {
    return this.#last;
  }

  /** Checks now. Never fails: a service that does not answer is unhealthy. Checks at the same time are one. */
  check(): Promise<HealthStatus> {
    // Connections of checks do not keep the process alive; somebody who waits for one does.
    const awaited = setInterval(() => {}, LONG);
    return this.#shared().finally(() => clearInterval(awaited));
  }

  #shared(): Promise<HealthStatus> {
    this.#running ??= this.#check().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** No further checks. */
  stop(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<HealthStatus> {
    const started = performance.now();
    let status = 'healthy';
    let details: unknown;
    try {
      const answer = await this.#caller.probe('/readyz', true);
      if (answer.status !== 200) status = `status ${answer.status}`;
      details = JSON.parse(answer.body);
    } catch (error) {
      if (status === 'healthy') status = (error as Error).message;
    }
    const healthy = status === 'healthy';
    this.#failures = healthy ? 0 : this.#failures + 1;
    const responseTime = performance.now() - started;
    this.#last = { healthy, status, responseTime, checkedAt: new Date(), consecutiveFailures: this.#failures, details };
    return this.#last;
  }
}
