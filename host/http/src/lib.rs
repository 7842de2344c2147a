//! Routes, problem responses, OpenAPI: the service as HTTP clients see it.
//!
//! A route reads its request within limits, calls one operation, and writes the answer. Failures become
//! `application/problem+json` in one place ([`problem`]), which alone knows status codes. The server under the routes ([`Server`])
//! owns its connections: slow clients, too many of them and shutdown are its business.

#![forbid(unsafe_code)]

mod app;
mod body;
mod caller;
mod config;
mod cors;
mod dialect;
mod form;
mod incoming;
mod json;
mod management;
mod negotiate;
mod observe;
mod oip;
mod page;
mod picture;
pub mod problem;
mod query;
mod routes;
mod server;
mod stall;
mod unread;
mod wire;

pub use app::{AppState, openapi, router};
pub use config::HttpConfig;
pub use cors::{CorsConfig, CorsError};
pub use incoming::CORRELATION_HEADER;
pub use problem::{Problem, Violation};
pub use routes::crop_answer::CropAnswer;
pub use routes::detect::DetectAnswer;
pub use routes::import_body::ImportAnswer;
pub use routes::product_body::ProductBody;
pub use routes::search_answer::SearchAnswer;
pub use routes::sheets_answer::SheetAnswer;
pub use server::{Server, ServerError};
