//! Products and the search for them, with an embedder that goes by the shape of a picture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use breakwater_core::{BoxFuture, Failure, Payload, ServedBy};
use breakwater_operations::embed::MAX_INPUTS;
use breakwater_operations::search::products::MAX_PRODUCTS;
use breakwater_operations::search::{
    GivenVector, ModelAlias, ProductInput, ProductListRequest, SearchBy, SearchConfig, SearchRequest, SpacePhase,
};
use breakwater_operations::{Chains, EmbedInput, EmbedRequest, Filter, ImageSource};
use breakwater_search::{CatalogueConfig, ExactIndices, IndexError, Indices, MemoryProductRecords, ProductCatalogue, Space, VectorIndex};
use breakwater_vision::{Detail, Format, Image, Limits, OutputOptions, render};
use bytes::Bytes;
use serde_json::json;

use crate::{Behaviour, Stage, coffee};

/// Indices that can be taken away.
#[derive(Default)]
pub(crate) struct Switched {
    inner: ExactIndices,
    pub(crate) away: AtomicBool,
}

impl Indices for Switched {
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<Arc<dyn VectorIndex>, IndexError>> {
        if self.away.load(Ordering::SeqCst) {
            let source = std::io::Error::other("gone").into();
            return Box::pin(async { Err(IndexError::Unavailable { what: "postgres://secret".to_owned(), source }) });
        }
        self.inner.open(space)
    }

    fn remove<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<(), IndexError>> {
        self.inner.remove(space)
    }
}

pub(crate) async fn catalogue(records: Arc<MemoryProductRecords>, indices: Arc<Switched>) -> Arc<ProductCatalogue> {
    let config = CatalogueConfig {
        poll: Duration::from_millis(20),
        least_pause: Duration::from_millis(1),
        most_pause: Duration::from_millis(20),
        ..CatalogueConfig::default()
    };
    ProductCatalogue::open(records, indices, config).await.unwrap()
}

pub(crate) async fn shop(faces: Behaviour, search: SearchConfig) -> (Stage, Arc<MemoryProductRecords>, Arc<Switched>) {
    let (records, indices) = (Arc::<MemoryProductRecords>::default(), Arc::<Switched>::default());
    let products = catalogue(Arc::clone(&records), Arc::clone(&indices)).await;
    let stage = Stage::selling(faces, Behaviour::Finds(0.9), 64, true, Chains::new(), (products, search)).await;
    (stage, records, indices)
}

async fn open_shop() -> Stage {
    shop(Behaviour::Finds(0.9), SearchConfig::default()).await.0
}

/// A part of the picture of this size, moved by `offset` so that others look different.
pub(crate) fn picture(width: u32, height: u32, offset: u32, format: Format) -> Bytes {
    let whole = Image::decode(coffee(), Detail::Full, &Limits::default()).unwrap();
    let size = Some(breakwater_core::Size::new(width, height));
    let options = OutputOptions { format, quality: None, size, keep_metadata: false };
    render(&whole, breakwater_core::Rect::new(offset, offset / 2, width, height), &options, &Limits::default()).unwrap().bytes
}

pub(crate) fn product(id: &str, image: Bytes) -> ProductInput {
    ProductInput {
        id: id.to_owned(),
        title: format!("Product {id}"),
        category: "all".to_owned(),
        attributes: [("first".to_owned(), id[..1].to_owned())].into(),
        quality: None,
        image: Some(ImageSource::Bytes(image)),
        image_name: Some(format!("{id}.png")),
        store_image: false,
        vector: None,
    }
}

async fn put(stage: &Stage, products: Vec<ProductInput>) {
    for result in stage.operations.put_products(&stage.context(), products).await.unwrap() {
        assert!(result.unwrap().indexed);
    }
}

fn by_picture(width: u32, height: u32) -> SearchRequest {
    SearchRequest::by(SearchBy::Image(ImageSource::Bytes(picture(width, height, 0, Format::Png))))
}

async fn found(stage: &Stage, request: SearchRequest) -> Vec<String> {
    let outcome = stage.operations.search(&stage.context(), request).await.unwrap();
    outcome.value.items.into_iter().map(|item| item.product.id).collect()
}

async fn refused(stage: &Stage, request: SearchRequest) -> Failure {
    stage.operations.search(&stage.context(), request).await.unwrap_err()
}

