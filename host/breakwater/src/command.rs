//! One module per command.

pub(crate) mod batch;
pub(crate) mod call;
pub(crate) mod compile_component;
pub(crate) mod config;
pub(crate) mod crop;
pub(crate) mod detect;
pub(crate) mod index;
pub(crate) mod models;
pub(crate) mod openapi;
pub(crate) mod plugin;
pub(crate) mod reaper;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod sheet;
pub(crate) mod sidecar;
pub(crate) mod status;
pub(crate) mod workflow;

mod found;
mod index_remote;
mod local;
mod pictures;
mod search_page;
mod signals;

/// What a shell shows for a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
