//! Where a window holds most of what draws the eye. Shared by the strategies that fall back to it.

use crate::failure::Failure;
use crate::image::{HeatMap, ImageView};
use crate::plan::{CropPlan, Reasons};
use crate::window::{Axis, LargestWindow, Span};

/// Cells on the longer edge of the saliency map that [`plan`] asks for.
pub const EDGE: u32 = 64;

/// Windows within this share of the best mass count as equally good; among them the one that centres its mass is taken.
const EQUAL: f64 = 0.02;

/// Plans the window that holds most saliency, and among those that hold about the same, the one that has it in its middle.
///
/// Adds `salient_mass_kept` (weight 1) and `salient_mass_centred` (weight 0.25) to `reasons`.
///
/// # Errors
/// Those of [`ImageView::saliency`].
pub fn plan<I: ImageView>(image: &I, window: &LargestWindow, edge: u32, mut reasons: Reasons) -> Result<CropPlan, Failure> {
    let mass = MassProfile::new(&image.saliency(edge)?, window);
    let offset = mass.best_offset(window);
    let covered = window.covers(offset);
    let share = if mass.total() > 0.0 { mass.within(covered) / mass.total() } else { 1.0 };
    reasons.weigh("salient_mass_kept", 1.0, share as f32);
    let off_centre = (mass.centroid(covered) - covered.middle()).abs() / (covered.length() / 2.0);
    reasons.weigh("salient_mass_centred", 0.25, 1.0 - off_centre as f32);
    Ok(reasons.plan(window.at(offset)))
}

/// How the mass of a map is spread over the axis a window moves on.
#[derive(Debug, Clone)]
pub struct MassProfile {
    /// Length of the axis in pixels.
    length: f64,
    /// Mass and first moment (mass times the middle of its cell, in cells) before each cell boundary.
    before: Vec<(f64, f64)>,
}

impl MassProfile {
    /// The profile of a map over the axis of `window`. Values that are not finite or negative count as nothing.
    #[must_use]
    pub fn new(map: &HeatMap, window: &LargestWindow) -> Self {
        let usable = |value: f32| if value.is_finite() { f64::from(value.max(0.0)) } else { 0.0 };
        let mut cells: Vec<f64> = match window.axis() {
            Axis::Vertical => map.rows().map(|row| row.iter().copied().map(usable).sum()).collect(),
            Axis::Horizontal => {
                let mut columns = vec![0.0; map.size.width as usize];
                for row in map.rows() {
                    for (column, value) in columns.iter_mut().zip(row) {
                        *column += usable(*value);
                    }
                }
                columns
            }
        };
        if cells.is_empty() {
            cells.push(0.0);
        }
        let mut before = Vec::with_capacity(cells.len() + 1);
        let (mut mass, mut moment) = (0.0, 0.0);
        before.push((mass, moment));
        for (index, cell) in cells.iter().enumerate() {
            mass += cell;
            moment += cell * (index as f64 + 0.5);
            before.push((mass, moment));
        }
        Self { length: f64::from(window.length() + window.room()), before }
    }

