//! All sidecars.

mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use breakwater_upstream::{Prober, Upstreams};
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::SidecarConfig;
use crate::error::SidecarError;
use crate::instance::{Instance, Order, Record, Sidecar, Wish};
use crate::observer::SidecarObserver;
use crate::output::{Journal, Logs};
use crate::process::ReaperCommand;
use crate::status::SidecarStatus;

/// What an end takes beyond the times that are allowed for it.
const END_RESERVE: Duration = Duration::from_secs(2);

/// Wishes that may wait for one instance; more wait before they are sent.
const MAX_ORDERS: usize = 16;

/// All sidecars of the host.
#[derive(Debug)]
pub struct Sidecars {
    entries: BTreeMap<String, Entry>,
    /// Names, each in a level behind those it depends on.
    levels: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Entry {
    sidecar: Arc<Sidecar>,
    orders: Vec<mpsc::Sender<Order>>,
    /// One rolling restart at a time.
    rolling: tokio::sync::Mutex<()>,
    /// How many changes were wanted; a rolling restart ends when another comes.
    changes: AtomicU64,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Where requests go whose path begins with a sidecar's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The sidecar.
    pub sidecar: String,
    /// Its upstream.
    pub upstream: String,
    /// The path and query that it is asked for.
    pub path: String,
}

impl Sidecars {
    /// Declares the upstreams of the sidecars and starts those that start with the host, each in tasks of its own, which end with `stop`.
    ///
    /// # Errors
    /// `sidecar.config` (invalid request): one cannot be set up as it is configured; `upstream.config`: no health check can be made. That one
    /// does not start is in its status.
    pub async fn start(
        configs: BTreeMap<String, SidecarConfig>,
        upstreams: Arc<Upstreams>,
        observer: Arc<dyn SidecarObserver>,
        reaper: ReaperCommand,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, Failure> {
        let names: BTreeSet<&str> = configs.keys().map(String::as_str).collect();
        for (name, config) in &configs {
            config.validate(name, &names)?;
        }
        let levels = order::by_need(&configs)?;
        if configs.is_empty() {
            return Ok(Arc::new(Self { entries: BTreeMap::new(), levels }));
        }
        let prober = Prober::new()?;
        let ready: BTreeMap<String, watch::Sender<bool>> = configs.keys().map(|name| (name.clone(), watch::Sender::new(false))).collect();
        let mut entries = BTreeMap::new();
        for (name, config) in configs {
            upstreams.declare_managed(&config.upstream);
            let need = |other: &String| Some((other.clone(), ready.get(other)?.subscribe()));
            let sidecar = Arc::new(Sidecar {
                needs: config.depends_on.iter().filter_map(need).collect(),
                is_ready: ready.get(&name).cloned().unwrap_or_default(),
                records: (0..config.instances).map(|_| Record::default()).collect(),
                name: name.clone(),
                config,
                upstreams: Arc::clone(&upstreams),
                observer: Arc::clone(&observer),
                reaper: reaper.clone(),
                prober: prober.clone(),
                journal: Arc::new(Journal::default()),
                history: Mutex::default(),
            });
            let (tasks, stop) = (TaskTracker::new(), stop.child_token());
            let begin = |number| {
                let (sender, receiver) = mpsc::channel(MAX_ORDERS);
                tasks.spawn(Instance::new(Arc::clone(&sidecar), number, receiver, stop.clone()).run());
                sender
            };
            let orders = (0..sidecar.config.instances).map(begin).collect();
            tasks.close();
            entries
                .insert(name, Entry { sidecar, orders, rolling: tokio::sync::Mutex::default(), changes: AtomicU64::new(0), stop, tasks });
        }
        Ok(Arc::new(Self { entries, levels }))
    }

    /// Ends every sidecar, those that others depend on last, and waits until nothing of them runs. At most [`Self::end_patience`].
    pub async fn shutdown(&self) {
        for level in self.levels.iter().rev() {
            let entries: Vec<_> = level.iter().filter_map(|name| self.entries.get(name)).collect();
            for entry in &entries {
                entry.stop.cancel();
            }
            join_all(entries.iter().map(|entry| entry.tasks.wait())).await;
        }
    }

    /// The longest that [`Self::shutdown`] may take: for each level of needs, what the slowest of its sidecars is allowed.
    #[must_use]
    pub fn end_patience(&self) -> Duration {
        let of = |name: &String| {
            let config = &self.entries.get(name)?.sidecar.config;
            Some(config.drain_timeout + config.shutdown_timeout + END_RESERVE)
        };
        self.levels.iter().filter_map(|level| level.iter().filter_map(of).max()).sum()
    }

    fn entry(&self, name: &str) -> Result<&Entry, Failure> {
        self.entries.get(name).ok_or_else(|| {
            let name: String = name.chars().take(128).collect();
            Failure::new(FailureKind::NotFound, "sidecar.unknown", format!("there is no sidecar `{name}`"))
        })
    }

    /// How every sidecar is, by name.
    #[must_use]
    pub fn list(&self) -> Vec<SidecarStatus> {
        self.entries.values().map(|entry| entry.sidecar.status()).collect()
    }

    /// How one is.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found).
    pub fn status(&self, name: &str) -> Result<SidecarStatus, Failure> {
        Ok(self.entry(name)?.sidecar.status())
    }

    /// The last lines that it wrote, and those to come.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found).
    pub fn logs(&self, name: &str) -> Result<Logs, Failure> {
        Ok(self.entry(name)?.sidecar.journal.read())
    }

    /// Starts every instance that does not run, and waits until each is ready, has failed, or waits for another sidecar, as its state says. One
    /// that gave up begins anew.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found); `sidecar.external` (invalid request): somebody else runs it; `sidecar.start-failed` (unavailable): an
    /// instance did not become ready; the detail holds its `error` and the `status`.
    pub async fn start_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.all(name, Wish::Start).await
    }

