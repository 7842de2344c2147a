//! What is known of a sidecar and its instances.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakwater_upstream::{ManagedEndpoint, Prober, Upstreams};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Launch, SidecarConfig};
use crate::error::SidecarError;
use crate::observer::{Change, SidecarEvent, SidecarObserver};
use crate::output::{Journal, LogLine, LogStream};
use crate::process::ReaperCommand;
use crate::status::{HistoryEntry, InstanceStatus, SidecarStatus, State, unix_ms};

/// Entries of the history that are kept.
pub(crate) const MAX_HISTORY: usize = 200;
/// Lines of standard error that the log shows with a failure; the API has all that are kept.
const SHOWN_STDERR: usize = 10;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete before anything can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the instances of a sidecar share.
pub(crate) struct Sidecar {
    pub(crate) name: String,
    pub(crate) config: SidecarConfig,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) observer: Arc<dyn SidecarObserver>,
    pub(crate) reaper: ReaperCommand,
    pub(crate) prober: Prober,
    pub(crate) journal: Arc<Journal>,
    /// Whether each sidecar is ready that must be before this one starts.
    pub(crate) needs: Vec<(String, watch::Receiver<bool>)>,
    /// Whether an instance of this one is ready.
    pub(crate) is_ready: watch::Sender<bool>,
    pub(crate) records: Vec<Record>,
    pub(crate) history: Mutex<VecDeque<HistoryEntry>>,
}

/// What is known of an instance.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    state: Option<State>,
    url: Option<String>,
    pid: Option<u32>,
    restart_attempts: u32,
    restarts: u64,
    last_error: Option<SidecarError>,
    started: Option<Instant>,
    ready_since: Option<Instant>,
    last_health_check_ms: Option<u64>,
    memory_bytes: Option<u64>,
}

impl Record {
    /// It was started and must become ready.
    pub(crate) fn started(&self, pid: u32, url: &str) {
        let mut known = lock(&self.0);
        (known.pid, known.url, known.started) = (Some(pid), Some(url.to_owned()), Some(Instant::now()));
    }

    pub(crate) fn ready(&self, pid: u32, url: &str, restart_attempts: u32) {
        let mut known = lock(&self.0);
        (known.pid, known.url, known.restart_attempts) = (Some(pid), Some(url.to_owned()), restart_attempts);
        (known.ready_since, known.last_health_check_ms) = (Some(Instant::now()), Some(unix_ms()));
    }

    /// An external one answers.
    pub(crate) fn answers(&self, url: &str) {
        let mut known = lock(&self.0);
        known.url = Some(url.to_owned());
        known.ready_since.get_or_insert_with(Instant::now);
        known.last_health_check_ms = Some(unix_ms());
    }

    /// Its process, how long it has been ready in milliseconds, and its starts after a failure: what log lines about it hold.
    pub(crate) fn log_fields(&self) -> (Option<u32>, Option<u64>, u32) {
        let known = lock(&self.0);
        let uptime = known.ready_since.map(|since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        (known.pid, uptime, known.restart_attempts)
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.0).state.unwrap_or(State::Stopped)
    }

    pub(crate) fn checked(&self) {
        lock(&self.0).last_health_check_ms = Some(unix_ms());
    }

    pub(crate) fn uses(&self, bytes: u64) {
        lock(&self.0).memory_bytes = Some(bytes);
    }

    pub(crate) fn stable(&self) {
        lock(&self.0).restart_attempts = 0;
    }

    pub(crate) fn failed(&self, error: &SidecarError) {
        lock(&self.0).last_error = Some(error.clone());
    }

    pub(crate) fn restarting(&self, attempt: u32) {
        let mut known = lock(&self.0);
        known.restart_attempts = attempt;
        known.restarts += 1;
    }
}

impl Sidecar {
    pub(crate) fn is_external(&self) -> bool {
        matches!(self.config.launch, Launch::External(_))
    }

    /// A sidecar that must be ready before this one starts, and is not.
    pub(crate) fn missing_need(&self) -> Option<&str> {
        self.needs.iter().find(|(_, ready)| !*ready.borrow()).map(|(name, _)| name.as_str())
    }

    /// The record of an instance. There is one for each number that was ever given out; any other is a defect and shows the first.
    pub(crate) fn record(&self, number: u32) -> &Record {
        static NONE: Record = Record(Mutex::new(Known {
            state: None,
            url: None,
            pid: None,
            restart_attempts: 0,
            restarts: 0,
            last_error: None,
            started: None,
            ready_since: None,
            last_health_check_ms: None,
            memory_bytes: None,
        }));
        self.records.get(number as usize).unwrap_or(&NONE)
    }

    /// The id of an instance's endpoint.
    pub(crate) fn endpoint(&self, number: u32) -> String {
        format!("{}/{number}", self.name)
    }

    /// Makes an instance an endpoint of its upstream, or says what is new about it.
    pub(crate) fn publish(&self, number: u32, url: &str, accepting: bool) {
        let endpoint = ManagedEndpoint { id: self.endpoint(number), url: url.to_owned(), weight: 1, accepting };
        // The upstream was declared before the first instance began.
        if let Err(failure) = self.upstreams.put_managed(&self.config.upstream, endpoint) {
            tracing::error!(target: "sidecar", sidecar = self.name, failure = failure.chain(), "it cannot become an endpoint");
        }
    }

    /// It is no endpoint any more.
    pub(crate) fn unpublish(&self, number: u32) {
        self.upstreams.remove_managed(&self.config.upstream, &self.endpoint(number));
    }

