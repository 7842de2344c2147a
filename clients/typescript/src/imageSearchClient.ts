import { type CallOptions, Caller } from './caller.js';
import { type PythonServiceConfig, resolveConfig } from './config.js';

/** A product to store. At most one of the pictures; without any, and without a vector, those of the stored product stay. */
export interface ProductInput {
  title?: string;
  category?: string;
  attributes?: Record<string, string>;
  /** 0 to 1; 1 when absent. */
  quality?: number;
  /** Path below Breakwater's media root. */
  image_path?: string;
  /** Base64, also as a `data:` URL. */
  image_base64?: string;
  image_url?: string;
  image_name?: string;
  /** Numbers made elsewhere. */
  vector?: number[];
  vector_model?: string;
}

/** A product as it is stored. */
export interface Product {
  id: string;
  title: string;
  category: string;
  attributes: Record<string, string>;
  image: string;
  quality: number;
  perceptual_hash: string | null;
  image_digest: string | null;
}

/** What is looked for: exactly one of the first six. */
export interface SearchRequest {
  text?: string;
  image_path?: string;
  image_base64?: string;
  image_url?: string;
  vector?: number[];
  product_id?: string;
  model?: string;
  /** Products on a page, 1 to 100. */
  limit?: number;
  /** `next_cursor` of the page before; only `limit` may be another. */
  cursor?: string;
  categories?: string[];
  attributes?: Record<string, string>;
  min_quality?: number;
  min_similarity?: number;
  fold_duplicates?: boolean;
  exact?: boolean;
  [more: string]: unknown;
}

/** A page of what was found, best first. */
export interface SearchResponse {
  items: { product: Product; similarity: number; score: number; duplicates: string[] }[];
  next_cursor?: string;
  model: string;
  space: string;
  /** Whether another model's numbers were compared, or somebody else than the first choice answered. */
  degraded: boolean;
  served_by: string;
  [more: string]: unknown;
}

/** A text or a picture. */
export type EmbeddingInput = string | { text: string } | { image: string } | { image_url: string };

/** Numbers, one list for each input. */
export interface EmbeddingsResponse {
  object: 'list';
  data: { object: 'embedding'; index: number; embedding: number[] }[];
  model: string;
  space: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

/** How far an import has come. */
export interface ImportStatus {
  name: string;
  state: 'running' | 'finished' | 'cancelled' | 'interrupted';
  position: number;
  total: number | null;
  stored: number;
  failed: number;
  [more: string]: unknown;
}

/** Products that look alike, and the numbers they are compared by. */
export class ImageSearchClient {
  readonly #caller: Caller;

  /** Options and environment variables are those of the Python service client; there are no health checks in the background. */
  constructor(options: Partial<PythonServiceConfig> = {}) {
    this.#caller = new Caller(resolveConfig(options));
  }

  /** Finds products. */
  search(request: SearchRequest, options?: CallOptions): Promise<SearchResponse> {
    return this.#caller.request('POST', '/v1/search', request, options);
  }

  /** Every page of a search, one after the other. */
  async *pages(request: SearchRequest, options?: CallOptions): AsyncGenerator<SearchResponse> {
    for (let cursor = request.cursor; ; ) {
      const page = await this.search(cursor === undefined ? request : { ...request, cursor }, options);
      yield page;
      if (page.next_cursor === undefined) return;
      cursor = page.next_cursor;
    }
  }

  /** Turns texts and pictures into numbers. */
  embed(input: string | EmbeddingInput[], model?: string, options?: CallOptions): Promise<EmbeddingsResponse> {
    return this.#caller.request('POST', '/v1/embeddings', { input, model }, options);
  }

  /** Stores a product in the place of the one with this id. */
  putProduct(id: string, product: ProductInput, options?: CallOptions): Promise<{ product: Product; created: boolean; indexed: boolean }> {
    return this.#caller.request('PUT', `/v1/products/${encodeURIComponent(id)}`, product, options);
  }

  getProduct(id: string): Promise<Product> {
    return this.#caller.request('GET', `/v1/products/${encodeURIComponent(id)}`);
  }

  deleteProduct(id: string): Promise<{ product: Product; indexed: boolean }> {
    return this.#caller.request('DELETE', `/v1/products/${encodeURIComponent(id)}`);
  }

  /** Makes the pictures of a folder below the media root findable, in the background. */
  importFolder(folder: string, name?: string): Promise<ImportStatus> {
    return this.#caller.request('POST', '/v1/products/import', { folder, name });
  }

  getImport(name: string): Promise<ImportStatus> {
    return this.#caller.request('GET', `/v1/imports/${encodeURIComponent(name)}`);
  }

  cancelImport(name: string): Promise<ImportStatus> {
    return this.#caller.request('DELETE', `/v1/imports/${encodeURIComponent(name)}`);
  }

  /** Ends all connections. */
  dispose(): void {
    this.#caller.close();
  }
}
