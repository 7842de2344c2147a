//! Feature flags: rollout and targeting, read live.

#![forbid(unsafe_code)]
