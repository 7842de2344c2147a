/** How a client reaches Breakwater. */
export interface PythonServiceConfig {
  /** Where Breakwater listens. */
  baseUrl: string;
  /** Milliseconds that one attempt may take, from sending to the last byte of the answer. */
  timeout: number;
  /** How often a failed call is repeated: 3 makes four attempts. */
  maxRetries: number;
  /** Milliseconds before the first repetition; each further pause is twice as long. */
  retryDelay: number;
  /** Most connections at once; further calls wait for one. */
  maxConnections: number;
  /** Milliseconds between health checks; 0 for none. */
  healthCheckInterval: number;
  /** Headers of every request, such as a key. */
  headers: Record<string, string>;
  /** Told of every attempt and every health check. */
  logger: (event: LogEvent) => void;
}

/** What a client does, for logs. */
export interface LogEvent {
  level: 'debug' | 'warn';
  message: string;
  method: string;
  path: string;
  /** 1 for the first. */
  attempt: number;
  /** Milliseconds it took. */
  elapsed: number;
  /** HTTP status, when there was an answer. */
  statusCode?: number;
  errorCode?: string;
  correlationId?: string;
}

/** What applies when neither an option nor the environment says otherwise. */
export const DEFAULT_CONFIG: Readonly<PythonServiceConfig> = Object.freeze({
  baseUrl: 'http://localhost:8000',
  timeout: 30_000,
  maxRetries: 3,
  retryDelay: 1_000,
  maxConnections: 10,
  healthCheckInterval: 60_000,
  headers: {},
  logger: () => {},
});

/** Environment variable of each option that has one. */
export const ENVIRONMENT = {
  baseUrl: 'PYTHON_SERVICE_URL',
  timeout: 'PYTHON_SERVICE_TIMEOUT',
  maxRetries: 'PYTHON_SERVICE_MAX_RETRIES',
  retryDelay: 'PYTHON_SERVICE_RETRY_DELAY',
  maxConnections: 'PYTHON_SERVICE_MAX_CONNECTIONS',
  healthCheckInterval: 'HEALTH_CHECK_INTERVAL',
} as const;

const LEAST = { timeout: 1, maxRetries: 0, retryDelay: 0, maxConnections: 1, healthCheckInterval: 0 } as const;
/** Node's timers know no longer pause. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * The configuration in force: options before the environment before the defaults.
 *
 * @throws {RangeError} when a value is no whole number in its range or the address is none; the message names where it came from.
 */
export function resolveConfig(options: Partial<PythonServiceConfig> = {}, environment: NodeJS.ProcessEnv = process.env): PythonServiceConfig {
  const config: PythonServiceConfig = { ...DEFAULT_CONFIG };
  if (environment[ENVIRONMENT.baseUrl]) config.baseUrl = address(environment[ENVIRONMENT.baseUrl], ENVIRONMENT.baseUrl);
  if (options.baseUrl !== undefined) config.baseUrl = address(options.baseUrl, 'baseUrl');
  for (const name of Object.keys(LEAST) as (keyof typeof LEAST)[]) {
    const text = environment[ENVIRONMENT[name]];
    if (text) config[name] = whole(Number(text.trim() || NaN), LEAST[name], ENVIRONMENT[name]);
    const option = options[name];
    if (option !== undefined) config[name] = whole(option, LEAST[name], name);
  }
  if (options.headers !== undefined) config.headers = { ...options.headers };
  if (options.logger !== undefined) config.logger = options.logger;
  return config;
}

function address(value: string | undefined, source: string): string {
  try {
    const url = new URL(value ?? '');
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(url.protocol);
    return url.href.replace(/\/+$/, '');
  } catch {
    throw new RangeError(`${source} is an http or https address, not ${JSON.stringify(value)}`);
  }
}

function whole(value: number, least: number, source: string): number {
  if (!Number.isInteger(value) || value < least || value > LONGEST_MS) {
    throw new RangeError(`${source} is a whole number from ${least} to ${LONGEST_MS}, not ${value}`);
  }
  return value;
}
