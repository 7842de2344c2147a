//! The system interfaces that a language's runtime expects: nothing of the machine is in them.
//!
//! No files, no environment, no arguments, no addresses; clocks and random numbers are real. Standard output and error are log lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::http::Requests;
use super::logging::{MAX_LINES, MAX_MESSAGE};
use crate::state::{CallState, PluginScope};

/// The most bytes taken in one write.
const MAX_WRITE: usize = 64 << 10;

/// What a guest with a runtime of its own has beyond [`CallState`].
pub(crate) struct WasiState {
    system: WasiCtx,
    http: WasiHttpCtx,
    requests: Requests,
}

impl WasiState {
    fn of(state: &CallState) -> Box<Self> {
        let lines = Arc::new(AtomicU32::new(0));
        let output = |is_error| Output {
            scope: Arc::clone(&state.scope),
            correlation_id: state.context.correlation_id.to_string(),
            is_error,
            lines: Arc::clone(&lines),
        };
        let system = WasiCtx::builder().stdout(output(false)).stderr(output(true)).build();
        Box::new(Self { system, http: WasiHttpCtx::new(), requests: Requests::of(state) })
    }

    /// Whether a limit of requests or of their bytes was reported to the guest.
    pub(crate) fn was_refused(&self) -> bool {
        self.requests.was_refused()
    }

    /// Requests sent and bytes passed.
    pub(crate) fn used(&self) -> (u32, u64) {
        self.requests.used()
    }
}

impl CallState {
    fn wasi(&mut self) -> (&mut WasiState, &mut wasmtime::component::ResourceTable) {
        let wasi = match self.wasi.take() {
            Some(wasi) => wasi,
            None => WasiState::of(self),
        };
        (self.wasi.insert(wasi), &mut self.table)
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (wasi, table) = self.wasi();
        WasiCtxView { ctx: &mut wasi.system, table }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (wasi, table) = self.wasi();
        WasiHttpCtxView { hooks: &mut wasi.requests, table, ctx: &mut wasi.http }
    }
}

/// Standard output or error.
#[derive(Clone)]
struct Output {
    scope: Arc<PluginScope>,
    correlation_id: String,
    is_error: bool,
    /// Written so far by the call, over both.
    lines: Arc<AtomicU32>,
}

impl Output {
    /// Written with `?`, so that what a guest writes does not start a line of the log.
    fn line(&self, line: &[u8]) {
        let (plugin, correlation_id) = (self.scope.id.as_str(), self.correlation_id.as_str());
        let before = self.lines.fetch_add(1, Ordering::Relaxed);
        if before >= MAX_LINES {
            if before == MAX_LINES {
                tracing::warn!(plugin, correlation_id, "the plugin wrote {MAX_LINES} lines in one call; the rest is dropped");
            }
            return;
        }
        let message = String::from_utf8_lossy(line.get(..MAX_MESSAGE).unwrap_or(line));
        if self.is_error {
            tracing::warn!(plugin, correlation_id, ?message, "plugin");
        } else {
            tracing::info!(plugin, correlation_id, ?message, "plugin");
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Of WASI 0.3 only, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { output: self.clone(), begun: Vec::new() })
    }
}

/// Cuts what is written into lines. What is left at the end is a line as well.
struct Lines {
    output: Output,
    begun: Vec<u8>,
}

impl Lines {
    fn end(&mut self) {
        if !self.begun.is_empty() {
            self.output.line(&self.begun);
            self.begun.clear();
        }
    }
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            // The rest of a line that is too long is dropped with it.
            let room = MAX_MESSAGE.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(text.get(..room).unwrap_or(text));
            if ends {
                self.end();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end();
    }
}
