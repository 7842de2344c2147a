//! One module per command.

pub(crate) mod call;
pub(crate) mod compile_component;
pub(crate) mod config;
pub(crate) mod crop;
pub(crate) mod detect;
pub(crate) mod openapi;
pub(crate) mod plugin;
pub(crate) mod serve;
pub(crate) mod status;

mod local;
mod signals;
