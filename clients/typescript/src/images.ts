import type { Attachment } from './caller.js';

/** Width to height, each 1 to 10000. */
export interface AspectRatio {
  width: number;
  height: number;
}

/** A place in pixels of the original. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type DetectionType = 'face' | 'person' | 'object';

/** One thing found. */
export interface Detection {
  kind: DetectionType;
  /** Class name, such as `dog`. */
  label?: string;
  /** 0 to 1. */
  confidence: number;
  box: Box;
  /** Of faces: right eye, left eye, nose tip, right and left corner of the mouth. */
  landmarks?: { x: number; y: number }[];
}

/** The picture: a path below Breakwater's media root, or bytes. Bytes travel as attachment. */
export interface ImageSource {
  image_path?: string;
  /** Base64, also as a `data:` URL. */
  image_base64?: string;
}

export interface DetectionRequest extends ImageSource {
  /** `face` and `person` when absent. */
  detection_types?: DetectionType[];
  /** 0 to 1; 0.5 when absent. */
  confidence_threshold?: number;
}

export interface DetectionResponse {
  detections: Detection[];
  /** Size of the picture. */
  image?: { width: number; height: number };
  [more: string]: unknown;
}

export interface CropRequest extends ImageSource {
  target_aspect_ratio: AspectRatio | string;
  /** Goes by these instead of detecting. */
  detection_results?: DetectionResponse | Detection[];
  /** `center_faces` when absent. */
  crop_strategy?: string;
  [more: string]: unknown;
}

export interface CropResponse {
  /** Where it was cut. */
  crop: Box;
  /** Path of the result below the media root; of pictures named by path. */
  output_path?: string;
  /** The result itself; of pictures given as bytes. */
  image_base64?: string;
  /** Size and format of the result. */
  output?: { width: number; height: number; format?: string; media_type?: string; bytes?: number };
  score?: number;
  [more: string]: unknown;
}

export interface BatchRequest {
  /** Paths. */
  images: string[];
  processing_options: {
    target_aspect_ratio?: AspectRatio | string;
    crop_strategy?: string;
    detection_types?: DetectionType[];
    [more: string]: unknown;
  };
}

export interface BatchResponse {
  /** One for each picture, in order. */
  results: Record<string, unknown>[];
  [more: string]: unknown;
}

export interface SheetRequest {
  /** Paths. */
  processed_images: string[];
  grid_layout: { rows: number; columns: number };
  sheet_orientation?: 'portrait' | 'landscape';
  output_format?: string;
  [more: string]: unknown;
}

export interface SheetResponse {
  /** Path of the sheet below the media root. */
  output_path?: string;
  /** The sheet itself, when it has no path. */
  file_base64?: string;
  [more: string]: unknown;
}

/** Leading characters of the base64 of each format that is recognised. */
const FORMATS = { '/9j/': 'image/jpeg', iVBORw: 'image/png', R0lGOD: 'image/gif', UklGR: 'image/webp' };

/** A request whose bytes, if it has some, are an attachment as operations want them. */
export function withAttachment<T extends ImageSource>(request: T): { input: Omit<T, 'image_base64'>; attachments?: Attachment[] } {
  const { image_base64: text, ...input } = request;
  if (text === undefined) return { input };
  const [, declared, content] = /^data:([^;,]+)[^,]*,(.*)$/s.exec(text) ?? [];
  const data = content ?? text;
  const known = Object.entries(FORMATS).find(([start]) => data.startsWith(start));
  return { input, attachments: [{ media_type: declared ?? known?.[1] ?? 'application/octet-stream', data }] };
}
