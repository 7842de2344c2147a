//! Between the contract's types and the core vocabulary.

use std::time::Duration;

use breakwater_core::{Bounds, CropPlan, Detection, DetectionKind, Effect, Failure, FailureKind, Point, Rect, Size, Term};

use crate::bindings::breakwater::plugin::{detections, geometry, types};
use crate::bindings::crop::exports::breakwater::plugin::crop_strategy;

/// The longest message of a guest's failure that is kept, in bytes.
const MAX_MESSAGE: usize = 1024;
/// The longest detail of a guest's failure that is kept, in bytes.
const MAX_DETAIL: usize = 16 << 10;
/// The longest code of a guest's failure, in bytes.
const MAX_CODE: usize = 64;

pub(crate) fn size_to_guest(size: Size) -> geometry::Size {
    geometry::Size { width: size.width, height: size.height }
}

pub(crate) fn rect_from_guest(rect: geometry::Rect) -> Rect {
    Rect::new(rect.x, rect.y, rect.width, rect.height)
}

pub(crate) fn kind_to_guest(kind: DetectionKind) -> detections::Kind {
    match kind {
        DetectionKind::Face => detections::Kind::Face,
        DetectionKind::Person => detections::Kind::Person,
        DetectionKind::Object => detections::Kind::Object,
    }
}

pub(crate) fn kind_from_guest(kind: detections::Kind) -> DetectionKind {
    match kind {
        detections::Kind::Face => DetectionKind::Face,
        detections::Kind::Person => DetectionKind::Person,
        detections::Kind::Object => DetectionKind::Object,
    }
}

pub(crate) fn detection_to_guest(detection: &Detection) -> detections::Detection {
    let Bounds { x, y, width, height } = detection.bounds;
    detections::Detection {
        kind: kind_to_guest(detection.kind),
        label: detection.label.clone(),
        confidence: detection.confidence,
        bounds: geometry::Bounds { x, y, width, height },
        landmarks: detection.landmarks.iter().map(|&Point { x, y }| geometry::Point { x, y }).collect(),
    }
}

pub(crate) fn plan_from_guest(plan: crop_strategy::CropPlan) -> CropPlan {
    let term = |term: crop_strategy::Term| Term { name: term.name, weight: term.weight, value: term.value };
    CropPlan { crop: rect_from_guest(plan.crop), score: plan.score, reasons: plan.terms.into_iter().map(term).collect() }
}

/// What a guest is told of a failure in the host. The cause chain stays here, and so does the message of a defect.
pub(crate) fn failure_to_guest(failure: &Failure) -> types::Failure {
    let internal = failure.kind == FailureKind::Internal;
    types::Failure {
        kind: failure_kind_to_guest(failure.kind),
        code: failure.code.clone().into_owned(),
        message: if internal { "internal error".to_owned() } else { failure.message.clone() },
        retryable: failure.retryable,
        retry_after_ms: failure.retry_after.map(|wait| u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)),
        effect: match failure.effect {
            Effect::None => types::EffectState::None,
            Effect::Unknown => types::EffectState::Unknown,
            Effect::Applied => types::EffectState::Applied,
        },
        detail: failure.detail.as_ref().map(ToString::to_string).filter(|detail| detail.len() <= MAX_DETAIL),
    }
}

/// A failure that a guest returned, cut to the contract's bounds.
pub(crate) fn failure_from_guest(failure: types::Failure) -> Failure {
    let code = if is_code(&failure.code) { failure.code } else { "plugin.failed".to_owned() };
    let mut converted = Failure::new(failure_kind_from_guest(failure.kind), code, truncated(failure.message, MAX_MESSAGE));
    converted.retryable = failure.retryable;
    converted.retry_after = failure.retry_after_ms.map(|millis| Duration::from_millis(millis.into()));
    converted.effect = match failure.effect {
        types::EffectState::None => Effect::None,
        types::EffectState::Unknown => Effect::Unknown,
        types::EffectState::Applied => Effect::Applied,
    };
    let detail = failure.detail.filter(|detail| detail.len() <= MAX_DETAIL);
    converted.detail = detail.and_then(|detail| serde_json::from_str(&detail).ok());
    converted
}

/// Cuts at the last character that fits.
pub(crate) fn truncated(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
    text
}

/// Lower-case words joined by `.` and `-`.
fn is_code(code: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
    };
    code.len() <= MAX_CODE && code.split('.').all(word)
}

fn failure_kind_to_guest(kind: FailureKind) -> types::FailureKind {
    match kind {
        FailureKind::InvalidRequest => types::FailureKind::InvalidRequest,
        FailureKind::NotFound => types::FailureKind::NotFound,
        FailureKind::Denied => types::FailureKind::Denied,
        FailureKind::Unavailable => types::FailureKind::Unavailable,
        FailureKind::Timeout => types::FailureKind::Timeout,
        FailureKind::CircuitOpen => types::FailureKind::CircuitOpen,
        FailureKind::BudgetExhausted => types::FailureKind::BudgetExhausted,
        FailureKind::Rejected => types::FailureKind::Rejected,
        FailureKind::Limit => types::FailureKind::Limit,
        FailureKind::Internal => types::FailureKind::Internal,
        FailureKind::Other => types::FailureKind::Other,
    }
}

fn failure_kind_from_guest(kind: types::FailureKind) -> FailureKind {
    match kind {
        types::FailureKind::InvalidRequest => FailureKind::InvalidRequest,
        types::FailureKind::NotFound => FailureKind::NotFound,
        types::FailureKind::Denied => FailureKind::Denied,
        types::FailureKind::Unavailable => FailureKind::Unavailable,
        types::FailureKind::Timeout => FailureKind::Timeout,
        types::FailureKind::CircuitOpen => FailureKind::CircuitOpen,
        types::FailureKind::BudgetExhausted => FailureKind::BudgetExhausted,
        types::FailureKind::Rejected => FailureKind::Rejected,
        types::FailureKind::Limit => FailureKind::Limit,
        types::FailureKind::Internal => FailureKind::Internal,
        types::FailureKind::Other => FailureKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest_failure(code: &str, message: &str, detail: Option<&str>) -> types::Failure {
        types::Failure {
            kind: types::FailureKind::InvalidRequest,
            code: code.to_owned(),
            message: message.to_owned(),
            retryable: false,
            retry_after_ms: Some(5),
            effect: types::EffectState::Unknown,
            detail: detail.map(str::to_owned),
        }
    }

    #[test]
    fn a_guests_failure_is_cut_to_the_bounds_of_the_contract() {
        let long = "é".repeat(1000);
        let failure = failure_from_guest(guest_failure("Bad Code\n", &long, Some("{not json")));
        assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "plugin.failed"));
        assert_eq!(failure.message.len(), 1024);
        assert_eq!((failure.detail, failure.effect), (None, Effect::Unknown));
        let failure = failure_from_guest(guest_failure("portrait.no-face", "no face", Some("{\"a\":1}")));
        assert_eq!(&*failure.code, "portrait.no-face");
        assert_eq!(failure.detail, Some(serde_json::json!({"a": 1})));
        assert_eq!(failure.retry_after, Some(Duration::from_millis(5)));
    }

    #[test]
    fn the_message_of_a_defect_does_not_reach_the_guest() {
        let told = failure_to_guest(&Failure::internal("the pool lost /var/lib/x"));
        assert_eq!(told.message, "internal error");
    }
}
