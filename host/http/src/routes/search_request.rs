//! What `POST /v1/search` takes, as JSON and as a form.

use std::collections::BTreeMap;

use breakwater_core::Failure;
use breakwater_operations::search::{SearchBy, SearchRequest};
use breakwater_operations::{Filter, ImageSource};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::form::{Fields, Form, field_invalid};
use crate::json::{self, Known};
use crate::picture;

/// What is looked for, and how. Exactly one of `text`, `image_path`, `image_base64`, `image_url`, `vector` and `product_id`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = SearchRequest)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchBody {
    /// What this text describes; needs a model that takes texts.
    #[schema(example = "a red dress")]
    text: Option<String>,
    /// What looks like this picture: its path below the media root.
    image_path: Option<String>,
    /// What looks like this picture: its bytes in base64, also as a `data:` URL.
    image_base64: Option<String>,
    /// What looks like this picture: its address, `http` or `https`.
    image_url: Option<String>,
    /// What is near these numbers; they need not have length one.
    vector: Option<Vec<f32>>,
    /// What looks like this product, which is not found itself.
    product_id: Option<String>,
    /// The model, or an alias of models, that the picture or text is given to; with a vector, whose it is: a model, or a space as answers name
    /// it. The default when absent.
    model: Option<String>,
    /// Products on a page; 20 when absent, unless configured otherwise.
    #[schema(minimum = 1, maximum = 100, example = 20)]
    limit: Option<usize>,
    /// Where the page before ended: `next_cursor` of the same search, in which only `limit` may change.
    cursor: Option<String>,
    /// Only products of this category.
    category: Option<String>,
    /// Only products of these categories.
    categories: Option<Vec<String>>,
    /// Only products with all of these.
    attributes: Option<BTreeMap<String, String>>,
    /// Only products at least this good.
    #[schema(minimum = 0, maximum = 1)]
    min_quality: Option<f32>,
    /// Only products at least this similar.
    #[schema(minimum = -1, maximum = 1)]
    min_similarity: Option<f32>,
    /// Whether near-duplicates are shown as one; true when absent.
    #[schema(default = true)]
    fold_duplicates: Option<bool>,
    /// Bits of 64 in which perceptual hashes of near-duplicates may differ.
    #[schema(minimum = 0, maximum = 32)]
    duplicate_distance: Option<u32>,
    /// How much categories count, 0 to 100 each; those that are not named count 1.
    category_weights: Option<BTreeMap<String, f32>>,
    /// How much quality counts beside similarity.
    #[schema(minimum = 0, maximum = 1)]
    quality_weight: Option<f32>,
    /// Passed on to the plugin that orders what was found: an object.
    #[schema(value_type = Option<Object>)]
    ranking_parameters: Option<Value>,
    /// Compare with everything that the filter admits, however long that takes.
    #[schema(default = false)]
    exact: Option<bool>,
}

impl Known for SearchBody {
    const FIELDS: &'static [&'static str] = &[
        "text",
        "image_path",
        "image_base64",
        "image_url",
        "vector",
        "product_id",
        "model",
        "limit",
        "cursor",
        "category",
        "categories",
        "attributes",
        "min_quality",
        "min_similarity",
        "fold_duplicates",
        "duplicate_distance",
        "category_weights",
        "quality_weight",
        "ranking_parameters",
        "exact",
    ];
}

/// Fields of the form.
pub(crate) const FIELDS: Fields = Fields {
    files: &["image", "file"],
    texts: &[
        "text",
        "image_path",
        "image_url",
        "product_id",
        "model",
        "limit",
        "cursor",
        "category",
        "attributes",
        "min_quality",
        "min_similarity",
        "fold_duplicates",
        "duplicate_distance",
        "category_weights",
        "quality_weight",
        "ranking_parameters",
        "exact",
    ],
    repeated: &["category"],
};

