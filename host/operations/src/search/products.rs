//! Products: putting, getting, deleting, listing.

use std::collections::BTreeMap;

use breakwater_core::{CallContext, Failure, Reason};
use breakwater_search::Product;

use crate::operations::Operations;
use crate::source::ImageSource;

/// The most products in one call.
pub const MAX_PRODUCTS: usize = 100;
/// The most products on a page of a list.
pub const MAX_LIST: usize = 1000;

/// A vector that the caller made himself.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenVector {
    /// The numbers; they need not have length one.
    pub values: Vec<f32>,
    /// The id of a model, or a space as answers name it; the default model when absent.
    pub model: Option<String>,
}

/// A product to store. One with the same id is replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductInput {
    /// 1 to 256 bytes without control characters.
    pub id: String,
    /// At most 1024 bytes.
    pub title: String,
    /// At most 256 bytes; empty for none.
    pub category: String,
    /// At most 64, of 256 bytes each at most.
    pub attributes: BTreeMap<String, String>,
    /// 0..=1; 1 when absent.
    pub quality: Option<f32>,
    /// Its picture. Without a picture and a vector, those of the stored product stay.
    pub image: Option<ImageSource>,
    /// How the product names its picture: at most 4096 bytes. Absent: the picture's path or URL, for bytes the name it is stored under,
    /// or nothing.
    pub image_name: Option<String>,
    /// Whether a picture given as bytes is written below the media root, so that it can be shown, and read again for another model.
    pub store_image: bool,
    /// A vector instead of, or besides, those that models make of the picture.
    pub vector: Option<GivenVector>,
}

/// What putting a product came to.
#[derive(Debug, Clone, PartialEq)]
pub struct PutProduct {
    /// As it is stored.
    pub product: Product,
    /// Whether it was not there before.
    pub created: bool,
    /// Whether searches find it already. Otherwise the index is behind or away, and finds it when it is back.
    pub indexed: bool,
    /// The spaces in which it has got a vector now.
    pub spaces: Vec<String>,
    /// Why it has no vector of some model yet; such vectors are made later if the picture can be read again.
    pub reasons: Vec<Reason>,
}

/// What deleting a product came to.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletedProduct {
    /// As it was.
    pub product: Product,
    /// Whether no search finds it any more. Otherwise an index is behind or away; answers leave it out all the same.
    pub indexed: bool,
}

/// Which products are listed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProductListRequest {
    /// Only of this category.
    pub category: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// 1..=[`MAX_LIST`]; the configured page size when absent.
    pub page_size: Option<usize>,
}

/// A page of products, in the order in which they were first put.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductList {
    /// They.
    pub items: Vec<Product>,
    /// Where the next page goes on; none when there is nothing more.
    pub next_cursor: Option<String>,
    /// How many products there are in all, of every category.
    pub total: u64,
}

impl Operations {
    /// Stores products, each with its own result, in the order given. What is answered with `Ok` is there after a crash.
    ///
    /// # Errors
    /// The whole call: `product.too-many` (limit), `search.records` (unavailable), `call.deadline`. One product: `product.invalid`,
    /// `product.image-missing` (invalid request), `search.vector-invalid`, `search.space-unknown`, and what loading, decoding and the
    /// models fail with.
    pub async fn put_products(
        &self,
        context: &CallContext,
        products: Vec<ProductInput>,
    ) -> Result<Vec<Result<PutProduct, Failure>>, Failure> {
        let _ = (context, products);
        Err(Failure::internal("search is being set up"))
    }

    /// A product.
    ///
    /// # Errors
    /// `product.not-found` (not found), `search.records` (unavailable).
    pub async fn get_product(&self, context: &CallContext, id: &str) -> Result<Product, Failure> {
        let _ = (context, id);
        Err(Failure::internal("search is being set up"))
    }

    /// Deletes a product and its vectors.
    ///
    /// # Errors
    /// `product.not-found` (not found), `search.records` (unavailable).
    pub async fn delete_product(&self, context: &CallContext, id: &str) -> Result<DeletedProduct, Failure> {
        let _ = (context, id);
        Err(Failure::internal("search is being set up"))
    }

    /// A page of products. Pages are stable: a product that is there all along is on exactly one.
    ///
    /// # Errors
    /// `search.page-size-invalid`, `search.cursor-invalid`, `search.cursor-mismatch` (invalid request), `search.records` (unavailable).
    pub async fn list_products(&self, context: &CallContext, request: ProductListRequest) -> Result<ProductList, Failure> {
        let _ = (context, request);
        Err(Failure::internal("search is being set up"))
    }
}
