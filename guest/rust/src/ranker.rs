//! What a ranker plugin implements.

pub use crate::bindings::ranker::exports::breakwater::plugin::ranker::{Candidate, Ranked};
use crate::bindings::ranker::exports::breakwater::plugin::ranker::{CategoryWeight, Request};
use crate::call::CallContext;
use crate::failure::Failure;
use crate::host::Host;
use crate::parameters::Parameters;

/// The most candidates of one call.
pub const MAX_CANDIDATES: usize = 10_000;

/// Orders what a search found. It is named by the plugin's id.
///
/// Pure: the same candidates get the same scores, because each page of a search is ranked anew.
///
/// ```
/// use breakwater_guest::testing::{FakeHost, candidate, check_ranking};
/// use breakwater_guest::{Candidate, Failure, Host, Ranked, Ranker, Ranking, export_ranker_plugin};
///
/// breakwater_guest::parameters! {
///     /// What a caller may set.
///     pub struct FreshParameters {
///         /// How much it counts to be new.
///         weight: f32 = 0.1 in 0.0..=1.0,
///     }
/// }
///
/// /// Prefers what came last.
/// struct Fresh;
///
/// impl Ranker for Fresh {
///     const SUMMARY: &'static str = "By similarity, and what is new a little before the rest.";
///     type Parameters = FreshParameters;
///
///     fn rank<H: Host>(_: &H, wanted: &Ranking<FreshParameters>, candidates: &[Candidate]) -> Result<Vec<Ranked>, Failure> {
///         let newest = candidates.iter().map(|one| one.created).max().unwrap_or(1).max(1);
///         let score = |one: &Candidate| one.similarity + wanted.parameters.weight * one.created as f32 / newest as f32;
///         Ok(Ranked::all(candidates, score))
///     }
/// }
///
/// export_ranker_plugin!(Fresh);
///
/// let candidates = [Candidate { created: 1, ..candidate("old", 0.75) }, Candidate { created: 2, ..candidate("new", 0.72) }];
/// let ranked = Fresh::rank(&FakeHost::new(), &Ranking::new(FreshParameters::default()), &candidates).unwrap();
/// assert_eq!(check_ranking(&ranked, 2), Ok(()));
/// assert!(ranked[1].score > ranked[0].score);
/// ```
pub trait Ranker {
    /// One sentence for people, at most 256 bytes.
    const SUMMARY: &'static str;
    /// What a caller may set; made with [`parameters!`](crate::parameters!), or [`NoParameters`](crate::parameters::NoParameters).
    type Parameters: Parameters;

    /// Scores the candidates of one search, which come most similar first, at most [`MAX_CANDIDATES`]. Those left out are not shown. The
    /// host orders them by falling score; of equal scores the one that stands first comes first.
    ///
    /// # Errors
    /// A failure of kind `invalid-request` is shown to the caller; after any other the candidates are ordered by similarity.
    fn rank<H: Host>(host: &H, wanted: &Ranking<Self::Parameters>, candidates: &[Candidate]) -> Result<Vec<Ranked>, Failure>;
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ranking<P> {
    /// What the caller set, and defaults for the rest.
    pub parameters: P,
    /// How much quality counts beside similarity, 0..=1.
    pub quality_weight: f32,
    /// What may be known about the call.
    pub call: CallContext,
    /// By name.
    category_weights: Vec<CategoryWeight>,
}

impl<P> Ranking<P> {
    /// A wish in which quality and categories do not count, as tests use it.
    #[must_use]
    pub fn new(parameters: P) -> Self {
        Self { parameters, quality_weight: 0.0, call: CallContext::default(), category_weights: Vec::new() }
    }

    /// The same with this weight of quality.
    #[must_use]
    pub fn with_quality_weight(self, quality_weight: f32) -> Self {
        Self { quality_weight, ..self }
    }

    /// The same with this weight of a category.
    #[must_use]
    pub fn with_category_weight(mut self, category: &str, weight: f32) -> Self {
        self.category_weights.push(CategoryWeight { category: category.to_owned(), weight });
        self.category_weights.sort_by(|a, b| a.category.cmp(&b.category));
        self
    }

    /// How much a category counts, 0..=100; 1 when nobody said.
    #[must_use]
    pub fn category_weight(&self, category: &str) -> f32 {
        let found = self.category_weights.binary_search_by(|weight| weight.category.as_str().cmp(category));
        found.ok().and_then(|at| self.category_weights.get(at)).map_or(1.0, |weight| weight.weight)
    }

    pub(crate) fn of_host(call: CallContext, request: Request) -> Result<Self, Failure>
    where
        P: Parameters,
    {
        let Request { parameters, mut category_weights, quality_weight } = request;
        category_weights.sort_by(|a, b| a.category.cmp(&b.category));
        Ok(Self { parameters: P::parse(&parameters)?, quality_weight, call, category_weights })
    }
}

impl Ranked {
    /// Every candidate with its score, in the order given.
    #[must_use]
    pub fn all(candidates: &[Candidate], score: impl Fn(&Candidate) -> f32) -> Vec<Self> {
        (0..).zip(candidates).map(|(index, candidate)| Self { index, score: score(candidate) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::NoParameters;

    #[test]
    fn a_category_counts_what_the_request_says_and_one_otherwise() {
        let weight = |category: &str, weight| CategoryWeight { category: category.to_owned(), weight };
        let request = Request {
            parameters: "{}".to_owned(),
            category_weights: vec![weight("shoes", 2.0), weight("", 0.5), weight("hats", 0.0)],
            quality_weight: 0.25,
        };
        let wanted = Ranking::<NoParameters>::of_host(CallContext::default(), request).unwrap();
        let weights = ["shoes", "hats", "", "bags"].map(|category| wanted.category_weight(category));
        assert_eq!((weights, wanted.quality_weight), ([2.0, 0.0, 0.5, 1.0], 0.25));
        let wrong = Request { parameters: r#"{"a": 1}"#.to_owned(), category_weights: Vec::new(), quality_weight: 0.0 };
        assert!(Ranking::<NoParameters>::of_host(CallContext::default(), wrong).is_err());
    }
}
