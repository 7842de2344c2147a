//! The window whose brightness carries most information.

use breakwater_guest::{Axis, CropPlan, CropStrategy, Failure, HeatMap, ImageView, Kind, LargestWindow, Reasons, Wanted, parameters};

parameters! {
    /// How closely to look.
    pub struct EntropyParameters {
        /// Cells on the longer edge of the luminance map.
        detail: u32 = 160 in 16..=512,
    }
}

/// Levels of brightness that are told apart.
const LEVELS: usize = 32;
/// Windows within this many bits of the best count as equally good; among them the one nearest to the middle is taken.
const EQUAL: f32 = 0.01;

type Histogram = [u32; LEVELS];

/// The largest window of the ratio with the highest Shannon entropy of its luminance.
pub struct Entropy;

impl CropStrategy for Entropy {
    const NAME: &'static str = "entropy";
    const SUMMARY: &'static str = "The largest window whose brightness varies most: sky, walls and backdrops are cut off.";
    const NEEDS: &'static [Kind] = &[];
    type Parameters = EntropyParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<EntropyParameters>) -> Result<CropPlan, Failure> {
        let window = LargestWindow::new(image.size(), wanted.ratio);
        let lines = lines(&image.luminance(wanted.parameters.detail)?, window.axis());
        let axis = f64::from(window.length() + window.room());
        let held = ((f64::from(window.length()) / axis * lines.len() as f64).round() as usize).clamp(1, lines.len().max(1));
        let entropies = sliding_entropy(&lines, held);
        let (step, bits) = best(&entropies);
        // The first step is the first offset and the last step the last, whatever the cells round to.
        let steps = entropies.len().saturating_sub(1);
        let offset = if steps == 0 { window.room() / 2 } else { window.clamp(step as f64 / steps as f64 * f64::from(window.room())) };
        let mut reasons = Reasons::new();
        reasons.weigh("information", 1.0, bits / (LEVELS as f32).log2());
        reasons.note("entropy_bits", bits);
        Ok(reasons.plan(window.at(offset)))
    }
}

/// A histogram of each column (or row) along the axis.
fn lines(map: &HeatMap, axis: Axis) -> Vec<Histogram> {
    // What is no number becomes level 0.
    let level = |value: f32| ((value * LEVELS as f32) as usize).min(LEVELS - 1);
    let count = |histogram: &mut Histogram, value: f32| {
        if let Some(count) = histogram.get_mut(level(value)) {
            *count += 1;
        }
    };
    match axis {
        Axis::Vertical => map
            .rows()
            .map(|row| {
                let mut histogram = [0; LEVELS];
                row.iter().for_each(|value| count(&mut histogram, *value));
                histogram
            })
            .collect(),
        Axis::Horizontal => {
            let mut columns = vec![[0; LEVELS]; map.size.width as usize];
            for row in map.rows() {
                for (histogram, value) in columns.iter_mut().zip(row) {
                    count(histogram, *value);
                }
            }
            columns
        }
    }
}

/// The entropy in bits of every stretch of `held` lines.
fn sliding_entropy(lines: &[Histogram], held: usize) -> Vec<f32> {
    let mut window = [0_u32; LEVELS];
    let mut entropies = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        for (sum, count) in window.iter_mut().zip(line) {
            *sum += count;
        }
        if let Some(left) = index.checked_sub(held).and_then(|left| lines.get(left)) {
            for (sum, count) in window.iter_mut().zip(left) {
                *sum -= count;
            }
        }
        if index + 1 >= held {
            entropies.push(entropy(&window));
        }
    }
    entropies
}

/// H = log2 n - (sum of c log2 c) / n over the counts c of n cells.
fn entropy(histogram: &Histogram) -> f32 {
    let total = histogram.iter().sum::<u32>().max(1) as f32;
    let spread: f32 = histogram.iter().filter(|count| **count > 0).map(|count| *count as f32 * (*count as f32).log2()).sum();
    (total.log2() - spread / total).max(0.0)
}

/// The best step and its entropy; the one nearest to the middle among equals.
fn best(entropies: &[f32]) -> (usize, f32) {
    let most = entropies.iter().copied().fold(0.0, f32::max);
    let from_middle = |step: usize| (2 * step + 1).abs_diff(entropies.len());
    let good = entropies.iter().copied().enumerate().filter(|(_, bits)| *bits >= most - EQUAL);
    good.min_by_key(|(step, _)| (from_middle(*step), *step)).unwrap_or((0, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_guest::testing::FakeImage;
    use breakwater_guest::{AspectRatio, Size};

    fn plan(luminance: fn(f64, f64) -> f32) -> CropPlan {
        let image = FakeImage::new(Size { width: 600, height: 300 }).with_luminance(luminance);
        Entropy::plan(&image, &Wanted::new(AspectRatio { width: 1, height: 1 }, EntropyParameters::default())).unwrap()
    }

    #[test]
    fn a_plain_half_is_cut_off() {
        let at_right = plan(|x, y| if x < 0.5 { 0.7 } else { (x * 37.7 + y * 23.3).fract() as f32 });
        assert!(at_right.crop.x >= 292, "{:?}", at_right.crop);
        let at_left = plan(|x, y| if x > 0.5 { 0.7 } else { (x * 37.7 + y * 23.3).fract() as f32 });
        assert!(at_left.crop.x <= 8, "{:?}", at_left.crop);
    }

    #[test]
    fn a_picture_of_one_colour_is_cut_in_the_middle() {
        let plain = plan(|_, _| 0.3);
        assert_eq!((plain.crop.x, plain.score), (150, 0.0));
    }

    #[test]
    fn the_entropy_of_known_histograms() {
        let mut even = [0; LEVELS];
        for count in even.iter_mut().take(4) {
            *count = 5;
        }
        assert!((entropy(&even) - 2.0).abs() < 1e-6);
        assert_eq!(entropy(&[0; LEVELS]), 0.0);
    }

    #[test]
    fn a_sliding_window_counts_what_counting_afresh_does() {
        let lines: Vec<Histogram> = (0..20_u32).map(|line| std::array::from_fn(|level| (line * 7 + level as u32 * 3) % 11)).collect();
        for held in [1, 3, 20] {
            let fresh: Vec<f32> =
                lines.windows(held).map(|part| entropy(&std::array::from_fn(|level| part.iter().map(|line| line[level]).sum()))).collect();
            assert_eq!(sliding_entropy(&lines, held), fresh);
        }
    }
}
