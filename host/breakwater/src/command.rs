//! One module per command.

pub(crate) mod compile_component;
pub(crate) mod config;
pub(crate) mod crop;
pub(crate) mod detect;
pub(crate) mod openapi;
pub(crate) mod plugin;
pub(crate) mod serve;

mod local;
mod signals;
