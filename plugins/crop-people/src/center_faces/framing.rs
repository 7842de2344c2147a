//! Where a group of faces should lie in a window.

use breakwater_guest::{Axis, Detection, LargestWindow, Span};

use super::CenterFacesParameters;

/// One face, as far as framing needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Face {
    /// What it takes of the axis the window moves on.
    pub(super) span: Span,
    /// Area times confidence.
    pub(super) weight: f64,
    top: f64,
    height: f64,
    width: f64,
}

/// A group of faces.
#[derive(Debug, Clone)]
pub(super) struct Faces {
    faces: Vec<Face>,
}

impl Faces {
    pub(super) fn new(found: &[Detection], window: &LargestWindow) -> Self {
        let face = |one: &Detection| Face {
            span: window.along(&one.bounds),
            weight: f64::from(one.weight()),
            top: f64::from(one.bounds.y),
            height: f64::from(one.bounds.height),
            width: f64::from(one.bounds.width),
        };
        Self { faces: found.iter().map(face).collect() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Face> {
        self.faces.iter()
    }

    /// Those whose span is as asked.
    pub(super) fn only(&self, wanted: impl Fn(Span) -> bool) -> Self {
        Self { faces: self.faces.iter().copied().filter(|face| wanted(face.span)).collect() }
    }

    /// The `most` heaviest.
    pub(super) fn heaviest(&self, most: usize) -> Self {
        let mut faces = self.faces.clone();
        faces.sort_unstable_by(|a, b| b.weight.total_cmp(&a.weight));
        faces.truncate(most);
        Self { faces }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faces.is_empty()
    }

    pub(super) fn weight(&self) -> f64 {
        self.faces.iter().map(|face| face.weight).sum()
    }

    /// The span around all of them.
    pub(super) fn span(&self) -> Span {
        let spans = self.faces.iter().map(|face| face.span);
        spans.reduce(Span::union).unwrap_or(Span { low: 0.0, high: 0.0 })
    }

    /// The mean of their middles, by weight.
    fn middle(&self) -> f64 {
        let weight = self.weight();
        if weight > 0.0 {
            self.faces.iter().map(|face| face.span.middle() * face.weight).sum::<f64>() / weight
        } else {
            self.span().middle()
        }
    }

    /// The face at one end of the group.
    fn outermost(&self, order: impl Fn(&Face) -> f64) -> Option<&Face> {
        self.faces.iter().min_by(|a, b| order(a).total_cmp(&order(b)))
    }

    /// How much of the wanted headroom a crop with this upper edge leaves, 0..=1. Where the picture ends there is no more to be had.
    pub(super) fn headroom(&self, upper_edge: u32, wanted: f32) -> f32 {
        let Some(topmost) = self.outermost(|face| face.top) else { return 0.0 };
        let wanted = (f64::from(wanted) * topmost.height).min(topmost.top);
        let left = topmost.top - f64::from(upper_edge);
        if wanted > 0.0 { (left / wanted).clamp(0.0, 1.0) as f32 } else { 1.0 }
    }
}

/// The offset at which a group is framed best, if nothing but framing counted.
pub(super) fn wish(window: &LargestWindow, faces: &Faces, parameters: &CenterFacesParameters) -> f64 {
    let length = f64::from(window.length());
    let (margin, headroom) = (f64::from(parameters.margin), f64::from(parameters.headroom));
    let group = faces.span();
    let place = match window.axis() {
        Axis::Horizontal => 0.5,
        Axis::Vertical => f64::from(parameters.height),
    };
    let centred = faces.middle() - place * length;
    let room = |face: Option<&Face>| face.map_or(0.0, |face| face.width * margin);
    let after = room(faces.outermost(|face| -face.span.high));
    let wish = match window.axis() {
        Axis::Horizontal => {
            let before = room(faces.outermost(|face| face.span.low));
            let (lowest, highest) = (group.high + after - length, group.low - before);
            // Where the margins do not fit on both sides, both give up the same share.
            if lowest <= highest { centred.max(lowest).min(highest) } else { f64::midpoint(lowest, highest) }
        }
        Axis::Vertical => {
            let air = faces.outermost(|face| face.top).map_or(0.0, |face| face.height * headroom);
            // Room above is worth more than room below.
            centred.max(group.high + after - length).min(group.low - air)
        }
    };
    wish.max(0.0).min(f64::from(window.room()))
}
