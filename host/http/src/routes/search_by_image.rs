//! `POST /api/v1/products/search-by-image`: the route of the image search that applications know, with a page number instead of a cursor if they
//! like.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_core::{CallContext, Failure, Outcome};
use breakwater_operations::search::{SearchBy, SearchPage, SearchRequest};
use serde::Serialize;
use utoipa::ToSchema;

use super::invoke_answer::HistoryBody;
use super::search_answer::{FoundBody, SearchAnswer, SearchItemBody};
use crate::app::App;
use crate::form::{Fields, Form, field_invalid};
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::negotiate::require_json;
use crate::picture;
use crate::problem::{Problem, Refusal};

/// The last page that can be asked for by its number. Every page before it is made too; a cursor leads on from there at once.
const MAX_PAGE: u32 = 20;

/// Products on a page.
const DEFAULT_LIMIT: usize = 20;

const FIELDS: Fields = Fields {
    files: &["image", "file"],
    texts: &["page", "limit", "category", "min_similarity", "cursor", "model"],
    repeated: &["category"],
};

/// A picture, and which of the products that look like it are wanted.
#[derive(ToSchema)]
#[schema(as = SearchByImageForm)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct FormBody {
    /// The picture.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    image: String,
    /// Which page, from 1 to 20; 1 when absent. Not together with `cursor`.
    #[schema(example = 1)]
    page: Option<u32>,
    /// Products on a page, 1 to 100; 20 when absent.
    #[schema(example = 20)]
    limit: Option<usize>,
    /// Only products of this category; may be repeated.
    category: Option<String>,
    /// Only products at least this similar, -1 to 1.
    min_similarity: Option<f32>,
    /// Where the page before ended: its `next_cursor`, with everything else the same.
    cursor: Option<String>,
    /// The model, or an alias of models; the default when absent.
    model: Option<String>,
}

/// A page of products.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchByImageAnswer)]
pub(crate) struct Answer {
    /// Always true.
    success: bool,
    /// Best first.
    data: Vec<SearchItemBody>,
    /// Which page this is.
    pagination: Pagination,
    #[serde(flatten)]
    found: FoundBody,
    #[serde(flatten)]
    history: HistoryBody,
}

/// Which page this is.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Pagination {
    /// From 1; absent when a cursor was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// The most products of a page.
    limit: usize,
    /// Products on this page.
    count: usize,
    /// Whether another page follows.
    has_more: bool,
    /// Where it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Finds the products that look like a picture. `Authorization: Bearer …` may be sent and is not looked at: this service does not know yet who
