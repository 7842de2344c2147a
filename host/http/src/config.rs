//! What the operator decides about the server. Every limit is here.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cors::CorsConfig;

/// Settings of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// The longest a call may take once its request was read.
    pub request_timeout: Duration,
    /// The largest body, in bytes. Base64 makes a picture a third larger.
    pub max_body_bytes: u64,
    /// The largest plugin package, in bytes.
    pub max_package_bytes: u64,
    /// The largest list of products that is sent for an import, in bytes.
    pub max_import_bytes: u64,
    /// The most parts of a multipart body.
    pub max_fields: usize,
    /// The largest text field of a multipart body, in bytes.
    pub max_field_bytes: usize,
    /// The most bytes of a request's head, at least 8 KiB; more are answered 431.
    pub max_header_bytes: usize,
    /// The most header lines; more are answered 431.
    pub max_headers: usize,
    /// The longest wait for a request's head, which also ends idle connections.
    pub header_timeout: Duration,
    /// The longest pause between two pieces of a body, in either direction.
    pub body_idle_timeout: Duration,
    /// The longest time for the whole body of a request.
    pub body_timeout: Duration,
    /// Open connections; further ones wait in the system's backlog.
    pub max_connections: usize,
    /// Calls at once, health checks, metrics and the description aside; further ones are answered 503.
    pub max_in_flight: usize,
    /// Whether the service (plugins, flags, breakers, the registry) may be changed from other machines. Nothing checks who asks, so only
    /// behind something that does.
    pub remote_management: bool,
    /// Whether services on other machines may register themselves, even if they may change nothing else.
    pub remote_registry: bool,
    /// Whether products may be changed from other machines, even if nothing else may.
    pub remote_products: bool,
    /// Which web pages of other origins may call the service.
    pub cors: CorsConfig,
    /// The longest a shutdown waits for calls that are under way.
    pub drain_timeout: Duration,
}

impl Default for HttpConfig {
    /// Loopback port 8080 and limits for photographs.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            request_timeout: Duration::from_secs(30),
            max_body_bytes: 72 << 20,
            max_package_bytes: 64 << 20,
            max_import_bytes: 1 << 30,
            max_fields: 32,
            max_field_bytes: 1 << 20,
            max_header_bytes: 32 << 10,
            max_headers: 64,
            header_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            max_connections: 1024,
            max_in_flight: 128,
            remote_management: false,
            remote_registry: false,
            remote_products: false,
            cors: CorsConfig::default(),
            drain_timeout: Duration::from_secs(20),
        }
    }
}
