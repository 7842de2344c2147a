//! Letters as pixels: how much of each pixel lies inside an outline.

use cosmic_text::skrifa::outline::OutlinePen;

/// Rows that are looked at within each row of pixels. Across, coverage is exact.
const SUBROWS: u32 = 8;
/// Pieces that a curve is cut into; letters of captions are small.
const PIECES: u32 = 8;

/// An outline in pixels, the base line at zero, up positive.
#[derive(Debug, Default)]
pub(super) struct Outline {
    lines: Vec<[f32; 4]>,
    start: (f32, f32),
    at: (f32, f32),
}

impl Outline {
    /// Calls `pixel` with column, row (down positive, below the base line from zero on) and coverage 0..=1, for an outline whose origin
    /// lies at `left` and `base`.
    pub(super) fn cover(&self, left: f32, base: f32, mut pixel: impl FnMut(i64, i64, f32)) {
        let ends = self.lines.iter().flat_map(|[_, y0, _, y1]| [base - y0, base - y1]);
        let (top, bottom) = ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(top, bottom), y| (top.min(y), bottom.max(y)));
        if top > bottom {
            return;
        }
        for row in top.floor() as i64..bottom.ceil() as i64 {
            let mut covered = std::collections::BTreeMap::new();
            for subrow in 0..SUBROWS {
                let y = row as f32 + (subrow as f32 + 0.5) / SUBROWS as f32;
                for (from, to) in self.spans(base - y) {
                    add(&mut covered, left + from, left + to);
                }
            }
            covered.into_iter().for_each(|(column, share)| pixel(column, row, (share / SUBROWS as f32).min(1.0)));
        }
    }

    /// Where a horizontal line is inside, by the rule that counts windings.
    fn spans(&self, y: f32) -> Vec<(f32, f32)> {
        let crossing = |[x0, y0, x1, y1]: &[f32; 4]| {
            let crosses = (*y0 <= y) != (*y1 <= y);
            crosses.then(|| (x0 + (y - y0) / (y1 - y0) * (x1 - x0), if y1 > y0 { 1 } else { -1 }))
        };
        let mut crossings: Vec<(f32, i32)> = self.lines.iter().filter_map(crossing).collect();
        crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut winding, mut from, mut spans) = (0, 0.0, Vec::new());
        for (x, direction) in crossings {
            if winding == 0 {
                from = x;
            }
            winding += direction;
            if winding == 0 {
                spans.push((from, x));
            }
        }
        spans
    }
}

fn add(covered: &mut std::collections::BTreeMap<i64, f32>, from: f32, to: f32) {
    for column in from.floor() as i64..to.ceil() as i64 {
        let share = to.min(column as f32 + 1.0) - from.max(column as f32);
        *covered.entry(column).or_default() += share.max(0.0);
    }
}

impl OutlinePen for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.start = (x, y);
        self.at = (x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.lines.push([self.at.0, self.at.1, x, y]);
        self.at = (x, y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        let (x0, y0) = self.at;
        // The same curve with two points of control.
        let toward = |end: f32, control: f32| end + (control - end) * 2.0 / 3.0;
        self.curve_to(toward(x0, cx), toward(y0, cy), toward(x, cx), toward(y, cy), x, y);
    }

    fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
        let (x0, y0) = self.at;
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            let s = 1.0 - t;
            let on = |start: f32, a: f32, b: f32, end: f32| s * s * s * start + 3.0 * s * s * t * a + 3.0 * s * t * t * b + t * t * t * end;
            self.line_to(on(x0, ax, bx, x), on(y0, ay, by, y));
        }
    }

    fn close(&mut self) {
        let (x, y) = self.start;
        self.line_to(x, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(outline: &Outline, left: f32, base: f32) -> f32 {
        let mut sum = 0.0;
        outline.cover(left, base, |_, _, share| sum += share);
        sum
    }

    #[test]
    fn what_is_covered_is_the_area() {
        let mut square = Outline::default();
        square.move_to(0.0, 0.0);
        square.line_to(3.5, 0.0);
        square.line_to(3.5, 2.0);
        square.line_to(0.0, 2.0);
        square.close();
        assert!((total(&square, 0.0, 10.0) - 7.0).abs() < 1e-4 && (total(&square, 0.3, 10.25) - 7.0).abs() < 1e-4);
        // A hole winds the other way round.
        square.move_to(1.0, 0.5);
        square.line_to(1.0, 1.5);
        square.line_to(2.0, 1.5);
        square.line_to(2.0, 0.5);
        square.close();
        assert!((total(&square, 0.0, 10.0) - 6.0).abs() < 1e-4);
        assert_eq!(total(&Outline::default(), 0.0, 0.0), 0.0);
    }

    #[test]
    fn a_curve_bends() {
        let mut bow = Outline::default();
        bow.move_to(0.0, 0.0);
        bow.quad_to(6.0, 12.0, 12.0, 0.0);
        bow.close();
        // Two thirds of the triangle's base by half its height.
        assert!((total(&bow, 0.0, 20.0) - 48.0).abs() < 1.0);
    }
}
