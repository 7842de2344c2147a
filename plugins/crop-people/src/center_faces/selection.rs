//! Which faces to keep when not all of them fit, and where the window lies then.

use std::ops::RangeInclusive;

use breakwater_guest::{LargestWindow, Span};

use super::CenterFacesParameters;
use super::framing::{Faces, wish};
use crate::offset::{candidates, holds};

/// Of a crowd that does not fit, so many faces are considered: the work grows with the square.
const MOST: usize = 200;

/// The offset of the window: all faces inside if that can be, else the most by weight; within that, framed as well as can be.
pub(super) fn place(window: &LargestWindow, faces: &Faces, parameters: &CenterFacesParameters) -> u32 {
    if let Some(keeping) = window.keeping(faces.span()) {
        return nearest(window, &keeping, wish(window, faces, parameters));
    }
    let crowd = faces.heaviest(MOST);
    let kept = best_subset(window, &crowd);
    if kept.is_empty() {
        // Each of them is longer than the window: the heaviest is shown as far as it goes.
        return window.clamp(crowd.heaviest(1).span().middle() - f64::from(window.length()) / 2.0);
    }
    let wish = wish(window, &kept, parameters);
    let Some(keeping) = window.keeping(kept.span()) else { return window.clamp(wish) };
    let spans: Vec<Span> = crowd.iter().map(|face| face.span).collect();
    let order = |offset: &u32| (cut(&crowd, window.covers(*offset)), (f64::from(*offset) - wish).abs());
    candidates(window, &spans, nearest(window, &keeping, wish))
        .filter(|offset| keeping.contains(offset))
        .min_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b)))
        .unwrap_or(*keeping.start())
}

/// The weight of the faces that are partly inside.
pub(super) fn cut(faces: &Faces, covered: Span) -> f64 {
    let is_cut = |span: Span| span.overlap(covered) > 0.0 && !holds(covered, span);
    faces.iter().filter(|face| is_cut(face.span)).map(|face| face.weight).sum()
}

/// The faces that some offset keeps whole and that weigh the most together; those with the least cut beside them among equals.
fn best_subset(window: &LargestWindow, faces: &Faces) -> Faces {
    let spans: Vec<Span> = faces.iter().map(|face| face.span).collect();
    let mut best: Option<(f64, f64, Span)> = None;
    for offset in candidates(window, &spans, 0) {
        let covered = window.covers(offset);
        let kept: f64 = faces.iter().filter(|face| holds(covered, face.span)).map(|face| face.weight).sum();
        let cut = cut(faces, covered);
        if best.is_none_or(|(most, least, _)| kept > most || (kept == most && cut < least)) {
            best = Some((kept, cut, covered));
        }
    }
    best.map_or_else(|| faces.only(|_| false), |(.., covered)| faces.only(|span| holds(covered, span)))
}

fn nearest(window: &LargestWindow, keeping: &RangeInclusive<u32>, wish: f64) -> u32 {
    window.clamp(wish).clamp(*keeping.start(), *keeping.end())
}
