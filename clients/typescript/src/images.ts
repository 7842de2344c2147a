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

/** The picture: a path below Breakwater's media root, or bytes. */
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
  /** Path of the result below the media root. */
  output_path?: string | null;
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
  output_path?: string | null;
  [more: string]: unknown;
}