/// What is looked for, and how, as a form. Exactly one of `image`, `text`, `image_path`, `image_url` and `product_id`.
#[derive(ToSchema)]
#[schema(as = SearchForm)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct SearchFormBody {
    /// What looks like this picture.
    #[schema(value_type = Option<String>, format = Binary, content_media_type = "application/octet-stream")]
    image: Option<String>,
    /// What this text describes.
    text: Option<String>,
    /// What looks like this picture: its path below the media root.
    image_path: Option<String>,
    /// What looks like this picture: its address.
    image_url: Option<String>,
    /// What looks like this product.
    product_id: Option<String>,
    /// The model, or an alias of models.
    model: Option<String>,
    /// Products on a page.
    limit: Option<usize>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// Only products of this category; may be repeated.
    category: Option<String>,
    /// A JSON object of texts: only products with all of these.
    attributes: Option<String>,
    /// Only products at least this good, 0 to 1.
    min_quality: Option<f32>,
    /// Only products at least this similar, -1 to 1.
    min_similarity: Option<f32>,
    /// Whether near-duplicates are shown as one.
    fold_duplicates: Option<bool>,
    /// Bits of 64 in which perceptual hashes of near-duplicates may differ.
    duplicate_distance: Option<u32>,
    /// A JSON object of numbers: how much categories count.
    category_weights: Option<String>,
    /// How much quality counts beside similarity, 0 to 1.
    quality_weight: Option<f32>,
    /// A JSON object for the plugin that orders what was found.
    ranking_parameters: Option<String>,
    /// Compare with everything that the filter admits.
    exact: Option<bool>,
}

/// Reads a JSON body.
///
/// # Errors
/// What [`json::read`] and [`picture::optional`] fail with, `request.query-missing`, `request.query-ambiguous`.
pub(crate) fn of_json(bytes: &[u8], max_bytes: u64) -> Result<SearchRequest, Failure> {
    let mut body: SearchBody = json::read(bytes)?;
    let (path, base64, url) = (body.image_path.take(), body.image_base64.take(), body.image_url.take());
    let image = picture::optional(None, path, base64, url, max_bytes)?;
    body.into_request(image)
}

/// Reads a form.
///
/// # Errors
/// As [`of_json`].
pub(crate) fn of_form(mut form: Form, max_bytes: u64) -> Result<SearchRequest, Failure> {
    let file = form.picture()?.map(|part| part.bytes);
    let image = picture::optional(file, form.text("image_path")?, None, form.text("image_url")?, max_bytes)?;
    let mut categories = Vec::new();
    while let Some(category) = form.text("category")? {
        categories.push(category);
    }
    let body = SearchBody {
        text: form.text("text")?,
        product_id: form.text("product_id")?,
        model: form.text("model")?,
        limit: form.parsed("limit")?,
        cursor: form.text("cursor")?,
        categories: Some(categories),
        attributes: form.json("attributes")?,
        min_quality: form.parsed("min_quality")?,
        min_similarity: form.parsed("min_similarity")?,
        fold_duplicates: form.parsed("fold_duplicates")?,
        duplicate_distance: form.parsed("duplicate_distance")?,
        category_weights: form.json("category_weights")?,
        quality_weight: form.parsed("quality_weight")?,
        ranking_parameters: form.json("ranking_parameters")?,
        exact: form.parsed("exact")?,
        ..SearchBody::default()
    };
    body.into_request(image)
}

