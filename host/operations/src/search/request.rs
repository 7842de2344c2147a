//! What a search asks for.

use std::collections::BTreeMap;

use breakwater_core::Failure;
use breakwater_search::Filter;
use breakwater_search::product::MAX_TEXT as MAX_PRODUCT_TEXT;
use breakwater_search::ranking::RankRequest;
use serde_json::Value;

use super::config::SearchConfig;
use crate::source::ImageSource;

/// The most products on a page.
pub const MAX_PAGE_SIZE: usize = 100;
/// The longest text that is looked for, in bytes. Models cut off or refuse far shorter ones; this is what is looked at at all.
pub const MAX_TEXT: usize = 64 << 10;
/// The most categories and attributes of a filter together, and the most weights of categories.
pub const MAX_CONDITIONS: usize = 256;
/// The largest parameters of a ranker, as JSON text, in bytes.
pub const MAX_PARAMETERS: usize = 64 << 10;
/// The largest weight of a category.
pub const MAX_WEIGHT: f32 = 100.0;
/// The most bits in which perceptual hashes of near-duplicates may differ: unrelated pictures differ in about 32.
pub const MAX_DISTANCE: u32 = 32;

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchBy {
    /// What looks like this picture.
    Image(ImageSource),
    /// What this text describes; needs a model that takes images and texts.
    Text(String),
    /// What is near this vector. `model` is the id of a model, or a space as answers name it; none means the default model.
    Vector {
        /// The numbers; they need not have length one.
        values: Vec<f32>,
        /// Whose they are.
        model: Option<String>,
    },
    /// What looks like this product, which is not found itself.
    Product(String),
}

/// A search. [`SearchRequest::by`] fills in what is usual.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// What is looked for.
    pub by: SearchBy,
    /// Products on a page, 1..=[`MAX_PAGE_SIZE`]; the configured number when absent.
    pub page_size: Option<usize>,
    /// Where the page before ended: [`super::SearchPage::next_cursor`] of the same search. Everything but the page's size must be the same.
    pub cursor: Option<String>,
    /// Only these.
    pub filter: Filter,
    /// Only products at least so similar, -1..=1; as configured when absent.
    pub min_similarity: Option<f32>,
    /// Whether near-duplicates are shown as one.
    pub fold_duplicates: bool,
    /// Bits of 64 in which perceptual hashes of near-duplicates may differ, 0..=32; as configured when absent.
    pub duplicate_distance: Option<u32>,
    /// How much categories count, 0..=100 each; those that are not named count 1.
    pub category_weights: BTreeMap<String, f32>,
    /// How much quality counts beside similarity, 0..=1; as configured when absent.
    pub quality_weight: Option<f32>,
    /// What the ranker is told besides, an object; an empty one when null.
    pub parameters: Value,
    /// Compare with everything that the filter admits, however long that takes.
    pub exact: bool,
    /// The model, or an alias of models, that the picture or text is given to; the default when absent.
    pub model: Option<String>,
}

impl SearchRequest {
    /// The first page of what looks like `by`, with what is configured.
    #[must_use]
    pub fn by(by: SearchBy) -> Self {
        Self {
            by,
            page_size: None,
            cursor: None,
            filter: Filter::default(),
            min_similarity: None,
            fold_duplicates: true,
            duplicate_distance: None,
            category_weights: BTreeMap::new(),
            quality_weight: None,
            parameters: Value::Null,
            exact: false,
            model: None,
        }
    }
}

/// A request whose every value is within its range, with what is configured filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checked {
    pub(crate) size: usize,
    pub(crate) filter: Filter,
    pub(crate) min_similarity: f32,
    /// None shows all near-duplicates.
    pub(crate) duplicate_distance: Option<u32>,
    pub(crate) rank: RankRequest,
    pub(crate) exact: bool,
}

