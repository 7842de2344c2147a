//! Named upstreams: endpoints, registry, health, the pooled HTTP client. Everything that leaves the host goes through [`Upstreams`].
//!
//! - [`UpstreamConfig`] says how one upstream is called; every default is documented there.
//! - [`Registry`] knows the services that registered themselves; an upstream may follow a name in it.
//! - [`ServiceCatalogue`] knows the services that somebody defined, with their actions.
//! - [`Upstreams::send`] calls an upstream by name, [`Upstreams::send_to_url`] a URL that a caller gave, under a guard.
//! - [`UpstreamObserver`] hears what happens.
//!
//! Retries, budget, breaker, places and balancing are those of `breakwater_resilience`; this crate says what a failure means.

#![forbid(unsafe_code)]

mod classify;
mod client;
pub mod config;
pub mod credentials;
pub mod endpoint;
mod exchange;
pub mod guard;
mod health;
mod latency;
mod line;
mod managed;
pub mod observer;
mod probe;
pub mod registry;
mod relay;
pub mod request;
pub mod response;
pub mod services;
pub mod status;
mod upstream;
mod upstreams;
mod urls;

pub use classify::MAX_ERROR_BODY;
pub use config::{EndpointConfig, HealthConfig, HttpVersion, UpstreamConfig, UpstreamsConfig, UrlPolicy};
pub use credentials::{Credentials, SecretSource};
pub use guard::HostPattern;
pub use latency::LatencyQuantiles;
pub use managed::ManagedEndpoint;
pub use observer::{AttemptEnd, AttemptObserver, AttemptStart, NoUpstreamObserver, RequestEnd, UpstreamObserver};
pub use probe::{ProbeAnswer, ProbeError, Prober};
pub use registry::{
    Heartbeat, MemoryRecords, Registration, Registry, RegistryChange, RegistryRecords, RegistryRecordsError, Selection, Service,
    ServiceMetrics, ServiceRecord,
};
pub use services::{
    ActionCompiler, ActionDefinition, CompiledActions, DefinitionViolation, MemoryServiceCatalogueRecords, NoActionCompiler,
    ServiceCatalogue, ServiceCatalogueRecords, ServiceCatalogueRecordsError, ServiceCatalogueState, ServiceDefinition, ServiceDraft,
    ServiceEntry, ServicePatch, ServiceSnapshot, ServiceStatus,
};
pub use status::{CheckReport, EndpointCheck, EndpointStatus, LastErrorStatus, UpstreamSource, UpstreamState, UpstreamStatus};
pub use upstreams::{BreakerCommand, Upstreams};
pub use urls::MAX_URL;
