//! `/v1/products/import` and `/v1/imports`: many products at once, in the background.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use breakwater_core::{Deadline, Failure};
use breakwater_operations::search::{ImportFormat, ImportRequest};
use futures_util::StreamExt as _;

use super::import_body::{self, ImportAnswer, ImportBody, ImportListAnswer};
use crate::app::App;
use crate::body::{self, BodyLimits};
use crate::incoming::Incoming;
use crate::json;
use crate::management;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::query::Query;
use crate::wire::each;

/// The longest time for a whole list. What keeps it within bounds is the pause between its pieces.
const LIST_TIMEOUT: Duration = Duration::from_secs(3600);

/// Starts an import in the background, or goes on with one that was interrupted: of a folder or list below the media root (JSON), or of a list
/// that is sent as it is (`application/jsonl`, `application/x-ndjson`, `text/csv`), which is kept below the media root. Products are changed from
/// this machine only, unless `server.products_from` says otherwise.
#[utoipa::path(
    post,
    path = "/v1/products/import",
    tag = "products",
    operation_id = "importProducts",
    params(
        ("name" = Option<String>, Query, description = "With a list: the import's name; `import` when absent"),
        ("restart" = Option<bool>, Query, description = "With a list: begin anew, also if it was interrupted")
    ),
    request_body(content(
        (ImportBody = "application/json"),
        (String = "application/jsonl", example = json!("{\"id\": \"sku-17\", \"title\": \"Red dress\", \"image\": \"/products/sku-17.jpg\"}\n")),
        (String = "application/x-ndjson"),
        (String = "text/csv", example = json!("id,title,image\nsku-17,Red dress,/products/sku-17.jpg\n"))
    )),
    responses(
        (status = 202, description = "It runs", body = ImportAnswer, content_type = "application/json",
            headers(("location" = String, description = "Where its state is"))),
        (status = 409, description = "One of this name runs, or was interrupted that reads something else", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be started", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn start(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow_products(&app, &incoming, &headers)?;
    require_json(&headers)?;
    let request = match Given::of(&headers)? {
        Given::Json => {
            Query::of(&uri, &[])?;
            json::read::<ImportBody>(&management::bytes(&app, &headers, body).await?)?.into_request()?
        }
        Given::List(format) => list(&app, format, &headers, &uri, body).await?,
    };
    let context = incoming.context(app.config.request_timeout);
    let status = app.operations().import(&context, request).await?;
    let location = format!("/v1/imports/{}", status.name);
    Ok(json::located(StatusCode::ACCEPTED, &location, &ImportAnswer::from(status)))
}

async fn list(app: &App, format: ImportFormat, headers: &HeaderMap, uri: &Uri, body: Body) -> Result<ImportRequest, Failure> {
    let query = Query::of(uri, &["name", "restart"])?;
    let (name, restart) = (import_body::name(query.text("name").map(str::to_owned)), query.parsed("restart")?.unwrap_or(false));
    let limits = BodyLimits { max_bytes: app.config.max_import_bytes, idle: app.config.body_idle_timeout, total: LIST_TIMEOUT };
    let pieces = body::guarded(headers, body, limits).map(|piece| piece.map_err(Failure::from));
    let source = app.operations().receive_list(format, pieces, Deadline::after(LIST_TIMEOUT)).await?;
    Ok(ImportRequest { name, source, restart })
}

/// Every import, by name.
#[utoipa::path(
    get,
    path = "/v1/imports",
    tag = "products",
    operation_id = "listImports",
    responses(
        (status = 200, description = "The imports", body = ImportListAnswer, content_type = "application/json"),
        (status = "4XX", description = "Not acceptable", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list_all(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&ImportListAnswer { imports: each(app.operations().imports().await?) }))
}

/// How far an import has come.
#[utoipa::path(
    get,
    path = "/v1/imports/{name}",
    tag = "products",
    operation_id = "getImport",
    params(("name" = String, Path, description = "The import's name")),
    responses(
        (status = 200, description = "How far it has come", body = ImportAnswer, content_type = "application/json"),
        (status = 404, description = "There is none of this name", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&ImportAnswer::from(app.operations().import_state(&name).await?)))
}

/// Stops an import after the items it is working on; the same request goes on with it. Products are changed from this machine only, unless
/// `server.products_from` says otherwise.
#[utoipa::path(
    delete,
    path = "/v1/imports/{name}",
    tag = "products",
    operation_id = "cancelImport",
    params(("name" = String, Path, description = "The import's name")),
    responses(
        (status = 200, description = "How far it came", body = ImportAnswer, content_type = "application/json"),
        (status = 404, description = "There is none of this name", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "The request is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow_products(&app, &incoming, &headers)?;
    require_json(&headers)?;
    Ok(json::answer(&ImportAnswer::from(app.operations().cancel_import(&name).await?)))
}

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Json,
    List(ImportFormat),
}

impl Given {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Ok(Self::Json),
            "application/jsonl" | "application/x-jsonl" | "application/x-ndjson" | "application/jsonlines" => {
                Ok(Self::List(ImportFormat::Jsonl))
            }
            "text/csv" => Ok(Self::List(ImportFormat::Csv)),
            _ => {
                let message = "send Content-Type: application/json, application/jsonl or text/csv";
                Err(Failure::invalid("http.unsupported-media-type", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_whether_a_list_is_named_or_sent() {
        let given = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            Given::of(&headers).map_err(|failure| failure.code.into_owned())
        };
        assert_eq!(given("application/json; charset=utf-8"), Ok(Given::Json));
        assert_eq!(given("application/x-ndjson"), Ok(Given::List(ImportFormat::Jsonl)));
        assert_eq!(given("Text/CSV; header=present"), Ok(Given::List(ImportFormat::Csv)));
        assert_eq!(given("text/plain"), Err("http.unsupported-media-type".into()));
        assert!(Given::of(&HeaderMap::new()).is_err());
    }
}
