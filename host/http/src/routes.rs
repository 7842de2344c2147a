//! One module per resource: read the request, call the operation, write the answer.

pub(crate) mod crop;
pub(crate) mod crop_answer;
pub(crate) mod crop_request;
pub(crate) mod detect;
pub(crate) mod document;
pub(crate) mod health;
pub(crate) mod plugins;
pub(crate) mod strategies;