/// Wide, square and tall, of different motifs.
fn shapes() -> Vec<ProductInput> {
    let shape = |id: &str, width, height, offset| product(id, picture(width, height, offset, Format::Png));
    vec![shape("wide", 300, 100, 10), shape("square", 200, 200, 90), shape("tall", 100, 300, 40)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_looks_most_like_a_picture_comes_first_with_how_it_was_found() {
    let stage = open_shop().await;
    put(&stage, shapes()).await;
    let outcome = stage.operations.search(&stage.context(), by_picture(280, 100)).await.unwrap();
    let page = &outcome.value;
    let ids: Vec<_> = page.items.iter().map(|item| item.product.id.as_str()).collect();
    assert_eq!(ids, ["wide", "square", "tall"]);
    assert!(page.items[0].similarity > 0.999 && page.items[1].similarity < 0.95);
    assert_eq!((page.model.as_str(), page.ranked_by.as_str(), page.scanned, page.pending), ("told", "host", 3, 0));
    assert_eq!(outcome.served_by, ServedBy::Model { name: "told".into(), device: "told".into() });
    assert!(!outcome.is_degraded() && page.next_cursor.is_none() && page.timings.total > Duration::ZERO);
    let first = &page.items[0].product;
    assert!(first.perceptual_hash.is_some() && first.image_digest.is_some());
    assert!(stage.metrics.encode().contains("breakwater_search"), "{}", stage.metrics.encode());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_can_be_looked_for_by_text_vector_and_product() {
    let search = SearchConfig { models: vec!["told-texts".into()], ..SearchConfig::default() };
    let (stage, ..) = shop(Behaviour::Finds(0.9), search).await;
    put(&stage, shapes()).await;
    let vector = |values: &[f32], model: Option<&str>| {
        SearchRequest::by(SearchBy::Vector { values: values.to_vec(), model: model.map(str::to_owned) })
    };
    assert_eq!(found(&stage, vector(&[1.0, 30.0], None)).await[0], "tall");
    // Every text is as wide as it is long, and 100 high.
    let text = SearchRequest::by(SearchBy::Text("x".repeat(300)));
    let outcome = stage.operations.search(&stage.context(), text).await.unwrap();
    assert_eq!((outcome.value.items[0].product.id.as_str(), outcome.value.model.as_str()), ("wide", "told-texts"));
    let space = outcome.value.space;
    assert_eq!(found(&stage, vector(&[1.0, 1.0], Some(&space))).await[0], "square");
    // What is looked for is not found itself.
    assert_eq!(found(&stage, SearchRequest::by(SearchBy::Product("tall".into()))).await, ["square", "wide"]);
    assert_eq!(refused(&stage, SearchRequest::by(SearchBy::Product("none".into()))).await.code, "product.not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_its_reason() {
    let stage = open_shop().await;
    let vector = |values: &[f32], model: &str| SearchRequest::by(SearchBy::Vector { values: values.to_vec(), model: Some(model.into()) });
    assert_eq!(refused(&stage, by_picture(10, 10)).await.code, "search.space-not-indexed");
    put(&stage, shapes()).await;
    assert_eq!(refused(&stage, vector(&[f32::NAN, 1.0], "told")).await.code, "search.vector-invalid");
    assert_eq!(refused(&stage, vector(&[0.0, 0.0], "told")).await.code, "search.vector-invalid");
    let mismatch = refused(&stage, vector(&[1.0, 0.0, 0.0], "told")).await;
    assert_eq!((&*mismatch.code, mismatch.detail.unwrap()), ("search.dimension-mismatch", json!({ "expected": 2, "found": 3 })));
    let unknown = refused(&stage, vector(&[1.0, 0.0], "tolt")).await;
    assert_eq!((&*unknown.code, &unknown.detail.unwrap()["closest"]), ("search.space-unknown", &json!("told")));
    let model = SearchRequest { model: Some("tolt".into()), ..by_picture(10, 10) };
    assert_eq!(refused(&stage, model).await.code, "embedder.unknown-model");
    let image = |bytes: &'static [u8]| SearchRequest::by(SearchBy::Image(ImageSource::Bytes(Bytes::from_static(bytes))));
    assert_eq!(refused(&stage, image(b"")).await.code, "image.unsupported");
    let url = SearchRequest::by(SearchBy::Image(ImageSource::Url("http://169.254.169.254/x.jpg".into())));
    assert_eq!(refused(&stage, url).await.code, "upstream.url-denied");
    assert_eq!(refused(&stage, SearchRequest::by(SearchBy::Text("\0\n ".into()))).await.code, "search.text-invalid");
    assert_eq!(refused(&stage, SearchRequest { cursor: Some("abc".into()), ..by_picture(9, 9) }).await.code, "search.cursor-invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_and_near_duplicates_are_minded() {
    let stage = open_shop().await;
    put(&stage, shapes()).await;
    let again = picture(300, 100, 10, Format::Jpeg);
    put(&stage, vec![product("copy", again)]).await;
    let outcome = stage.operations.search(&stage.context(), by_picture(300, 100)).await.unwrap();
    assert_eq!(outcome.value.items.len(), 3);
    let both = [outcome.value.items[0].product.id.as_str(), outcome.value.items[0].duplicates[0].as_str()];
    assert_eq!(both, ["wide", "copy"]);
    assert_eq!(found(&stage, SearchRequest { fold_duplicates: false, ..by_picture(300, 100) }).await.len(), 4);
    let filter = Filter { attributes: [("first".to_owned(), "t".to_owned())].into(), ..Filter::default() };
    assert_eq!(found(&stage, SearchRequest { filter, ..by_picture(300, 100) }).await, ["tall"]);
    assert_eq!(found(&stage, SearchRequest { min_similarity: Some(0.99), ..by_picture(300, 100) }).await, ["wide"]);
    let malicious = Filter { categories: vec!["' OR 1=1 --".into()], ..Filter::default() };
    assert!(found(&stage, SearchRequest { filter: malicious, ..by_picture(300, 100) }).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_and_belong_to_their_search() {
    let stage = open_shop().await;
    put(&stage, shapes()).await;
    let first = SearchRequest { page_size: Some(2), ..by_picture(300, 100) };
    let page = stage.operations.search(&stage.context(), first.clone()).await.unwrap().value;
    let cursor = page.next_cursor.unwrap();
    put(&stage, vec![product("new", picture(300, 101, 50, Format::Png))]).await;
    stage.operations.delete_product(&stage.context(), "wide").await.unwrap();
    let second = SearchRequest { cursor: Some(cursor.clone()), page_size: Some(9), ..first.clone() };
    assert_eq!(found(&stage, second.clone()).await, ["tall"], "what was shown and what is new is left out");
    for other in [
        SearchRequest { cursor: Some(cursor.clone()), ..by_picture(200, 100) },
        SearchRequest { exact: true, ..second.clone() },
        SearchRequest { min_similarity: Some(0.1), ..second.clone() },
        SearchRequest { filter: Filter { categories: vec!["all".into()], ..Filter::default() }, ..second.clone() },
    ] {
        assert_eq!(refused(&stage, other).await.code, "search.cursor-mismatch");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_are_put_got_listed_and_deleted() {
    let stage = open_shop().await;
    put(&stage, shapes()).await;
    let operations = &stage.operations;
    let renamed = ProductInput { title: "Other".into(), image: None, image_name: None, ..product("tall", Bytes::new()) };
    let before = operations.get_product(&stage.context(), "tall").await.unwrap();
    let put = operations.put_products(&stage.context(), vec![renamed]).await.unwrap().remove(0).unwrap();
    assert!(!put.created && put.product.title == "Other" && put.product.image_digest == before.image_digest);
    assert_eq!(found(&stage, by_picture(100, 300)).await[0], "tall", "its vector stayed");
    let list = async |cursor: Option<String>| {
        let request = ProductListRequest { cursor, page_size: Some(2), category: None };
        let page = operations.list_products(&stage.context(), request).await.unwrap();
        assert_eq!(page.total, 3);
        (page.items.into_iter().map(|product| product.id).collect::<Vec<_>>(), page.next_cursor)
    };
    let (first, cursor) = list(None).await;
    let (second, end) = list(cursor.clone()).await;
    assert_eq!((first, second, end), (vec!["wide".to_owned(), "square".to_owned()], vec!["tall".to_owned()], None));
    let other = ProductListRequest { cursor, category: Some("x".into()), page_size: None };
    assert_eq!(operations.list_products(&stage.context(), other).await.unwrap_err().code, "search.cursor-mismatch");
    let zero = ProductListRequest { page_size: Some(0), ..ProductListRequest::default() };
    assert_eq!(operations.list_products(&stage.context(), zero).await.unwrap_err().code, "search.page-size-invalid");
    assert!(operations.delete_product(&stage.context(), "tall").await.unwrap().indexed);
    for code in [
        operations.get_product(&stage.context(), "tall").await.unwrap_err().code,
        operations.delete_product(&stage.context(), "tall").await.unwrap_err().code,
    ] {
        assert_eq!(code, "product.not-found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_product_of_a_call_has_its_own_result() {
    let stage = open_shop().await;
    let good = || picture(300, 100, 10, Format::Png);
    let vector = |values: &[f32]| Some(GivenVector { values: values.to_vec(), model: None });
    let products = vec![
        product("good", good()),
        product("poison", Bytes::from_static(b"\xff\xd8\xff\xe0 no picture")),
        product("a\nb", good()),
        ProductInput { image: None, ..product("nothing", Bytes::new()) },
        ProductInput { image: None, vector: vector(&[1.0, 2.0]), ..product("vector", Bytes::new()) },
        ProductInput { image: None, vector: vector(&[1.0, 2.0, 3.0]), ..product("long", Bytes::new()) },
        ProductInput { image: Some(ImageSource::Path("/missing.jpg".into())), ..product("missing", Bytes::new()) },
        product("good", picture(100, 300, 40, Format::Png)),
    ];
    let results = stage.operations.put_products(&stage.context(), products).await.unwrap();
    let codes: Vec<String> = results
        .iter()
        .map(|result| result.as_ref().map_or_else(|failure| failure.code.to_string(), |put| put.product.id.clone()))
        .collect();
    let expected = [
        "good",
        "image.corrupt",
        "product.invalid",
        "product.image-missing",
        "vector",
        "search.dimension-mismatch",
        "media.not-found",
        "good",
    ];
    assert_eq!(codes, expected);
    assert_eq!(found(&stage, by_picture(100, 300)).await[0], "good", "the last of two with one id stands");
    let many = vec![product("x", good()); MAX_PRODUCTS + 1];
    assert_eq!(stage.operations.put_products(&stage.context(), many).await.unwrap_err().code, "product.too-many");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_is_sent_can_be_kept_and_is_looked_at_once() {
    let stage = open_shop().await;
    let kept = ProductInput { store_image: true, image_name: None, ..product("kept", picture(300, 100, 10, Format::Png)) };
    let first = stage.operations.put_products(&stage.context(), vec![kept.clone()]).await.unwrap().remove(0).unwrap();
    assert!(first.created && first.product.image.starts_with("/output/"), "{}", first.product.image);
    let again = stage.operations.put_products(&stage.context(), vec![kept]).await.unwrap().remove(0).unwrap();
    assert_eq!((again.product, again.created, again.spaces), (first.product.clone(), false, first.spaces));
    // It can be looked for by its path.
    let by_path = SearchRequest::by(SearchBy::Image(ImageSource::Path(first.product.image)));
    assert_eq!(found(&stage, by_path).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_kept_while_the_index_is_away_and_searches_say_so() {
    let (stage, _, indices) = shop(Behaviour::Finds(0.9), SearchConfig::default()).await;
    indices.away.store(true, Ordering::SeqCst);
    let put = stage.operations.put_products(&stage.context(), vec![product("a", picture(300, 100, 10, Format::Png))]).await;
    assert!(!put.unwrap().remove(0).unwrap().indexed);
    let failure = refused(&stage, by_picture(300, 100)).await;
    assert_eq!((&*failure.code, failure.retryable), ("search.index-unavailable", true));
    assert!(!failure.message.contains("postgres") && failure.chain().contains("secret"));
    let status = stage.operations.search_status().await.unwrap();
    assert_eq!((status.products, status.spaces[0].phase, status.spaces[0].vectors), (1, SpacePhase::Unavailable, 1));
    indices.away.store(false, Ordering::SeqCst);
    let deadline = breakwater_core::Deadline::after(Duration::from_secs(20));
    while stage.operations.search_status().await.unwrap().spaces[0].phase != SpacePhase::Ready {
        assert!(!deadline.has_passed());
        tokio::task::yield_now().await;
    }
    assert_eq!(found(&stage, by_picture(300, 100)).await, ["a"]);
    let status = stage.operations.search_status().await.unwrap();
    assert_eq!((status.spaces[0].indexed, status.spaces[0].missing, status.spaces[0].pending), (Some(1), Some(0), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stored_that_could_not_be_found_while_the_model_is_down() {
    let (stage, records, _) = shop(Behaviour::Fails, SearchConfig::default()).await;
    let sent = product("sent", picture(300, 100, 10, Format::Png));
    let named = ProductInput { image: Some(ImageSource::Path("/coffee.png".into())), image_name: None, ..product("named", Bytes::new()) };
    let renamed = ProductInput { image_name: Some("elsewhere.png".into()), ..named.clone() };
    let results = stage.operations.put_products(&stage.context(), vec![sent, named, renamed]).await.unwrap();
    for lost in [0, 2] {
        assert_eq!(results[lost].as_ref().unwrap_err().code, "embedder.unavailable");
    }
    // Its picture can be looked at again later.
    let named = results[1].as_ref().unwrap();
    assert_eq!((named.reasons[0].provider.as_str(), named.reasons[0].code.as_str()), ("model:told", "embedder.unavailable"));
    assert_eq!(breakwater_search::ProductRecords::count(&*records).await.unwrap(), 1);
    assert_eq!(refused(&stage, by_picture(3, 3)).await.code, "embedder.unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_get_the_vectors_they_lack_when_the_model_is_there() {
    let (down, records, _) = shop(Behaviour::Fails, SearchConfig::default()).await;
    let named = ProductInput { image: Some(ImageSource::Path("/coffee.png".into())), image_name: None, ..product("named", Bytes::new()) };
    down.operations.put_products(&down.context(), vec![named]).await.unwrap().remove(0).unwrap();
    let products = catalogue(records, Arc::default()).await;
    let up =
        Stage::selling(Behaviour::Finds(0.9), Behaviour::Finds(0.9), 64, true, Chains::new(), (products, SearchConfig::default())).await;
    up.operations.start_search().await;
    let deadline = breakwater_core::Deadline::after(Duration::from_secs(30));
    while up.operations.search_status().await.unwrap().backfilled == 0 {
        assert!(!deadline.has_passed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let request = SearchRequest::by(SearchBy::Image(ImageSource::Path("/coffee.png".into())));
    while up.operations.search(&up.context(), request.clone()).await.is_err() {
        assert!(!deadline.has_passed());
    }
    assert_eq!(found(&up, request).await, ["named"]);
    up.operations.stop_search(deadline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_stands_for_one_of_two_models_by_its_flag() {
    let alias = ModelAlias { model: "told".into(), other: Some("told-texts".into()), flag: "try-texts".into() };
    let search = SearchConfig { aliases: [("best".to_owned(), alias)].into(), ..SearchConfig::default() };
    let (stage, ..) = shop(Behaviour::Finds(0.9), search).await;
    put(&stage, shapes()).await;
    let request = SearchRequest { model: Some("best".into()), page_size: Some(2), ..by_picture(300, 100) };
    let page = stage.operations.search(&stage.context(), request.clone()).await.unwrap().value;
    let arm = page.arm.unwrap();
    assert_eq!((arm.model.as_str(), arm.other, page.model.as_str()), ("told", false, "told"));
    stage.operations.put_flag("try-texts", breakwater_operations::services::Flag::on(), None).await.unwrap();
    // The pages of one search are of one model.
    let next = SearchRequest { cursor: page.next_cursor, ..request.clone() };
    assert_eq!(stage.operations.search(&stage.context(), next).await.unwrap().value.model, "told");
    let page = stage.operations.search(&stage.context(), request).await.unwrap().value;
    let arm = page.arm.unwrap();
    assert_eq!((arm.model.as_str(), arm.other, page.model.as_str()), ("told-texts", true, "told-texts"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_is_an_operation_like_any_other() {
    let stage = open_shop().await;
    put(&stage, shapes()).await;
    let input = Payload::json(json!({ "vector": [1.0, 3.0], "model": "told", "limit": 1 }));
    let outcome = stage.operations.invoke(&stage.context(), "search-products", input).await.unwrap();
    assert_eq!(outcome.value.json["items"][0]["product"]["id"], "tall");
    assert!(outcome.value.json["next_cursor"].is_string());
    let text = Payload::json(json!({ "text": "two words" }));
    let outcome = stage.operations.invoke(&stage.context(), "embed-text", text).await.unwrap();
    assert_eq!((&outcome.value.json["model"], &outcome.value.json["tokens"]), (&json!("told-texts"), &json!(2)));
    let image = Payload::json(json!({ "image_path": "/coffee.png", "model": "tolt" }));
    let failure = stage.operations.invoke(&stage.context(), "extract-features", image).await.unwrap_err();
    assert_eq!(failure.code, "embedder.unknown-model");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_and_texts_are_embedded_each_with_its_own_result() {
    let stage = open_shop().await;
    let inputs = vec![
        EmbedInput::Image(ImageSource::Path("/coffee.png".into())),
        EmbedInput::Image(ImageSource::Bytes(Bytes::from_static(b"GIF89a poison"))),
        EmbedInput::Text("three words here".into()),
        EmbedInput::Text(" \0".into()),
    ];
    let embedded = stage.operations.embed(&stage.context(), EmbedRequest { inputs, model: Some("told-texts".into()) }).await.unwrap();
    assert_eq!((embedded.items.len(), embedded.tokens), (4, 3));
    let first = &embedded.items[0].as_ref().unwrap().value;
    assert_eq!((first.model.as_str(), first.space.dimension, first.tokens), ("told-texts", 2, 0));
    assert!(embedded.items[1].as_ref().unwrap_err().code.starts_with("image."));
    assert_eq!(embedded.items[2].as_ref().unwrap().value.tokens, 3);
    assert_eq!(embedded.items[3].as_ref().unwrap_err().code, "search.text-invalid");
    let code = async |inputs: Vec<EmbedInput>| {
        stage.operations.embed(&stage.context(), EmbedRequest { inputs, model: None }).await.unwrap_err().code
    };
    assert_eq!(code(Vec::new()).await, "embed.inputs-invalid");
    assert_eq!(code(vec![EmbedInput::Text("x".into()); MAX_INPUTS + 1]).await, "embed.too-many-inputs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_similar_come_first_when_the_ranker_is_not_there_and_the_answer_says_so() {
    let search = SearchConfig { ranker: Some("rank-by-margin".into()), ..SearchConfig::default() };
    let (stage, ..) = shop(Behaviour::Finds(0.9), search).await;
    put(&stage, shapes()).await;
    let weights = [("all".to_owned(), 0.0)].into();
    let request = SearchRequest { category_weights: weights, ..by_picture(300, 100) };
    let outcome = stage.operations.search(&stage.context(), request).await.unwrap();
    assert_eq!((outcome.reasons[0].provider.as_str(), outcome.reasons[0].code.as_str()), ("plugin:rank-by-margin", "ranker.not-deployed"));
    assert!(outcome.is_degraded() && outcome.value.ranked_by == "host");
    assert_eq!(outcome.value.items[0].score, outcome.value.items[0].similarity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_a_search_end_at_a_depth() {
    let stage = open_shop().await;
    for hundred in 0..11 {
        let vector = |index: usize| {
            let values = vec![1000.0, (hundred * 100 + index) as f32];
            let vector = Some(GivenVector { values, model: None });
            ProductInput { image: None, vector, ..product(&format!("{hundred}-{index}"), Bytes::new()) }
        };
        put(&stage, (0..100).map(vector).collect()).await;
    }
    let mut request = SearchRequest { page_size: Some(100), ..SearchRequest::by(SearchBy::Vector { values: vec![1.0, 0.0], model: None }) };
    let mut shown = std::collections::BTreeSet::new();
    let failure = loop {
        match stage.operations.search(&stage.context(), request.clone()).await {
            Ok(outcome) => {
                request.cursor = Some(outcome.value.next_cursor.expect("there is more"));
                for item in outcome.value.items {
                    assert!(shown.insert(item.product.id), "a product came twice");
                }
            }
            Err(failure) => break failure,
        }
    };
    assert_eq!((&*failure.code, shown.len()), ("search.too-deep", 1000));
}
