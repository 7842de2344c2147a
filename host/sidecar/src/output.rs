//! What sidecars write: into the log, and into a ring for those who ask later.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regex::Regex;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::status::unix_ms;

mod splitter;

use splitter::Splitter;

/// The longest line, in bytes.
pub(crate) const MAX_LINE: usize = 8 * 1024;
/// Lines that are kept for those who ask.
pub(crate) const MAX_RECENT: usize = 1000;
/// Lines of standard error that are kept for the diagnosis (the error buffer of the process bridge).
pub(crate) const MAX_STDERR: usize = 50;
/// Lines that a reader may be behind before it misses some.
const MAX_BEHIND: usize = 1024;
/// How many bytes are read at once.
const PIECE: usize = 64 * 1024;
/// Lines a second and instance that are written into the log; what is more is counted.
const LOGGED_PER_SECOND: u32 = 200;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
    /// The host, about it.
    Host,
}

impl LogStream {
    /// As logs and answers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Host => "host",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which instance wrote it.
    pub instance: u32,
    /// Where it comes from.
    pub stream: LogStream,
    /// The line without its end; what is no UTF-8 is replaced, what is meant for a terminal (such as colours)
    /// left out, what is longer than 8 KiB cut off.
    pub line: String,
}

/// The last lines of a sidecar and those to come.
#[derive(Debug)]
pub struct Logs {
    /// The last lines, the oldest first; at most 1000.
    pub recent: Vec<Arc<LogLine>>,
    /// Lines from now on. One who reads too slowly misses some and is told how many.
    pub following: broadcast::Receiver<Arc<LogLine>>,
}

/// The lines of all instances of a sidecar.
#[derive(Debug)]
pub(crate) struct Journal {
    recent: Mutex<VecDeque<Arc<LogLine>>>,
    following: broadcast::Sender<Arc<LogLine>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { recent: Mutex::default(), following: broadcast::channel(MAX_BEHIND).0 }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete before anything can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    pub(crate) fn push(&self, line: LogLine) {
        let line = Arc::new(line);
        let mut recent = lock(&self.recent);
        if recent.len() >= MAX_RECENT {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&line));
        // Under the lock, so that nobody who begins to read misses a line or has one twice. Nobody listening is no failure.
        let _ = self.following.send(line);
    }

    pub(crate) fn read(&self) -> Logs {
        let recent = lock(&self.recent);
        Logs { recent: recent.iter().cloned().collect(), following: self.following.subscribe() }
    }
}

/// Takes what one process writes.
#[derive(Debug, Clone)]
pub(crate) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sidecar: String,
    instance: u32,
    /// Whether every line is shown in the log of the host.
    verbose: bool,
    journal: Arc<Journal>,
    stderr: Mutex<VecDeque<String>>,
    ready_line: Option<Regex>,
    is_ready: watch::Sender<bool>,
    throttle: Mutex<Throttle>,
}

#[derive(Debug, Default)]
struct Throttle {
    since: Option<Instant>,
    shown: u32,
    suppressed: u64,
}

impl Throttle {
    /// Whether a line may be shown now, and how many were not before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            (self.since, self.shown) = (Some(now), 0);
        }
        if self.shown >= LOGGED_PER_SECOND {
            self.suppressed += 1;
            return None;
        }
        self.shown += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

impl Writer {
    pub(crate) fn new(sidecar: &str, instance: u32, verbose: bool, journal: Arc<Journal>, ready_line: Option<Regex>) -> Self {
        Self(Arc::new(Shared {
            sidecar: sidecar.to_owned(),
            instance,
            verbose,
            journal,
            stderr: Mutex::default(),
            ready_line,
            is_ready: watch::Sender::new(false),
            throttle: Mutex::default(),
        }))
    }