impl SearchRequest {
    /// Checks everything but what is looked for.
    ///
    /// # Errors
    /// `search.page-size-invalid`, `search.similarity-invalid`, `search.distance-invalid`, `search.weight-invalid`,
    /// `search.filter-invalid`, `search.parameters-invalid`.
    pub(crate) fn check(&self, config: &SearchConfig) -> Result<Checked, Failure> {
        let size = self.page_size.unwrap_or(config.page_size);
        if !(1..=MAX_PAGE_SIZE).contains(&size) {
            let message = format!("a page has 1 to {MAX_PAGE_SIZE} products");
            return Err(Failure::invalid("search.page-size-invalid", message));
        }
        let min_similarity = self.min_similarity.unwrap_or(config.min_similarity);
        if !(-1.0..=1.0).contains(&min_similarity) {
            return Err(Failure::invalid("search.similarity-invalid", "the least similarity is a number from -1 to 1"));
        }
        let distance = self.duplicate_distance.unwrap_or(config.duplicate_distance);
        if distance > MAX_DISTANCE {
            let message = format!("the distance of near-duplicates is 0 to {MAX_DISTANCE} bits");
            return Err(Failure::invalid("search.distance-invalid", message));
        }
        Ok(Checked {
            size,
            filter: checked_filter(&self.filter)?,
            min_similarity,
            duplicate_distance: self.fold_duplicates.then_some(distance),
            rank: self.checked_rank(config)?,
            exact: self.exact,
        })
    }

    fn checked_rank(&self, config: &SearchConfig) -> Result<RankRequest, Failure> {
        let quality_weight = self.quality_weight.unwrap_or(config.quality_weight);
        let weighs = self.category_weights.values().all(|weight| (0.0..=MAX_WEIGHT).contains(weight));
        if !weighs || self.category_weights.len() > MAX_CONDITIONS || !(0.0..=1.0).contains(&quality_weight) {
            let message =
                format!("weights of categories are 0 to {MAX_WEIGHT}, at most {MAX_CONDITIONS} of them; that of quality is 0 to 1");
            return Err(Failure::invalid("search.weight-invalid", message));
        }
        let parameters = match &self.parameters {
            Value::Null => Value::Object(serde_json::Map::new()),
            object @ Value::Object(_) if object.to_string().len() <= MAX_PARAMETERS => object.clone(),
            _ => {
                let message = format!("the parameters of a ranker are a JSON object of at most {MAX_PARAMETERS} bytes");
                return Err(Failure::invalid("search.parameters-invalid", message));
            }
        };
        Ok(RankRequest { category_weights: self.category_weights.clone(), quality_weight, parameters })
    }
}

fn checked_filter(filter: &Filter) -> Result<Filter, Failure> {
    let invalid = |message: String| Err(Failure::invalid("search.filter-invalid", message));
    if filter.categories.len() + filter.attributes.len() > MAX_CONDITIONS {
        return invalid(format!("a filter has at most {MAX_CONDITIONS} categories and attributes"));
    }
    let attributes = filter.attributes.iter().flat_map(|(name, value)| [name, value]);
    if filter.categories.iter().chain(attributes).any(|text| text.len() > MAX_PRODUCT_TEXT || text.chars().any(char::is_control)) {
        return invalid(format!("categories and attributes have at most {MAX_PRODUCT_TEXT} bytes and no control characters"));
    }
    if filter.min_quality.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
        return invalid("the least quality is a number from 0 to 1".to_owned());
    }
    Ok(filter.clone())
}

