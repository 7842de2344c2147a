//! What goes over the wire in both directions: the same names in every route.

use std::time::Duration;

use breakwater_core::{Bounds, DetectionKind, Point, Reason, Rect, Term};
use breakwater_operations::PluginIdentity;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is left of something that was removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Removed)]
pub(crate) struct RemovedBody {
    /// What it was named.
    id: String,
    /// Always true.
    deleted: bool,
}

impl RemovedBody {
    /// Of what had this id.
    pub(crate) fn of(id: impl Into<String>) -> Self {
        Self { id: id.into(), deleted: true }
    }
}

/// A box with sub-pixel edges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Box)]
pub(crate) struct BoxBody {
    /// Left edge.
    pub(crate) x: f32,
    /// Top edge.
    pub(crate) y: f32,
    /// Width.
    pub(crate) width: f32,
    /// Height.
    pub(crate) height: f32,
}

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Point)]
pub(crate) struct PointBody {
    /// From the left edge.
    pub(crate) x: f32,
    /// From the top edge.
    pub(crate) y: f32,
}

/// A rectangle of whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Rectangle)]
pub(crate) struct RectBody {
    /// Left edge.
    pub(crate) x: u32,
    /// Top edge.
    pub(crate) y: u32,
    /// Columns.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
}

impl From<Rect> for RectBody {
    fn from(Rect { x, y, width, height }: Rect) -> Self {
        Self { x, y, width, height }
    }
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Size)]
pub(crate) struct SizeBody {
    /// Columns.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
}

impl From<breakwater_core::Size> for SizeBody {
    fn from(size: breakwater_core::Size) -> Self {
        Self { width: size.width, height: size.height }
    }
}

/// Something found in a picture, in pixels of the original after EXIF orientation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Detection)]
pub(crate) struct DetectionBody {
    /// `face`, `person` or `object`.
    #[schema(value_type = String, example = "face")]
    pub(crate) kind: DetectionKind,
    /// Class name, such as `dog`; the kind when absent.
    #[serde(default)]
    pub(crate) label: String,
    /// 0 to 1.
    pub(crate) confidence: f32,
    /// Where it is.
    #[serde(rename = "box")]
    pub(crate) bounds: BoxBody,
    /// For faces: right eye, left eye, nose tip, right and left corner of the mouth.
    #[serde(default)]
    pub(crate) landmarks: Vec<PointBody>,
}

impl From<breakwater_core::Detection> for DetectionBody {
    fn from(found: breakwater_core::Detection) -> Self {
        let Bounds { x, y, width, height } = found.bounds;
        let landmarks = found.landmarks.into_iter().map(|Point { x, y }| PointBody { x, y }).collect();
        let bounds = BoxBody { x, y, width, height };
        Self { kind: found.kind, label: found.label, confidence: found.confidence, bounds, landmarks }
    }
}

impl From<DetectionBody> for breakwater_core::Detection {
    fn from(body: DetectionBody) -> Self {
        let BoxBody { x, y, width, height } = body.bounds;
        let label = if body.label.is_empty() { body.kind.name().to_owned() } else { body.label };
        let landmarks = body.landmarks.into_iter().map(|PointBody { x, y }| Point { x, y }).collect();
        Self { kind: body.kind, label, confidence: body.confidence, bounds: Bounds { x, y, width, height }, landmarks }
    }
}

/// One reason for a choice.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Term)]
pub(crate) struct TermBody {
    /// What was measured, such as `faces_kept`.
    pub(crate) name: String,
    /// How much it counts.
    pub(crate) weight: f32,
    /// What it came to.
    pub(crate) value: f32,
}

impl From<Term> for TermBody {
    fn from(Term { name, weight, value }: Term) -> Self {
        Self { name, weight, value }
    }
}

/// What failed before the answer was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Reason)]
pub(crate) struct ReasonBody {
    /// Who failed, such as `plugin:crop-people@0.1.0`.
    pub(crate) provider: String,
    /// The failure's stable code.
    pub(crate) code: String,
    /// What was wrong.
    pub(crate) message: String,
}

impl From<Reason> for ReasonBody {
    fn from(Reason { provider, code, message }: Reason) -> Self {
        Self { provider, code, message }
    }
}

/// The generation of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PluginIdentity)]
pub(crate) struct PluginBody {
    /// Its id.
    pub(crate) id: String,
    /// Its version.
    pub(crate) version: String,
    /// Digest of the generation: code, configuration and grants.
    pub(crate) digest: String,
    /// Digest of the component alone.
    pub(crate) code_digest: String,
}

impl From<PluginIdentity> for PluginBody {
    fn from(plugin: PluginIdentity) -> Self {
        let (digest, code_digest) = (plugin.digest.to_string(), plugin.code_digest.to_string());
        Self { id: plugin.id, version: plugin.version, digest, code_digest }
    }
}

/// Milliseconds with a resolution of a microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// Whole milliseconds.
pub(crate) fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Turns every element over.
pub(crate) fn each<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(U::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detection_survives_the_way_out_and_back() {
        let text = r#"{"kind":"face","confidence":0.5,"box":{"x":1,"y":2,"width":3,"height":4},"landmarks":[{"x":1,"y":2}]}"#;
        let body: DetectionBody = serde_json::from_str(text).unwrap();
        let detection = breakwater_core::Detection::from(body.clone());
        assert_eq!(detection.label, "face");
        let again = serde_json::to_string(&DetectionBody::from(detection.clone())).unwrap();
        assert_eq!(breakwater_core::Detection::from(serde_json::from_str::<DetectionBody>(&again).unwrap()), detection);
    }

    #[test]
    fn milliseconds_keep_microseconds() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.234);
    }
}
