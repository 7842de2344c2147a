//! Products as they go over the wire.

use std::collections::BTreeMap;

use breakwater_core::Failure;
use breakwater_operations::search::{DeletedProduct, GivenVector, ProductInput, ProductList, PutProduct};
use breakwater_operations::{ImageSource, Product};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::form::{Fields, Form, field_invalid};
use crate::json::{self, Known};
use crate::picture;
use crate::wire::{ReasonBody, each};

/// A product.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductBody {
    /// The caller's name of it.
    #[schema(example = "sku-17")]
    pub(crate) id: String,
    /// For people.
    #[schema(example = "Red dress")]
    pub(crate) title: String,
    /// Empty when it has none.
    #[schema(example = "dresses")]
    pub(crate) category: String,
    /// Such as `colour` to `red`.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Where its picture is: a path below the media root, a URL, or a name.
    #[schema(example = "/products/sku-17.jpg")]
    pub(crate) image: String,
    /// How good its picture or offer is, 0 to 1.
    pub(crate) quality: f32,
    /// Perceptual hash of its picture in 16 hexadecimal digits: near-duplicates differ in few bits.
    #[schema(example = "9f3a00c4d1e2b718")]
    pub(crate) perceptual_hash: Option<String>,
    /// SHA-256 of its picture's bytes.
    pub(crate) image_digest: Option<String>,
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        let Product { id, title, category, attributes, image, quality, perceptual_hash, image_digest } = product;
        let perceptual_hash = perceptual_hash.map(|hash| format!("{hash:016x}"));
        Self { id, title, category, attributes, image, quality, perceptual_hash, image_digest }
    }
}

/// A product to store, in the place of the one with the same id. At most one of `image_path`, `image_base64` and `image_url`; without any and
/// without a vector, the picture and the vectors of the stored product stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductRequest {
    /// 1 to 256 bytes without control characters; may be absent where the path names it.
    #[schema(example = "sku-17")]
    id: Option<String>,
    /// At most 1024 bytes.
    #[schema(example = "Red dress")]
    title: Option<String>,
    /// At most 256 bytes; none when absent.
    #[schema(example = "dresses")]
    category: Option<String>,
    /// At most 64, of 256 bytes each at most.
    #[schema(example = json!({ "colour": "red" }))]
    attributes: Option<BTreeMap<String, String>>,
    /// 0 to 1; 1 when absent.
    #[schema(minimum = 0, maximum = 1)]
    quality: Option<f32>,
    /// Path of its picture below the media root.
    #[schema(example = "/products/sku-17.jpg")]
    image_path: Option<String>,
    /// Its picture in base64, also as a `data:` URL.
    image_base64: Option<String>,
    /// Its picture's address, `http` or `https`.
    image_url: Option<String>,
    /// How the product names its picture; the path or address when absent.
    image_name: Option<String>,
    /// Whether a picture sent with the call is written below the media root, so that it can be shown, and read again for another model; true
    /// when absent.
    #[schema(default = true)]
    store_image: Option<bool>,
    /// Numbers made elsewhere, instead of or besides those that models make of the picture; they need not have length one.
    vector: Option<Vec<f32>>,
    /// Whose numbers they are: the id of a model, or a space as answers name it; the default model when absent.
    vector_model: Option<String>,
}

impl Known for ProductRequest {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "title",
        "category",
        "attributes",
        "quality",
        "image_path",
        "image_base64",
        "image_url",
        "image_name",
        "store_image",
        "vector",
        "vector_model",
    ];
}

/// Fields of the form.
pub(crate) const FIELDS: Fields = Fields {
    files: &["image", "file"],
    texts: &[
        "id",
        "title",
        "category",
        "attributes",
        "quality",
        "image_path",
        "image_url",
        "image_name",
        "store_image",
        "vector",
        "vector_model",
    ],
    repeated: &[],
};

/// A product to store, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct ProductForm {
    /// Its picture.
    #[schema(value_type = Option<String>, format = Binary, content_media_type = "application/octet-stream")]
    image: Option<String>,
    /// 1 to 256 bytes without control characters; may be absent where the path names it.
    id: Option<String>,
    /// At most 1024 bytes.
    title: Option<String>,
    /// At most 256 bytes.
    category: Option<String>,
    /// A JSON object of texts.
    #[schema(example = r#"{"colour":"red"}"#)]
    attributes: Option<String>,
    /// 0 to 1.
    quality: Option<f32>,
    /// Path of its picture below the media root, instead of `image`.
    image_path: Option<String>,
    /// Its picture's address, instead of `image`.
    image_url: Option<String>,
    /// How the product names its picture.
    image_name: Option<String>,
    /// Whether the picture is written below the media root.
    store_image: Option<bool>,
    /// A JSON list of numbers.
    #[schema(example = "[0.1, 0.2]")]
    vector: Option<String>,
    /// Whose numbers they are.
    vector_model: Option<String>,
}

/// What storing came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PutAnswer {
    /// As it is stored.
    product: ProductBody,
    /// Whether it was not there before.
    pub(crate) created: bool,
    /// Whether searches find it already; otherwise the index is behind, and finds it soon.
    indexed: bool,
    /// The spaces in which it has got a vector now.
    spaces: Vec<String>,
    /// Why it has no vector of some model yet.
    reasons: Vec<ReasonBody>,
}

impl From<PutProduct> for PutAnswer {
    fn from(put: PutProduct) -> Self {
        Self { product: put.product.into(), created: put.created, indexed: put.indexed, spaces: put.spaces, reasons: each(put.reasons) }
    }
}