    /// Ends every instance, after the calls that run, and waits for it.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found), `sidecar.external` (invalid request).
    pub async fn stop_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.all(name, Wish::Stop).await
    }

    /// Ends and starts every instance at once. One that could not be started, as looking at what it needs shows, is left alone.
    ///
    /// # Errors
    /// As [`Self::start_sidecar`].
    pub async fn restart(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.all(name, Wish::Restart).await
    }

    /// Ends and starts one instance after the other, each after the calls that run at it; the next only when the one before is ready again.
    ///
    /// # Errors
    /// As [`Self::start_sidecar`]; then the instances that were not reached go on as they were. `sidecar.interrupted` (rejected): it was
    /// started, stopped or restarted otherwise meanwhile.
    pub async fn rolling_restart(&self, name: &str) -> Result<SidecarStatus, Failure> {
        let entry = self.changeable(name)?;
        let _rolling = entry.rolling.lock().await;
        let own = entry.changes.fetch_add(1, Ordering::SeqCst) + 1;
        for orders in &entry.orders {
            if entry.changes.load(Ordering::SeqCst) != own {
                let message = format!("somebody else changed `{name}` meanwhile; not every instance was restarted");
                return Err(Failure::new(FailureKind::Rejected, "sidecar.interrupted", message));
            }
            if let Some(error) = wish(orders, Wish::Restart).await {
                return Err(start_failed(entry, &error));
            }
        }
        Ok(entry.sidecar.status())
    }

    fn changeable(&self, name: &str) -> Result<&Entry, Failure> {
        let entry = self.entry(name)?;
        if entry.sidecar.is_external() {
            let message = format!("`{name}` is run by somebody else, at its external_url: it is started and stopped there");
            return Err(Failure::invalid("sidecar.external", message));
        }
        Ok(entry)
    }

    async fn all(&self, name: &str, what: Wish) -> Result<SidecarStatus, Failure> {
        let entry = self.changeable(name)?;
        entry.changes.fetch_add(1, Ordering::SeqCst);
        let errors = join_all(entry.orders.iter().map(|orders| wish(orders, what))).await;
        match errors.into_iter().flatten().next() {
            Some(error) => Err(start_failed(entry, &error)),
            None => Ok(entry.sidecar.status()),
        }
    }

    /// The sidecar whose prefix a request's path begins with; the longest prefix wins.
    #[must_use]
    pub fn route(&self, path_and_query: &str) -> Option<Route> {
        let path = path_and_query.split('?').next().unwrap_or(path_and_query);
        let fits = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let routed = self.entries.values().filter_map(|entry| Some((entry, entry.sidecar.config.route_prefix.as_deref()?)));
        let (entry, prefix) = routed.filter(|(_, prefix)| fits(prefix)).max_by_key(|(_, prefix)| prefix.len())?;
        let config = &entry.sidecar.config;
        let asked = if config.strip_prefix { path_and_query.strip_prefix(prefix).unwrap_or(path_and_query) } else { path_and_query };
        let path = if asked.starts_with('/') { asked.to_owned() } else { format!("/{asked}") };
        Some(Route { sidecar: entry.sidecar.name.clone(), upstream: config.upstream.clone(), path })
    }
}

/// Wants something of an instance and waits for it. The error of a start that failed.
async fn wish(orders: &mpsc::Sender<Order>, wish: Wish) -> Option<SidecarError> {
    let (done, answer) = oneshot::channel();
    // An instance that has ended, with the host, does nothing any more.
    orders.send(Order { wish, done }).await.ok()?;
    answer.await.ok()?.err().map(|error| *error)
}

fn start_failed(entry: &Entry, error: &SidecarError) -> Failure {
    let name = &entry.sidecar.name;
    Failure::new(
        FailureKind::Unavailable,
        "sidecar.start-failed",
        format!("`{name}` did not become ready: {}: {}", error.kind, error.message),
    )
    .with_detail(json!({ "error": error, "status": entry.sidecar.status() }))
}

#[cfg(test)]
mod tests;
