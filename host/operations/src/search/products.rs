//! Products: putting, getting, deleting, listing.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use breakwater_core::{CallContext, Failure, FailureKind, Reason};
use breakwater_inference::Priority;
use breakwater_search::catalogue::Changed;
use breakwater_search::product::Stored;
use breakwater_search::records::{ImportState, ListRequest};
use breakwater_search::{Product, Space};
use futures_util::{StreamExt as _, stream};

use super::cursor::{self, ListCursor};
use super::prepare::{Prepared, Preparing};
use crate::operations::Operations;
use crate::source::ImageSource;

/// The most products in one call.
pub const MAX_PRODUCTS: usize = 100;
/// The most products on a page of a list.
pub const MAX_LIST: usize = 1000;
/// How often a product is prepared once more because somebody else has changed it meanwhile.
const MOST_CONFLICTS: usize = 4;

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
    /// or nothing. A picture that is named otherwise cannot be read again for another model.
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
    /// The whole call: `product.too-many` (limit), `search.records` (unavailable). One product: `product.invalid`,
    /// `product.image-missing`, `search.vector-invalid`, `search.dimension-mismatch` (invalid request), `search.space-unknown` (not found),
    /// `product.conflict` (unavailable) when others keep changing it, and what loading, decoding and the models fail with.
    pub async fn put_products(
        &self,
        context: &CallContext,
        products: Vec<ProductInput>,
    ) -> Result<Vec<Result<PutProduct, Failure>>, Failure> {
        if products.len() > MAX_PRODUCTS {
            return Err(Failure::limit("product.too-many", format!("a call may bring at most {MAX_PRODUCTS} products")));
        }
        let preparing = self.preparing(context, Priority::Interactive)?;
        let prepare = async |input: ProductInput| (self.prepare(&preparing, input.clone()).await, input);
        let at_once = self.search_config().import_concurrency.max(1);
        let prepared: Vec<_> = stream::iter(products).map(prepare).buffered(at_once).collect().await;
        Ok(self.store(&preparing, prepared, None).await?.into_iter().collect())
    }

    /// Stores what is ready, with the state of an import in the same transaction. What somebody else has changed meanwhile is prepared
    /// once more.
    pub(super) async fn store(
        &self,
        preparing: &Preparing,
        prepared: Vec<(Result<Prepared, Failure>, ProductInput)>,
        import: Option<(&str, ImportState)>,
    ) -> Result<Vec<Result<PutProduct, Failure>>, Failure> {
        let drafts = prepared.iter().filter_map(|(prepared, _)| prepared.as_ref().ok()).map(|prepared| prepared.draft.clone());
        let Changed { value: stored, indexed } = self.products().put(drafts.collect(), import).await?;
        let lacks = |prepared: &Prepared| !prepared.reasons.is_empty();
        if prepared.iter().any(|(prepared, _)| prepared.as_ref().is_ok_and(lacks)) {
            self.search_state().lacking.store(true, Ordering::Release);
        }
        let mut stored = stored.into_iter();
        let mut results = Vec::with_capacity(prepared.len());
        for (prepared, input) in prepared {
            results.push(match prepared {
                Err(failure) => Err(failure),
                Ok(prepared) => match stored.next().flatten() {
                    Some(stored) => Ok(prepared.put(stored, indexed)),
                    None => self.store_again(preparing, input).await,
                },
            });
        }
        Ok(results)
    }

    async fn store_again(&self, preparing: &Preparing, input: ProductInput) -> Result<PutProduct, Failure> {
        for _ in 0..MOST_CONFLICTS {
            let prepared = self.prepare(preparing, input.clone()).await?;
            let Changed { value: stored, indexed } = self.products().put(vec![prepared.draft.clone()], None).await?;
            if let Some(stored) = stored.into_iter().flatten().next() {
                return Ok(prepared.put(stored, indexed));
            }
        }
        Err(Failure::new(FailureKind::Unavailable, "product.conflict", "others keep changing this product; try again"))
    }

    /// A product.
    ///
    /// # Errors
    /// `product.not-found` (not found), `search.records` (unavailable).
    pub async fn get_product(&self, _context: &CallContext, id: &str) -> Result<Product, Failure> {
        Ok(self.stored_product(id).await?.product)
    }

    pub(super) async fn stored_product(&self, id: &str) -> Result<Stored, Failure> {
        self.products().records().get(id).await?.ok_or_else(not_found)
    }

    /// Deletes a product and its vectors.
    ///
    /// # Errors
    /// `product.not-found` (not found), `search.records` (unavailable).
    pub async fn delete_product(&self, _context: &CallContext, id: &str) -> Result<DeletedProduct, Failure> {
        let Changed { value, indexed } = self.products().delete(id).await?.ok_or_else(not_found)?;
        Ok(DeletedProduct { product: value.product, indexed })
    }

    /// A page of products. Pages are stable: a product that is there all along is on exactly one.
    ///
    /// # Errors
    /// `search.page-size-invalid`, `search.cursor-invalid`, `search.cursor-mismatch` (invalid request), `search.records` (unavailable).
    pub async fn list_products(&self, _context: &CallContext, request: ProductListRequest) -> Result<ProductList, Failure> {
        let size = request.page_size.unwrap_or(self.search_config().page_size);
        if !(1..=MAX_LIST).contains(&size) {
            return Err(Failure::invalid("search.page-size-invalid", format!("a page has 1 to {MAX_LIST} products")));
        }
        let question = cursor::question([&b"products"[..], request.category.as_deref().unwrap_or("\0").as_bytes()]);
        let after = match request.cursor.as_deref().map(ListCursor::decode).transpose()? {
            Some(cursor) if cursor.question != question => return Err(cursor::mismatch()),
            cursor => cursor.map(|cursor| cursor.after),
        };
        let records = self.products().records();
        // One more than is shown says whether there is another page.
        let mut found = records.list(ListRequest { category: request.category, after, limit: size + 1 }).await?;
        let more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| more).map(|stored| ListCursor { question, after: stored.key }.encode());
        let items = found.into_iter().map(|stored| stored.product).collect();
        Ok(ProductList { items, next_cursor: last, total: records.count().await? })
    }
}

impl Prepared {
    fn put(self, stored: Stored, indexed: bool) -> PutProduct {
        let spaces = self.draft.vectors.iter().map(|(space, _)| space).chain(&self.kept).map(Space::slug).collect();
        PutProduct { created: stored.created == stored.sequence, product: stored.product, indexed, spaces, reasons: self.reasons }
    }
}

fn not_found() -> Failure {
    Failure::new(FailureKind::NotFound, "product.not-found", "there is no product with this id")
}
