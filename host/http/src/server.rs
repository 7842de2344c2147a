//! The listening server: sockets, connections, slow clients, shutdown.
//!
//! Tasks: one accept loop per address and one task per connection, all owned by [`Server::run`]. An accept that fails is tried again
//! after a pause; a connection that fails ends alone. On shutdown no new connection is accepted, idle ones are closed, and calls
//! under way have the drain timeout to end; what is left then is cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{AppState, router};
use crate::config::HttpConfig;
use crate::cors::CorsError;
use crate::incoming::Peer;
use crate::stall::StallTimeout;
use crate::unread;

/// Pause after an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The smallest head buffer the protocol library takes, in bytes.
const MIN_HEADER_BYTES: usize = 8 << 10;

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct Server {
    config: HttpConfig,
    router: Router,
    listeners: Vec<(TcpListener, SocketAddr)>,
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it cannot.
        #[source]
        source: std::io::Error,
    },
    /// What is configured for pages of other origins contradicts itself.
    #[error("the cors section cannot be used: {0}")]
    Cors(#[from] CorsError),
    /// No address was given.
    #[error("no address to listen on")]
    NoAddress,
}

impl Server {
    /// Listens on every configured address. Connections wait in the system's backlog until [`Self::run`].
    ///
    /// # Errors
    /// The first address that cannot be listened on, and [`ServerError::Cors`].
    pub async fn bind(config: HttpConfig, state: AppState) -> Result<Self, ServerError> {
        let router = router(config.clone(), state)?;
        Self::over(config, router).await
    }

    pub(crate) async fn over(config: HttpConfig, router: Router) -> Result<Self, ServerError> {
        let mut listeners = Vec::with_capacity(config.listen.len());
        for address in &config.listen {
            let bind = |source| ServerError::Bind { address: *address, source };
            let listener = TcpListener::bind(address).await.map_err(bind)?;
            let local = listener.local_addr().map_err(bind)?;
            listeners.push((listener, local));
        }
        if listeners.is_empty() { Err(ServerError::NoAddress) } else { Ok(Self { config, router, listeners }) }
    }

    /// The addresses in the configured order, with the ports that were picked.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(_, address)| *address).collect()
    }

    /// Answers until `stop` is cancelled, then drains. Returns how many connections had to be cut.
    pub async fn run(self, stop: CancellationToken) -> usize {
        let Self { config, router, listeners } = self;
        let drain_timeout = config.drain_timeout;
        let shared = Arc::new(Shared {
            places: Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS))),
            connections: TaskTracker::new(),
            cut: CancellationToken::new(),
            graceful: GracefulShutdown::new(),
            config,
            router,
        });
        let mut accepting = JoinSet::new();
        for (listener, _) in listeners {
            accepting.spawn(shared.clone().accept(listener, stop.clone()));
        }
        while accepting.join_next().await.is_some() {}

        shared.connections.close();
        // No accept loop is left, so this is the last holder but for connections, which only hold what they need.
        let Some(Shared { graceful, connections, cut, .. }) = Arc::into_inner(shared) else {
            tracing::error!("a server ended with its accept loops still running");
            return 0;
        };
        let drained = tokio::time::timeout(drain_timeout, async {
            graceful.shutdown().await;
            connections.wait().await;
        });
        if drained.await.is_ok() {
            return 0;
        }
        let left = connections.len();
        tracing::warn!(connections = left, "cutting connections that did not end in time");
        cut.cancel();
        connections.wait().await;
        left
    }
}

#[derive(Debug)]
struct Shared {
    config: HttpConfig,
    router: Router,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    cut: CancellationToken,
    graceful: GracefulShutdown,
}

impl Shared {
    async fn accept(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let next = async || {
            // A place first: beyond the limit, connections wait in the backlog instead of in our memory.
            let place = self.places.clone().acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        while let Some(Some((place, accepted))) = stop.run_until_cancelled(next()).await {
            match accepted {
                Ok((stream, peer)) => {
                    let connection = serve(self.router.clone(), &self.config, stream, Peer(peer), self.graceful.watcher());
                    let cut = self.cut.clone();
                    self.connections.spawn(async move {
                        cut.run_until_cancelled(connection).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    if stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// One connection, to its end.
fn serve(router: Router, config: &HttpConfig, stream: TcpStream, peer: Peer, watcher: Watcher) -> impl Future<Output = ()> + Send + use<> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        unread::answered(router.clone(), request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(config.max_headers)
        .max_header_size(config.max_header_bytes.max(MIN_HEADER_BYTES))
        .half_close(false);
    let io = TokioIo::new(StallTimeout::new(stream, config.body_idle_timeout));
    let connection = watcher.watch(builder.serve_connection(io, service));
    async move {
        if let Err(error) = connection.await {
            // Clients hang up; that is no event of ours.
            tracing::debug!(%error, peer = %peer.0, "a connection ended early");
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
