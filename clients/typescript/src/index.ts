export type { Attachment, CallOptions, OperationAnswer } from './caller.js';
export { DEFAULT_CONFIG, ENVIRONMENT, type LogEvent, type PythonServiceConfig } from './config.js';
export { PythonServiceConnectionError, PythonServiceError, PythonServiceTimeoutError } from './errors.js';
export type { HealthStatus } from './health.js';
export type * from './images.js';
export * from './imageSearchClient.js';
export { PythonServiceClient, getPythonServiceClient, resetPythonServiceClient } from './pythonServiceClient.js';
export * from './talentServiceClient.js';
