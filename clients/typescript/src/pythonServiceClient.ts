import { type CallOptions, Caller, type OperationAnswer } from './caller.js';
import { type PythonServiceConfig, resolveConfig } from './config.js';
import { HealthMonitor, type HealthStatus } from './health.js';
import {
  type BatchRequest,
  type BatchResponse,
  type CropRequest,
  type CropResponse,
  type DetectionRequest,
  type DetectionResponse,
  type SheetRequest,
  type SheetResponse,
  withAttachment,
} from './images.js';

/** Looks for things in pictures, cuts them and puts them on sheets. */
export class PythonServiceClient {
  readonly #caller: Caller;
  readonly #health: HealthMonitor;

  /** @throws {RangeError} when an option or an environment variable is out of range. */
  constructor(options: Partial<PythonServiceConfig> = {}) {
    this.#caller = new Caller(resolveConfig(options));
    this.#health = new HealthMonitor(this.#caller, this.#caller.config.healthCheckInterval);
  }

  /** The options in force. */
  get config(): Readonly<PythonServiceConfig> {
    return this.#caller.config;
  }

  /** Calls under way, waiting for a connection, or waiting to be repeated. */
  get pending(): number {
    return this.#caller.pending;
  }

  /** Finds faces, people and things. The answer may be given to `cropImage` as it is. */
  async detectObjects(request: DetectionRequest, options?: CallOptions): Promise<DetectionResponse> {
    const { input, ...attachments } = withAttachment(request);
    return (await this.call<DetectionResponse>('detect-objects', input, { ...options, ...attachments })).output;
  }

  /** Cuts a picture to a ratio. The result comes the way the picture went: as a path, or as bytes. */
  async cropImage(request: CropRequest, options?: CallOptions): Promise<CropResponse> {
    const { input, ...attachments } = withAttachment(request);
    const answer = await this.call<CropResponse>('crop-image', input, { ...options, ...attachments });
    const data = answer.attachments?.[0]?.data;
    return data === undefined ? answer.output : { ...answer.output, image_base64: data };
  }

  /** Does the same to many pictures. */
  async processBatch(request: BatchRequest, options?: CallOptions): Promise<BatchResponse> {
    return (await this.call<BatchResponse>('process-batch', request, options)).output;
  }

  /** Puts pictures on sheets. */
  async composeSheet(request: SheetRequest, options?: CallOptions): Promise<SheetResponse> {
    const answer = await this.call<SheetResponse>('compose-sheet', request, options);
    const data = answer.attachments?.[0]?.data;
    return data === undefined ? answer.output : { ...answer.output, file_base64: data };
  }

  /**
   * Any operation, with where its answer came from.
   *
   * @throws {PythonServiceError} the last failure, when no try succeeded.
   */
  call<T>(operation: string, input: unknown, options?: CallOptions): Promise<OperationAnswer<T>> {
    return this.#caller.operation<T>(operation, input, options);
  }

  /** Checks now. Never fails: a service that does not answer is unhealthy. */
  checkHealth(): Promise<HealthStatus> {
    return this.#health.check();
  }

  /** Whether the last check was good; good until a check says otherwise. */
  getHealthStatus(): boolean {
    return this.#health.healthy;
  }

  /** Ends checks and connections. Calls under way fail, and so does every later one. */
  dispose(): void {
    this.#health.stop();
    this.#caller.close();
  }
}

let shared: PythonServiceClient | undefined;

/** The client that the whole process shares. Options count only for the call that makes it. */
export function getPythonServiceClient(options?: Partial<PythonServiceConfig>): PythonServiceClient {
  shared ??= new PythonServiceClient(options);
  return shared;
}

/** Disposes of the shared client; the next call of `getPythonServiceClient` makes another. */
export function resetPythonServiceClient(): void {
  shared?.dispose();
  shared = undefined;
}