    /// Notes what an instance becomes and tells those who want to know. `change` is nothing when that is of no interest to operators.
    pub(crate) fn change(&self, instance: u32, state: State, change: Option<Change>, detail: &str, pid: Option<u32>) {
        let (uptime, took, attempts) = {
            let mut known = lock(&self.record(instance).0);
            let uptime = known.ready_since.map(|since| since.elapsed());
            let took = known.started.map(|started| started.elapsed());
            known.state = Some(state);
            if !matches!(state, State::Ready | State::Draining | State::Stopping) {
                known.ready_since = None;
            }
            if matches!(state, State::Stopped | State::Waiting | State::Checking | State::Restarting | State::Failed) {
                (known.pid, known.url, known.started, known.memory_bytes) = (None, None, None, None);
            }
            (uptime, took, known.restart_attempts)
        };
        {
            let mut history = lock(&self.history);
            if history.len() >= MAX_HISTORY {
                history.pop_front();
            }
            history.push_back(HistoryEntry { at_ms: unix_ms(), instance, state, detail: detail.to_owned() });
        }
        // Looked at under the lock of what it is told by, so that no older view is told after a newer one.
        self.is_ready.send_if_modified(|before| {
            let is_ready = self.records.iter().any(|record| lock(&record.0).state == Some(State::Ready));
            std::mem::replace(before, is_ready) != is_ready
        });
        self.say(instance, &format!("{}: {detail}", state.name()));
        if let Some(change) = change {
            let elapsed = if change == Change::Ready { took } else { uptime };
            self.observer.happened(&SidecarEvent {
                sidecar: &self.name,
                instance,
                change,
                detail,
                pid,
                elapsed,
                restart_attempts: attempts,
            });
        }
    }

    /// Writes a line of the host between those of the sidecar.
    pub(crate) fn say(&self, instance: u32, line: &str) {
        self.journal.push(LogLine { at_ms: unix_ms(), instance, stream: LogStream::Host, line: line.to_owned() });
    }

    /// Tells a failure with all that a person needs, in the log and between the lines of the sidecar.
    pub(crate) fn tell_failure(&self, instance: u32, error: &SidecarError) {
        let (pid, uptime_ms, restarts) = self.record(instance).log_fields();
        let (sidecar, kind) = (self.name.as_str(), error.kind.name());
        let detail = format!("{kind}: {}", error.message);
        self.observer.happened(&SidecarEvent {
            sidecar,
            instance,
            change: Change::Failed,
            detail: &detail,
            pid,
            elapsed: uptime_ms.map(std::time::Duration::from_millis),
            restart_attempts: restarts,
        });
        let mut lines = vec![format!("✗ {}", error.message), format!("Error type: {kind}"), "Troubleshooting:".to_owned()];
        lines.extend(error.troubleshooting.iter().zip(1..).map(|(step, number)| format!("  {number}. {step}")));
        if !error.stderr.is_empty() {
            lines.push("Recent errors:".to_owned());
            lines.extend(error.stderr.iter().skip(error.stderr.len().saturating_sub(SHOWN_STDERR)).map(|line| format!("  {line}")));
        }
        for line in lines {
            tracing::error!(target: "sidecar", sidecar, instance, error = kind, pid, uptime_ms, restarts, "{line}");
            self.say(instance, &line);
        }
    }

    /// How it is at the moment.
    pub(crate) fn status(&self) -> SidecarStatus {
        let instances: Vec<_> = self.records.iter().zip(0..).map(|(record, number)| self.instance(record, number)).collect();
        let newest = instances.iter().filter_map(|instance| instance.last_error.clone()).max_by_key(|error| error.at_ms);
        SidecarStatus {
            name: self.name.clone(),
            upstream: self.config.upstream.clone(),
            runtime: self.config.runtime(),
            external: self.is_external(),
            ready: instances.iter().any(|instance| instance.state == State::Ready),
            restarting: instances
                .iter()
                .any(|instance| instance.state == State::Restarting || instance.restart_attempts > 0 && !is_settled(instance.state)),
            restart_attempts: instances.iter().map(|instance| instance.restart_attempts).max().unwrap_or(0),
            max_restart_attempts: self.config.restart.max_attempts,
            last_error: newest,
            uptime_ms: instances.iter().filter_map(|instance| instance.uptime_ms).max(),
            last_health_check_ms: instances.iter().filter_map(|instance| instance.last_health_check_ms).max(),
            instances,
            history: lock(&self.history).iter().cloned().collect(),
        }
    }

    fn instance(&self, record: &Record, number: u32) -> InstanceStatus {
        let known = lock(&record.0);
        InstanceStatus {
            instance: number,
            endpoint: self.endpoint(number),
            state: known.state.unwrap_or(State::Stopped),
            url: known.url.clone(),
            pid: known.pid,
            restart_attempts: known.restart_attempts,
            restarts: known.restarts,
            last_error: known.last_error.clone(),
            uptime_ms: known.ready_since.map(|since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)),
            last_health_check_ms: known.last_health_check_ms,
            memory_bytes: known.memory_bytes,
        }
    }
}

/// Whether nothing is about to happen to it by itself.
fn is_settled(state: State) -> bool {
    matches!(state, State::Stopped | State::Ready | State::Draining | State::Stopping | State::Failed)
}

impl std::fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sidecar").field("name", &self.name).finish_non_exhaustive()
    }
}