/// may search, so put something in front that does.
#[utoipa::path(
    post,
    path = "/api/v1/products/search-by-image",
    tag = "search",
    operation_id = "searchProductsByImage",
    params(("Authorization" = Option<String>, Header, description = "A bearer token; not looked at yet")),
    request_body(content = FormBody, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "A page of products", body = Answer, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn search_by_image(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    if BodyKind::of(&headers)? != BodyKind::Form {
        return Err(Failure::invalid("http.unsupported-media-type", "send Content-Type: multipart/form-data").into());
    }
    let form = Form::read(&headers, body, FIELDS, app.form_limits()).await?;
    let wanted = of_form(form, app.operations().limits().max_bytes)?;
    let context = incoming.context(app.config.request_timeout);
    let search = |request| app.operations().search(&context, request);
    let outcome = nth_page(wanted.request.clone(), wanted.page.unwrap_or(1), search).await?;
    Ok(json::answer(&answer(outcome, &wanted, &context)))
}

/// What is wanted.
#[derive(Debug)]
struct Wanted {
    request: SearchRequest,
    /// None with a cursor.
    page: Option<u32>,
    limit: usize,
}

fn of_form(mut form: Form, max_bytes: u64) -> Result<Wanted, Failure> {
    let image = picture::source(form.picture()?.map(|part| part.bytes), None, None, max_bytes)?;
    let (page, cursor) = (form.parsed::<u32>("page")?, form.text("cursor")?);
    if page.is_some_and(|page| !(1..=MAX_PAGE).contains(&page)) {
        return Err(field_invalid("page", &format!("is from 1 to {MAX_PAGE}; next_cursor leads further")));
    }
    if page.is_some() && cursor.is_some() {
        return Err(field_invalid("page", "stands beside a cursor; one of the two must go"));
    }
    let limit = form.parsed("limit")?.unwrap_or(DEFAULT_LIMIT);
    let mut request = SearchRequest {
        page_size: Some(limit),
        min_similarity: form.parsed("min_similarity")?,
        model: form.text("model")?,
        ..SearchRequest::by(SearchBy::Image(image))
    };
    while let Some(category) = form.text("category")? {
        request.filter.categories.push(category);
    }
    let page = if cursor.is_some() { None } else { Some(page.unwrap_or(1)) };
    request.cursor = cursor;
    Ok(Wanted { request, page, limit })
}

/// Goes from page to page; one behind the end is empty.
async fn nth_page<F: Future<Output = Result<Outcome<SearchPage>, Failure>>>(
    mut request: SearchRequest,
    page: u32,
    search: impl Fn(SearchRequest) -> F,
) -> Result<Outcome<SearchPage>, Failure> {
    let mut outcome = search(request.clone()).await?;
    for _ in 1..page {
        request.cursor = outcome.value.next_cursor.take();
        if request.cursor.is_none() {
            outcome.value.items.clear();
            return Ok(outcome);
        }
        outcome = search(request.clone()).await?;
    }
    Ok(outcome)
}

fn answer(outcome: Outcome<SearchPage>, wanted: &Wanted, context: &CallContext) -> Answer {
    let SearchAnswer { items, next_cursor, found, history } = SearchAnswer::of(outcome, context);
    let pagination =
        Pagination { page: wanted.page, limit: wanted.limit, count: items.len(), has_more: next_cursor.is_some(), next_cursor };
    Answer { success: true, data: items, pagination, found, history }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use axum::http::header;
    use breakwater_core::Principal;
    use breakwater_operations::ImageSource;

    use super::super::search_answer::tests::page;
    use super::*;
    use crate::body::BodyLimits;
    use crate::form::FormLimits;

    async fn read(fields: &[(&str, &str)]) -> Result<Wanted, String> {
        let part = |(name, value): &(&str, &str)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        let text: String = fields.iter().map(part).chain(["--b--\r\n".to_owned()]).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=b".parse().unwrap());
        let body = BodyLimits { max_bytes: 10_000, idle: Duration::from_secs(1), total: Duration::from_secs(1) };
        let limits = FormLimits { body, max_fields: 32, max_field_bytes: 1000, max_file_bytes: 10 };
        let form = Form::read(&headers, Body::from(text), FIELDS, limits).await;
        form.and_then(|form| of_form(form, 10)).map_err(|failure| failure.code.into_owned())
    }

    #[tokio::test]
    async fn a_picture_alone_gives_the_first_twenty() {
        for name in ["image", "file"] {
            let wanted = read(&[(name, "picture")]).await.unwrap();
            let expected =
                SearchRequest { page_size: Some(20), ..SearchRequest::by(SearchBy::Image(ImageSource::Bytes("picture".into()))) };
            assert_eq!((wanted.request, wanted.page, wanted.limit), (expected, Some(1), 20));
        }
    }

    #[tokio::test]
    async fn fields_choose_among_what_is_found() {
        let fields = [("image", "p"), ("page", "3"), ("limit", "5"), ("category", "a"), ("category", "b"), ("min_similarity", "0.5")];
        let wanted = read(&fields).await.unwrap();
        assert_eq!((wanted.page, wanted.limit, wanted.request.min_similarity), (Some(3), 5, Some(0.5)));
        assert_eq!(wanted.request.filter.categories, ["a", "b"]);
        let wanted = read(&[("image", "p"), ("cursor", "c")]).await.unwrap();
        assert_eq!((wanted.page, wanted.request.cursor.as_deref()), (None, Some("c")));
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused() {
        for (fields, code) in [
            (vec![("page", "1")], "request.image-missing"),
            (vec![("image", "p"), ("file", "p")], "request.image-ambiguous"),
            (vec![("image", "p"), ("page", "0")], "request.field-invalid"),
            (vec![("image", "p"), ("page", "21")], "request.field-invalid"),
            (vec![("image", "p"), ("page", "1"), ("cursor", "c")], "request.field-invalid"),
            (vec![("image", "p"), ("limit", "many")], "request.field-invalid"),
            (vec![("image", "p"), ("pages", "1")], "request.unknown-field"),
            (vec![("image", "12345678901")], "image.too-many-bytes"),
        ] {
            assert_eq!(read(&fields).await.unwrap_err(), code, "{fields:?}");
        }
    }

    #[tokio::test]
    async fn a_page_is_reached_over_those_before_it_and_one_behind_the_end_is_empty() {
        let asked = RefCell::new(Vec::new());
        let search = |request: SearchRequest| {
            asked.borrow_mut().push(request.cursor.clone());
            std::future::ready(Ok(match request.cursor.as_deref() {
                None => page(&["a"], Some("second")),
                Some(_) => page(&["b"], None),
            }))
        };
        let request = SearchRequest::by(SearchBy::Product("x".into()));
        let found = nth_page(request.clone(), 2, &search).await.unwrap();
        assert_eq!(found.value.items[0].product.id, "b");
        assert_eq!(asked.take(), [None, Some("second".to_owned())]);
        let found = nth_page(request.clone(), 20, &search).await.unwrap();
        assert!(found.value.items.is_empty() && found.value.next_cursor.is_none());
        assert_eq!(asked.borrow().len(), 2, "nothing is asked behind the end");
        let wanted = Wanted { request, page: Some(20), limit: 5 };
        let context = CallContext::root(Principal::Anonymous, Duration::from_secs(1));
        let answer = answer(found, &wanted, &context);
        assert_eq!(answer.pagination, Pagination { page: Some(20), limit: 5, count: 0, has_more: false, next_cursor: None });
    }
}