    /// Waits until it has written the line that says that it is ready.
    pub(crate) async fn ready(&self) {
        // The sender lives as long as this.
        let _ = self.0.is_ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// The last lines of its standard error.
    pub(crate) fn stderr_lines(&self) -> Vec<String> {
        lock(&self.0.stderr).iter().cloned().collect()
    }

    /// Reads its standard output to the end, as a task of its own: a process whose pipe is full would hang.
    pub(crate) fn stdout(&self, pipe: impl AsyncRead + Send + Unpin + 'static) -> JoinHandle<()> {
        tokio::spawn(self.clone().read(LogStream::Stdout, pipe))
    }

    /// As [`Self::stdout`], of its standard error.
    pub(crate) fn stderr(&self, pipe: impl AsyncRead + Send + Unpin + 'static) -> JoinHandle<()> {
        tokio::spawn(self.clone().read(LogStream::Stderr, pipe))
    }

    async fn read(self, stream: LogStream, mut pipe: impl AsyncRead + Send + Unpin) {
        let (mut piece, mut splitter) = (vec![0; PIECE], Splitter::default());
        // Until its end, or until it cannot be read any more, which is the same to us.
        while let Ok(read @ 1..) = pipe.read(&mut piece).await {
            splitter.split(piece.get(..read).unwrap_or_default(), |line| self.take(stream, line));
        }
        splitter.finish(|line| self.take(stream, line));
    }

    fn take(&self, stream: LogStream, line: String) {
        let shared = &*self.0;
        if stream == LogStream::Stderr {
            let mut stderr = lock(&shared.stderr);
            if stderr.len() >= MAX_STDERR {
                stderr.pop_front();
            }
            stderr.push_back(line.clone());
        }
        if stream == LogStream::Stdout && shared.ready_line.as_ref().is_some_and(|pattern| pattern.is_match(&line)) {
            shared.is_ready.send_replace(true);
        }
        let shown = lock(&shared.throttle).take(Instant::now());
        if let Some(suppressed) = shown {
            if suppressed > 0 {
                tracing::warn!(target: "sidecar", sidecar = shared.sidecar, instance = shared.instance, suppressed, "it writes too much: lines were left out");
            }
            let (sidecar, instance, stream) = (shared.sidecar.as_str(), shared.instance, stream.name());
            if shared.verbose {
                tracing::info!(target: "sidecar", sidecar, instance, stream, "{line}");
            } else {
                tracing::debug!(target: "sidecar", sidecar, instance, stream, "{line}");
            }
        }
        shared.journal.push(LogLine { at_ms: unix_ms(), instance: shared.instance, stream, line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(journal: &Arc<Journal>) -> Writer {
        Writer::new("flask", 1, true, Arc::clone(journal), Some(Regex::new("^Listening on").unwrap()))
    }

    #[tokio::test]
    async fn the_last_lines_are_kept_and_the_rest_is_forgotten() {
        let journal = Arc::new(Journal::default());
        let writer = writer(&journal);
        let text = (0..MAX_RECENT + 7).map(|number| format!("line {number}\n")).collect::<String>();
        writer.stderr(std::io::Cursor::new(text)).await.unwrap();
        let recent = journal.read().recent;
        assert_eq!((recent.len(), recent[0].line.as_str()), (MAX_RECENT, "line 7"));
        assert_eq!((recent[0].instance, recent[0].stream), (1, LogStream::Stderr));
        let stderr = writer.stderr_lines();
        assert_eq!((stderr.len(), stderr.last().unwrap().as_str()), (MAX_STDERR, "line 1006"));
    }

    #[tokio::test]
    async fn who_follows_has_every_line_once() {
        let journal = Arc::new(Journal::default());
        let writer = writer(&journal);
        writer.stdout(&b"one\n"[..]).await.unwrap();
        let mut logs = journal.read();
        writer.stdout(&b"two\n\xff\xfe"[..]).await.unwrap();
        assert_eq!(logs.recent.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), ["one"]);
        assert_eq!(logs.following.recv().await.unwrap().line, "two");
        assert_eq!(logs.following.recv().await.unwrap().line, "\u{fffd}\u{fffd}");
        assert!(writer.stderr_lines().is_empty());
    }

    #[tokio::test]
    async fn only_its_own_line_says_that_it_is_ready() {
        let journal = Arc::new(Journal::default());
        let writer = writer(&journal);
        writer.stderr(&b"Listening on 1\n"[..]).await.unwrap();
        writer.stdout(&b"not Listening on 1\n"[..]).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(5), writer.ready()).await.is_err());
        writer.stdout(&b"Listening on 1\n"[..]).await.unwrap();
        writer.ready().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_shown_in_part() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        let shown = (0..1000).filter(|_| throttle.take(now).is_some()).count();
        assert_eq!(shown, LOGGED_PER_SECOND as usize);
        assert_eq!(throttle.take(now + Duration::from_secs(1)), Some(1000 - u64::from(LOGGED_PER_SECOND)));
        assert_eq!(throttle.take(now + Duration::from_secs(1)), Some(0));
    }
}