/// What deleting came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeleteAnswer {
    /// As it was.
    product: ProductBody,
    /// Whether the indices know already; no answer shows it in any case.
    indexed: bool,
}

impl From<DeletedProduct> for DeleteAnswer {
    fn from(deleted: DeletedProduct) -> Self {
        Self { product: deleted.product.into(), indexed: deleted.indexed }
    }
}

/// A part of the list of products.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProductList)]
pub(crate) struct ProductListAnswer {
    /// In the order in which they were first stored.
    items: Vec<ProductBody>,
    /// Where the next page goes on; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// How many products there are in all, of every category.
    total: u64,
}

impl From<ProductList> for ProductListAnswer {
    fn from(list: ProductList) -> Self {
        Self { items: each(list.items), next_cursor: list.next_cursor, total: list.total }
    }
}

/// Reads a JSON body. `id` is that of the path, if the path has one.
pub(crate) fn of_json(bytes: &[u8], id: Option<String>, max_bytes: u64) -> Result<ProductInput, Failure> {
    let mut request: ProductRequest = json::read(bytes)?;
    let (path, base64, url) = (request.image_path.take(), request.image_base64.take(), request.image_url.take());
    let image = picture::optional(None, path, base64, url, max_bytes)?;
    request.into_input(id, image)
}

/// Reads a form. `id` is that of the path, if the path has one.
pub(crate) fn of_form(mut form: Form, id: Option<String>, max_bytes: u64) -> Result<ProductInput, Failure> {
    let file = form.picture()?.map(|part| part.bytes);
    let image = picture::optional(file, form.text("image_path")?, None, form.text("image_url")?, max_bytes)?;
    let request = ProductRequest {
        id: form.text("id")?,
        title: form.text("title")?,
        category: form.text("category")?,
        attributes: form.json("attributes")?,
        quality: form.parsed("quality")?,
        image_path: None,
        image_base64: None,
        image_url: None,
        image_name: form.text("image_name")?,
        store_image: form.parsed("store_image")?,
        vector: form.json("vector")?,
        vector_model: form.text("vector_model")?,
    };
    request.into_input(id, image)
}

impl ProductRequest {
    fn into_input(self, path_id: Option<String>, image: Option<ImageSource>) -> Result<ProductInput, Failure> {
        let id = match (path_id, self.id) {
            (Some(path), Some(body)) if path != body => return Err(field_invalid("id", "is another than that of the path")),
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => return Err(field_invalid("id", "is missing: a product needs a name of its own")),
        };
        if self.vector.is_none() && self.vector_model.is_some() {
            return Err(field_invalid("vector_model", "says whose the vector is, and there is none"));
        }
        let model = self.vector_model;
        Ok(ProductInput {
            id,
            title: self.title.unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            attributes: self.attributes.unwrap_or_default(),
            quality: self.quality,
            image,
            image_name: self.image_name,
            store_image: self.store_image.unwrap_or(true),
            vector: self.vector.map(|values| GivenVector { values, model }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, id: Option<&str>) -> Result<ProductInput, String> {
        of_json(text.as_bytes(), id.map(str::to_owned), 100).map_err(|failure| failure.code.into_owned())
    }

    #[test]
    fn everything_that_is_said_of_a_product_is_taken() {
        let text = r#"{"id": "a", "title": "A", "category": "c", "attributes": {"colour": "red"}, "quality": 0.5, "image_path": "/a.jpg",
            "image_name": "front", "store_image": false, "vector": [1, 0.5], "vector_model": "clip"}"#;
        let expected = ProductInput {
            id: "a".into(),
            title: "A".into(),
            category: "c".into(),
            attributes: [("colour".to_owned(), "red".to_owned())].into(),
            quality: Some(0.5),
            image: Some(ImageSource::Path("/a.jpg".into())),
            image_name: Some("front".into()),
            store_image: false,
            vector: Some(GivenVector { values: vec![1.0, 0.5], model: Some("clip".into()) }),
        };
        assert_eq!(read(text, None), Ok(expected.clone()));
        assert_eq!(read(text, Some("a")), Ok(expected));
        let least = read("{}", Some("a/b")).unwrap();
        assert_eq!((least.id.as_str(), least.image, least.store_image, least.vector), ("a/b", None, true, None));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, id, code) in [
            ("{}", None, "request.field-invalid"),
            (r#"{"id": "a"}"#, Some("b"), "request.field-invalid"),
            (r#"{"id": "a", "vector_model": "m"}"#, None, "request.field-invalid"),
            (r#"{"id": "a", "vector": [1, "x"]}"#, None, "request.field-invalid"),
            (r#"{"id": "a", "titel": "A"}"#, None, "request.unknown-field"),
            (r#"{"id": "a", "image_path": "a", "image_base64": "eA=="}"#, None, "request.image-ambiguous"),
        ] {
            assert_eq!(read(text, id).unwrap_err(), code, "{text}");
        }
    }

    #[test]
    fn a_hash_is_written_so_that_no_reader_rounds_it() {
        let product = Product {
            id: "a".into(),
            title: String::new(),
            category: String::new(),
            attributes: BTreeMap::new(),
            image: String::new(),
            quality: 1.0,
            perceptual_hash: Some(u64::MAX - 1),
            image_digest: None,
        };
        let body = serde_json::to_value(ProductBody::from(product)).unwrap();
        assert_eq!(body["perceptual_hash"], "fffffffffffffffe");
    }
}
