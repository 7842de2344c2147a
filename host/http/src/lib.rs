//! Routes, problem responses, OpenAPI.
