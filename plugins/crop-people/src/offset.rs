//! Offsets of a window at which something changes.

use breakwater_guest::{LargestWindow, Span};

/// The whole offsets at which an edge of the window passes an edge of one of the spans, those beside them, and `wish`.
///
/// What is piecewise linear or constant in the offset between such passings has its best value at one of these.
pub(crate) fn candidates<'a>(window: &'a LargestWindow, spans: &'a [Span], wish: u32) -> impl Iterator<Item = u32> + 'a {
    let length = f64::from(window.length());
    let passings = spans.iter().flat_map(move |span| [span.low, span.high, span.low - length, span.high - length]);
    let beside = passings.flat_map(|place| [place.floor() - 1.0, place.floor(), place.ceil(), place.ceil() + 1.0]);
    beside.map(|place| window.clamp(place)).chain([wish.min(window.room())])
}

/// Whether all of `span` is inside `covered`.
pub(crate) fn holds(covered: Span, span: Span) -> bool {
    covered.low <= span.low && span.high <= covered.high
}
