import { PythonServiceConnectionError, PythonServiceError, PythonServiceTimeoutError } from './errors.js';

/** Milliseconds to wait before repetition `attempt` (1 is the first): `retryDelay * 2^(attempt - 1)`. */
export function retryDelayOf(retryDelay: number, attempt: number): number {
  return retryDelay * 2 ** (attempt - 1);
}

/**
 * Whether a failed call is worth repeating: connection errors, timeouts, 408 and 5xx are; every other 4xx is not. Neither is a failure of
 * which Breakwater itself says that repeating cannot help.
 */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof PythonServiceError) || error.retryable === false) return false;
  if (error instanceof PythonServiceConnectionError || error instanceof PythonServiceTimeoutError) return true;
  return error.statusCode >= 500 || error.statusCode === 408;
}
