//! One module per resource: read the request, call the operation, write the answer.

pub(crate) mod crop;
pub(crate) mod crop_answer;
pub(crate) mod crop_request;
pub(crate) mod detect;
pub(crate) mod document;
pub(crate) mod flag_body;
pub(crate) mod flags;
pub(crate) mod health;
pub(crate) mod invoke;
pub(crate) mod invoke_answer;
pub(crate) mod invoke_request;
pub(crate) mod operations;
pub(crate) mod plugins;
pub(crate) mod process_image;
pub(crate) mod registry;
pub(crate) mod status;
pub(crate) mod strategies;
pub(crate) mod upstream_body;
pub(crate) mod upstreams;
pub(crate) mod warm_up;