    /// All of the mass.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.before.last().map_or(0.0, |(mass, _)| *mass)
    }

    /// The mass inside `span`, in pixels.
    #[must_use]
    pub fn within(&self, span: Span) -> f64 {
        self.up_to(span.high).0 - self.up_to(span.low).0
    }

    /// The middle of the mass inside `span`, in pixels; the middle of the span when there is none.
    #[must_use]
    pub fn centroid(&self, span: Span) -> f64 {
        let (from, to) = (self.up_to(span.low), self.up_to(span.high));
        let mass = to.0 - from.0;
        if mass > 1e-9 * self.total().max(f64::MIN_POSITIVE) { (to.1 - from.1) / mass * self.cell() } else { span.middle() }
    }

    /// The offset at which the window holds the most; the one nearest to the middle of the image when several are the same.
    #[must_use]
    pub fn best_offset(&self, window: &LargestWindow) -> u32 {
        let candidates = || {
            // Mass is piecewise linear in the offset, so its maximum is where an edge of the window meets an edge of a cell.
            let edges = (0..self.before.len()).map(|index| index as f64 * self.cell());
            let met = edges.flat_map(|edge| [window.clamp(edge), window.clamp(edge - f64::from(window.length()))]);
            met.chain([window.room() / 2])
        };
        let best = candidates().map(|offset| self.within(window.covers(offset))).fold(0.0, f64::max);
        let off_centre = |offset: u32| {
            let covered = window.covers(offset);
            let from_middle = (covered.middle() - self.length / 2.0).abs() / self.length;
            // The second part only decides between offsets that are the same otherwise.
            (self.centroid(covered) - covered.middle()).abs() / self.length + 1e-3 * from_middle
        };
        let good = candidates().filter(|offset| self.within(window.covers(*offset)) >= best * (1.0 - EQUAL));
        good.min_by(|a, b| off_centre(*a).total_cmp(&off_centre(*b)).then(a.cmp(b))).unwrap_or(window.room() / 2)
    }

    /// Pixels per cell.
    fn cell(&self) -> f64 {
        self.length / (self.before.len() - 1) as f64
    }

    /// Mass and moment before a place in pixels, as if the mass of a cell were spread evenly.
    fn up_to(&self, place: f64) -> (f64, f64) {
        let cells = (place / self.cell()).max(0.0).min((self.before.len() - 1) as f64);
        let index = cells.floor() as usize;
        let part = cells - index as f64;
        let at = |index: usize| self.before.get(index).copied().unwrap_or((self.total(), 0.0));
        let (mass, moment) = at(index);
        if part <= 0.0 {
            return (mass, moment);
        }
        let inside = (at(index + 1).0 - mass) * part;
        (mass + inside, moment + inside * (index as f64 + part / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{AspectRatio, Size};
    use crate::testing::FakeImage;

    fn profile(values: Vec<f32>) -> (MassProfile, LargestWindow) {
        let width = values.len() as u32;
        let window = LargestWindow::new(Size { width: width * 10, height: 20 }, AspectRatio { width: 1, height: 1 });
        (MassProfile::new(&HeatMap { size: Size { width, height: 1 }, values }, &window), window)
    }

    #[test]
    fn mass_is_spread_evenly_over_its_cell() {
        let (mass, _) = profile(vec![1.0, 0.0, 4.0, 0.0, 1.0]);
        assert_eq!(mass.total(), 6.0);
        assert!((mass.within(Span { low: 5.0, high: 22.5 }) - 1.5).abs() < 1e-12);
        assert!((mass.centroid(Span { low: 10.0, high: 40.0 }) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn no_offset_holds_more_than_the_best() {
        let (mass, window) = profile(vec![0.1, 0.9, 0.3, 0.0, 0.8, 0.7, 0.2]);
        let within = |offset| mass.within(window.covers(offset));
        let most = (0..=window.room()).map(within).fold(0.0, f64::max);
        assert!(within(mass.best_offset(&window)) >= most * (1.0 - EQUAL));
    }

    #[test]
    fn what_is_no_number_weighs_nothing() {
        let (mass, _) = profile(vec![f32::NAN, 1.0, -5.0, f32::INFINITY]);
        assert_eq!(mass.total(), 1.0);
    }

    #[test]
    fn a_plan_says_how_much_it_keeps() {
        let image = FakeImage::new(Size { width: 400, height: 100 }).with_saliency(|x, _| if x < 0.5 { 0.5 } else { 0.0 });
        let window = LargestWindow::new(image.size(), AspectRatio { width: 1, height: 1 });
        let plan = plan(&image, &window, EDGE, Reasons::new()).unwrap();
        assert!((plan.terms[0].value - 0.5).abs() < 1e-6, "{:?}", plan.terms);
    }
}
