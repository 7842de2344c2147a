//! Named upstreams: endpoints, registry, health, the pooled HTTP client.

#![forbid(unsafe_code)]
