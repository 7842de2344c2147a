//! What a guest may do: one file per interface, each the host side of one WIT import.
//!
//! Every function here runs on behalf of one guest call. Authority comes from the [`CallState`](crate::state::CallState) that the
//! host made for the call, never from what the guest passes.

pub(crate) mod blobs;
pub(crate) mod call;
pub(crate) mod config;
pub(crate) mod embedder;
pub(crate) mod feature_flags;
pub(crate) mod http;
pub(crate) mod imaging;
pub(crate) mod logging;
pub(crate) mod nn;
pub(crate) mod upstream;
pub(crate) mod wasi;