impl SearchBody {
    fn into_request(self, image: Option<ImageSource>) -> Result<SearchRequest, Failure> {
        let by_vector = self.vector.is_some();
        let of_vector = if by_vector { self.model.clone() } else { None };
        let given = [
            self.text.map(SearchBy::Text),
            image.map(SearchBy::Image),
            self.vector.map(|values| SearchBy::Vector { values, model: of_vector }),
            self.product_id.map(SearchBy::Product),
        ];
        let mut given = given.into_iter().flatten();
        let by = match (given.next(), given.next()) {
            (Some(by), None) => by,
            (None, _) => {
                let message = "say what is looked for: a picture, text, vector or product_id";
                return Err(Failure::invalid("request.query-missing", message));
            }
            (Some(_), Some(_)) => {
                let message = "look for one thing: a picture, text, vector or product_id, not several";
                return Err(Failure::invalid("request.query-ambiguous", message));
            }
        };
        let mut categories = self.categories.unwrap_or_default();
        if let Some(category) = self.category {
            if !categories.is_empty() {
                return Err(field_invalid("category", "stands beside categories; one of the two must go"));
            }
            categories.push(category);
        }
        let filter = Filter { categories, attributes: self.attributes.unwrap_or_default(), min_quality: self.min_quality };
        Ok(SearchRequest {
            page_size: self.limit,
            cursor: self.cursor,
            filter,
            min_similarity: self.min_similarity,
            fold_duplicates: self.fold_duplicates.unwrap_or(true),
            duplicate_distance: self.duplicate_distance,
            category_weights: self.category_weights.unwrap_or_default(),
            quality_weight: self.quality_weight,
            parameters: self.ranking_parameters.unwrap_or(Value::Null),
            exact: self.exact.unwrap_or(false),
            model: if by_vector { None } else { self.model },
            ..SearchRequest::by(by)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<SearchRequest, String> {
        of_json(body.to_string().as_bytes(), 100).map_err(|failure| failure.code.into_owned())
    }

    #[test]
    fn one_thing_is_looked_for() {
        for (body, by) in [
            (json!({ "text": "a red dress" }), SearchBy::Text("a red dress".into())),
            (json!({ "image_path": "/a.jpg" }), SearchBy::Image(ImageSource::Path("/a.jpg".into()))),
            (json!({ "image_base64": "eA==" }), SearchBy::Image(ImageSource::Bytes("x".into()))),
            (json!({ "vector": [1, 2] }), SearchBy::Vector { values: vec![1.0, 2.0], model: None }),
            (json!({ "product_id": "a" }), SearchBy::Product("a".into())),
        ] {
            assert_eq!(read(&body), Ok(SearchRequest::by(by)), "{body}");
        }
        assert_eq!(read(&json!({})), Err("request.query-missing".into()));
        assert_eq!(read(&json!({ "text": "a", "product_id": "b" })), Err("request.query-ambiguous".into()));
        assert_eq!(read(&json!({ "image_path": "a", "image_base64": "eA==" })), Err("request.image-ambiguous".into()));
    }

    #[test]
    fn everything_that_is_said_of_a_search_is_taken() {
        let body = json!({
            "text": "a", "model": "clip", "limit": 5, "cursor": "c", "categories": ["x", "y"], "attributes": { "colour": "red" },
            "min_quality": 0.5, "min_similarity": 0.25, "fold_duplicates": false, "duplicate_distance": 3,
            "category_weights": { "x": 2.0 }, "quality_weight": 0.75, "ranking_parameters": { "boost": 1 }, "exact": true,
        });
        let expected = SearchRequest {
            by: SearchBy::Text("a".into()),
            page_size: Some(5),
            cursor: Some("c".into()),
            filter: Filter {
                categories: vec!["x".into(), "y".into()],
                attributes: [("colour".to_owned(), "red".to_owned())].into(),
                min_quality: Some(0.5),
            },
            min_similarity: Some(0.25),
            fold_duplicates: false,
            duplicate_distance: Some(3),
            category_weights: [("x".to_owned(), 2.0)].into(),
            quality_weight: Some(0.75),
            parameters: json!({ "boost": 1 }),
            exact: true,
            model: Some("clip".into()),
        };
        assert_eq!(read(&body), Ok(expected));
    }

    #[test]
    fn a_vector_has_the_model_that_made_it() {
        let request = read(&json!({ "vector": [1], "model": "clip", "category": "x" })).unwrap();
        assert_eq!(request.by, SearchBy::Vector { values: vec![1.0], model: Some("clip".into()) });
        assert_eq!((request.model, request.filter.categories), (None, vec!["x".to_owned()]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (body, code) in [
            (json!({ "text": "a", "limt": 3 }), "request.unknown-field"),
            (json!({ "text": "a", "limit": -3 }), "request.field-invalid"),
            (json!({ "text": "a", "category": "x", "categories": ["y"] }), "request.field-invalid"),
            (json!({ "vector": [null] }), "request.field-invalid"),
            (json!({ "text": ["a"] }), "request.field-invalid"),
        ] {
            assert_eq!(read(&body), Err(code.into()), "{body}");
        }
    }
}
