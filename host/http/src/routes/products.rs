//! `/v1/products`: storing, showing, listing and deleting products.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use breakwater_core::{CallContext, Failure};
use breakwater_operations::search::{ProductInput, ProductListRequest};

use super::product_body::{self, DeleteAnswer, FIELDS, ProductBody, ProductForm, ProductListAnswer, ProductRequest, PutAnswer};
use crate::app::App;
use crate::body;
use crate::form::Form;
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::management;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::query::Query;

/// Products in the order in which they were first stored, a page at a time. A product that is there all along is on exactly one page.
#[utoipa::path(
    get,
    path = "/v1/products",
    tag = "products",
    operation_id = "listProducts",
    params(
        ("category" = Option<String>, Query, description = "Only products of this category"),
        ("cursor" = Option<String>, Query, description = "Where the page before ended: its next_cursor"),
        ("limit" = Option<usize>, Query, description = "Products on a page, 1 to 1000; 20 when absent, unless configured otherwise")
    ),
    responses(
        (status = 200, description = "A page of products", body = ProductListAnswer, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let query = Query::of(&uri, &["category", "cursor", "limit"])?;
    let request = ProductListRequest {
        category: query.text("category").map(str::to_owned),
        cursor: query.text("cursor").map(str::to_owned),
        page_size: query.parsed("limit")?,
    };
    let context = incoming.context(app.config.request_timeout);
    Ok(json::answer(&ProductListAnswer::from(app.operations().list_products(&context, request).await?)))
}

/// Stores a product in the place of the one with the same id. Products are changed from this machine only, unless `server.products_from` says
/// otherwise. What is answered is there after a crash.
#[utoipa::path(
    post,
    path = "/v1/products",
    tag = "products",
    operation_id = "createProduct",
    request_body(content((ProductRequest = "application/json"), (ProductForm = "multipart/form-data"))),
    responses(
        (status = 201, description = "It is new", body = PutAnswer, content_type = "application/json"),
        (status = 200, description = "It was there before", body = PutAnswer, content_type = "application/json"),
        (status = "4XX", description = "The product is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    put_product(&app, &incoming, None, &headers, body).await
}

/// A product.
#[utoipa::path(
    get,
    path = "/v1/products/{id}",
    tag = "products",
    operation_id = "getProduct",
    params(("id" = String, Path, description = "The product's id")),
    responses(
        (status = 200, description = "The product", body = ProductBody, content_type = "application/json"),
        (status = 404, description = "There is none with this id", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let context = incoming.context(app.config.request_timeout);
    Ok(json::answer(&ProductBody::from(app.operations().get_product(&context, &id).await?)))
}

/// Stores a product under the id of the path. Products are changed from this machine only, unless `server.products_from` says otherwise.
#[utoipa::path(
    put,
    path = "/v1/products/{id}",
    tag = "products",
    operation_id = "putProduct",
    params(("id" = String, Path, description = "The product's id")),
    request_body(content((ProductRequest = "application/json"), (ProductForm = "multipart/form-data"))),
    responses(
        (status = 201, description = "It is new", body = PutAnswer, content_type = "application/json"),
        (status = 200, description = "It was there before", body = PutAnswer, content_type = "application/json"),
        (status = "4XX", description = "The product is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    put_product(&app, &incoming, Some(id), &headers, body).await
}

/// Deletes a product and its vectors. Products are changed from this machine only, unless `server.products_from` says otherwise.
#[utoipa::path(
    delete,
    path = "/v1/products/{id}",
    tag = "products",
    operation_id = "deleteProduct",
    params(("id" = String, Path, description = "The product's id")),
    responses(
        (status = 200, description = "The product as it was", body = DeleteAnswer, content_type = "application/json"),
        (status = 404, description = "There is none with this id", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be deleted", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow_products(&app, &incoming, &headers)?;
    require_json(&headers)?;
    let context = incoming.context(app.config.request_timeout);
    Ok(json::answer(&DeleteAnswer::from(app.operations().delete_product(&context, &id).await?)))
}

async fn put_product(app: &App, incoming: &Incoming, id: Option<String>, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    management::allow_products(app, incoming, headers)?;
    require_json(headers)?;
    let input = read(app, id, headers, body).await?;
    let answer = store(app, &incoming.context(app.config.request_timeout), input).await?;
    let status = if answer.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, json::answer(&answer)).into_response())
}

async fn read(app: &App, id: Option<String>, headers: &HeaderMap, body: Body) -> Result<ProductInput, Failure> {
    let max_bytes = app.operations().limits().max_bytes;
    match BodyKind::of(headers)? {
        BodyKind::Json => product_body::of_json(&body::read(headers, body, app.body_limits()).await?, id, max_bytes),
        BodyKind::Form => product_body::of_form(Form::read(headers, body, FIELDS, app.form_limits()).await?, id, max_bytes),
    }
}

async fn store(app: &App, context: &CallContext, input: ProductInput) -> Result<PutAnswer, Failure> {
    let mut results = app.operations().put_products(context, vec![input]).await?;
    match results.pop() {
        Some(result) => result.map(PutAnswer::from),
        None => Err(Failure::internal("a product was stored without a result")),
    }
}