/// A text that can be looked for: something is in it, it is not absurdly long, and control characters other than spaces are spaces.
///
/// # Errors
/// `search.text-invalid`.
pub(crate) fn checked_text(text: String) -> Result<String, Failure> {
    if text.len() > MAX_TEXT {
        return Err(Failure::invalid("search.text-invalid", format!("a text has at most {MAX_TEXT} bytes")));
    }
    let cleaned: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cleaned.trim().is_empty() {
        return Err(Failure::invalid("search.text-invalid", "the text has nothing in it"));
    }
    Ok(cleaned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> SearchRequest {
        SearchRequest::by(SearchBy::Text("x".to_owned()))
    }

    fn code(request: &SearchRequest) -> String {
        request.check(&SearchConfig::default()).unwrap_err().code.into_owned()
    }

    #[test]
    fn what_is_not_said_is_as_configured() {
        let config = SearchConfig { page_size: 7, min_similarity: 0.25, duplicate_distance: 3, ..SearchConfig::default() };
        let checked = request().check(&config).unwrap();
        assert_eq!((checked.size, checked.min_similarity, checked.duplicate_distance), (7, 0.25, Some(3)));
        assert_eq!((checked.rank.quality_weight, checked.rank.parameters), (0.1, json!({})));
        let asked = SearchRequest { fold_duplicates: false, page_size: Some(100), quality_weight: Some(1.0), ..request() };
        let checked = asked.check(&config).unwrap();
        assert_eq!((checked.size, checked.duplicate_distance, checked.rank.quality_weight), (100, None, 1.0));
    }

    #[test]
    fn each_limit_is_held() {
        for size in [0, MAX_PAGE_SIZE + 1, usize::MAX] {
            assert_eq!(code(&SearchRequest { page_size: Some(size), ..request() }), "search.page-size-invalid");
        }
        for similarity in [-1.1, 1.1, f32::NAN] {
            assert_eq!(code(&SearchRequest { min_similarity: Some(similarity), ..request() }), "search.similarity-invalid");
        }
        assert_eq!(code(&SearchRequest { duplicate_distance: Some(MAX_DISTANCE + 1), ..request() }), "search.distance-invalid");
        for weight in [-0.1, 100.1, f32::NAN, f32::INFINITY] {
            assert_eq!(code(&SearchRequest { category_weights: [("a".to_owned(), weight)].into(), ..request() }), "search.weight-invalid");
        }
        let weights = |count: usize| (0..count).map(|index| (index.to_string(), 1.0)).collect();
        assert!(SearchRequest { category_weights: weights(MAX_CONDITIONS), ..request() }.check(&SearchConfig::default()).is_ok());
        assert_eq!(code(&SearchRequest { category_weights: weights(MAX_CONDITIONS + 1), ..request() }), "search.weight-invalid");
        for weight in [-0.1, 1.1, f32::NAN] {
            assert_eq!(code(&SearchRequest { quality_weight: Some(weight), ..request() }), "search.weight-invalid");
        }
        for parameters in [json!([1]), json!("a"), json!({ "a": "x".repeat(MAX_PARAMETERS) })] {
            assert_eq!(code(&SearchRequest { parameters, ..request() }), "search.parameters-invalid");
        }
    }

    #[test]
    fn malicious_filters_are_refused_and_strange_ones_taken() {
        let filter = |filter: Filter| SearchRequest { filter, ..request() };
        let categories =
            |texts: &[&str]| filter(Filter { categories: texts.iter().map(ToString::to_string).collect(), ..Filter::default() });
        let strange = categories(&["'; DROP TABLE product; --", "«ü»", "%_\\", "${jndi:ldap://x}", "👟"]);
        assert!(strange.check(&SearchConfig::default()).is_ok());
        for wrong in ["a\0b", "a\nb", "\u{7f}", &"x".repeat(257)] {
            assert_eq!(code(&categories(&[wrong])), "search.filter-invalid");
            let attributes = [("a".to_owned(), wrong.to_owned())].into();
            assert_eq!(code(&filter(Filter { attributes, ..Filter::default() })), "search.filter-invalid");
        }
        assert_eq!(code(&categories(&["a"; MAX_CONDITIONS + 1])), "search.filter-invalid");
        for least in [-0.1, 1.1, f32::NAN] {
            assert_eq!(code(&filter(Filter { min_quality: Some(least), ..Filter::default() })), "search.filter-invalid");
        }
    }

    #[test]
    fn texts_have_something_in_them_and_an_end() {
        assert_eq!(checked_text("a\u{7}b\nc".to_owned()).unwrap(), "a b c");
        assert!(checked_text("word ".repeat(10_000)).is_ok());
        for wrong in [String::new(), " \n\0".to_owned(), "x".repeat(MAX_TEXT + 1)] {
            assert_eq!(checked_text(wrong).unwrap_err().code, "search.text-invalid");
        }
    }
}
