//! The last samples.

use std::collections::VecDeque;

use super::Recall;

/// Samples that are kept.
const LENGTH: usize = 1000;

/// The recall of each of the last sampled queries.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<f64>);

impl Window {
    /// Adds a sample in place of the oldest, and says what all of them come to.
    pub(super) fn push(&mut self, recall: f64) -> Recall {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(recall);
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let samples = sorted.len();
        let worst = samples.div_ceil(10);
        let mean = |count: usize| sorted.iter().take(count).sum::<f64>() / count as f64;
        Recall { mean: mean(samples), worst_decile: mean(worst), samples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_and_the_worst_tenth_of_the_last_thousand() {
        let mut window = Window::default();
        assert_eq!(window.push(0.5), Recall { mean: 0.5, worst_decile: 0.5, samples: 1 });
        assert_eq!(window.push(1.0), Recall { mean: 0.75, worst_decile: 0.5, samples: 2 });
        for _ in 0..18 {
            window.push(1.0);
        }
        // Two of twenty are the worst tenth.
        assert_eq!(window.push(0.0), Recall { mean: 19.5 / 21.0, worst_decile: 0.5, samples: 21 });
        let mut last = Recall { mean: 0.0, worst_decile: 0.0, samples: 0 };
        for _ in 0..LENGTH {
            last = window.push(0.25);
        }
        assert_eq!(last, Recall { mean: 0.25, worst_decile: 0.25, samples: LENGTH });
    }
}
