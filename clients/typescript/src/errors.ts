/** An error answer as Breakwater gives it (application/problem+json). Fields that are not there are unknown. */
export interface Problem {
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  correlation_id?: string;
  retryable?: boolean;
  retry_after_ms?: number;
  violations?: { pointer: string; message: string }[];
  details?: unknown;
  /** Of failures of the service behind an operation: what the client of that service would have said. */
  status_code?: number;
  error_code?: string;
}

/** What is known of a failure beside its message. */
export interface ErrorInfo {
  statusCode?: number;
  errorCode?: string;
  correlationId?: string;
  /** Whether Breakwater says that the same call may succeed later. */
  retryable?: boolean;
  violations?: { pointer: string; message: string }[];
  details?: unknown;
  cause?: unknown;
}

/** Every failure of a call. */
export class PythonServiceError extends Error {
  override readonly name: string = 'PythonServiceError';
  /** HTTP status that an application may pass on. */
  readonly statusCode: number;
  /** Stable code, such as `upstream.circuit-open`; docs/errors.md of Breakwater lists them. */
  readonly errorCode: string;
  /** Names the call in Breakwater's logs. */
  readonly correlationId: string | undefined;
  readonly retryable: boolean | undefined;
  /** What is wrong where, when the input does not fit the operation's schema. */
  readonly violations: readonly { pointer: string; message: string }[];
  readonly details: unknown;

  constructor(message: string, info: ErrorInfo = {}) {
    super(message, info.cause === undefined ? undefined : { cause: info.cause });
    this.statusCode = info.statusCode ?? 500;
    this.errorCode = info.errorCode ?? 'SERVICE_ERROR';
    this.correlationId = info.correlationId;
    this.retryable = info.retryable;
    this.violations = info.violations ?? [];
    this.details = info.details;
  }
}

/** The service cannot be reached: Breakwater itself, or nothing behind it answers (503). */
export class PythonServiceConnectionError extends PythonServiceError {
  override readonly name: string = 'PythonServiceConnectionError';

  constructor(message: string, info: Omit<ErrorInfo, 'statusCode'> = {}) {
    super(message, { errorCode: 'CONNECTION_ERROR', ...info, statusCode: 503 });
  }
}

/** No answer came in time (504). */
export class PythonServiceTimeoutError extends PythonServiceError {
  override readonly name: string = 'PythonServiceTimeoutError';

  constructor(message: string, info: Omit<ErrorInfo, 'statusCode'> = {}) {
    super(message, { errorCode: 'TIMEOUT_ERROR', ...info, statusCode: 504 });
  }
}

/** The error that an answer of status 400 or more stands for. */
export function errorOf(status: number, body: unknown, correlationId: string | undefined): PythonServiceError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Problem & { error?: unknown };
  const statusCode = problem.status_code ?? problem.status ?? status;
  const message = problem.detail ?? (typeof problem.error === 'string' ? problem.error : `the service answered ${status}`);
  const info: ErrorInfo = { statusCode, details: problem.details };
  const errorCode = problem.error_code ?? problem.code;
  if (errorCode !== undefined) info.errorCode = errorCode;
  const correlation = problem.correlation_id ?? correlationId;
  if (correlation !== undefined) info.correlationId = correlation;
  if (problem.retryable !== undefined) info.retryable = problem.retryable;
  if (problem.violations !== undefined) info.violations = problem.violations;
  if (statusCode === 504) return new PythonServiceTimeoutError(message, info);
  if (statusCode === 503 && problem.title === 'unavailable') return new PythonServiceConnectionError(message, info);
  return new PythonServiceError(message, info);
}
