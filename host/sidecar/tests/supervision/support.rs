//! Sidecars for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_core::{Body, CallContext, Failure, Method, OutboundRequest, Principal};
use breakwater_sidecar::{
    Change, Launch, ReaperCommand, RestartConfig, SidecarConfig, SidecarEvent, SidecarObserver, SidecarStatus, Sidecars, State,
};
use breakwater_upstream::{MemoryRecords, NoUpstreamObserver, Upstreams, UpstreamsConfig};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A server in Python without any package. `BEHAVIOUR` says what is odd about it.
const SERVER: &str = r#"
import http.server, os, signal, subprocess, sys, time
behaviour = os.environ.get("BEHAVIOUR", "")
count = os.path.join(os.path.dirname(__file__), "starts")
with open(count, "a") as file:
    file.write("x")
starts = os.path.getsize(count)
print("start", starts, file=sys.stderr)
if behaviour == "crash-first" and starts == 1 or behaviour == "crash-always":
    print("Traceback: boom at line", starts, file=sys.stderr)
    sys.exit(3)
if behaviour == "guess" and starts == 1:
    print("ImportError: cannot reach the registry", file=sys.stderr)
    sys.exit(1)
if behaviour == "late":
    time.sleep(1.5)
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour == "forks":
    left = subprocess.Popen(["sh", "-c", "trap '' TERM; exec sleep 1000"], start_new_session=True)
    with open(os.path.join(os.path.dirname(__file__), "grandchild"), "w") as file:
        file.write(str(left.pid))
if behaviour == "leaks":
    hoard = bytearray(200 << 20)
    for at in range(0, len(hoard), 4096):
        hoard[at] = 1
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if behaviour == "hangs-later" and starts == 1 and os.path.exists(os.path.join(os.path.dirname(__file__), "hang")):
            time.sleep(1000)
        if self.path == "/slow":
            time.sleep(0.3)
        if self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            for piece in range(20):
                self.wfile.write(b"0123456789")
                self.wfile.flush()
                time.sleep(0.05)
            return
        self.send_response(200 if behaviour != "unwell" else 500)
        self.end_headers()
        self.wfile.write(f"{os.getpid()} {self.headers.get('traceparent') is not None}".encode())
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address):
        if "LISTEN_FDS" in os.environ and os.environ["LISTEN_PID"] == str(os.getpid()):
            import socket
            super().__init__(address, Handler, bind_and_activate=False)
            self.socket = socket.socket(fileno=3)
            print("took the socket", file=sys.stderr)
        else:
            super().__init__(address, Handler)
server = Server((os.environ["HOST"], int(os.environ["PORT"])))
print("listening on", os.environ["PORT"], flush=True)
server.serve_forever()
"#;

/// Told events, in their order.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<(Change, String)>>);

impl SidecarObserver for Heard {
    fn happened(&self, event: &SidecarEvent<'_>) {
        self.0.lock().unwrap().push((event.change, event.detail.to_owned()));
    }
}

/// A folder with a server and the sidecars that run it.
pub(crate) struct Bench {
    pub(crate) sidecars: Arc<Sidecars>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) heard: Arc<Heard>,
    folder: TempDir,
}

/// A sidecar that answers within moments and whose failures cost as little.
pub(crate) fn quick(folder: &Path, behaviour: &str) -> SidecarConfig {
    let launch = Launch::Script { path: folder.join("server.py"), interpreter: None, arguments: Vec::new() };
    let mut config = SidecarConfig { port: 0, ..SidecarConfig::new("work", launch) };
    config.environment = [("BEHAVIOUR", behaviour), ("PYTHONPATH", &folder.display().to_string())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    config.checks.interval = Duration::from_millis(20);
    config.checks.timeout = Duration::from_secs(20);
    config.checks.max_attempts = 1000;
    config.checks.max_interval = Duration::from_millis(50);
    config.checks.live_interval = Duration::from_millis(50);
    config.restart = RestartConfig { delay: Duration::from_millis(20), ..RestartConfig::default() };
    config.shutdown_timeout = Duration::from_millis(300);
    config
}

fn change_in(folder: &TempDir, config: &mut SidecarConfig, change: impl FnOnce(&mut SidecarConfig)) {
    std::fs::write(folder.path().join("server.py"), SERVER).unwrap();
    change(config);
}

impl Bench {
    pub(crate) async fn start(behaviour: &str, change: impl FnOnce(&mut SidecarConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = quick(folder.path(), behaviour);
        change_in(&folder, &mut config, change);
        Self::of(folder, BTreeMap::from([("work".to_owned(), config)])).await
    }

    /// With another sidecar `base`, changed by `change`, that must be ready first. Neither starts by itself.
    pub(crate) async fn with_need(behaviour: &str, change: impl FnOnce(&mut SidecarConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut base, mut config) = (quick(folder.path(), ""), quick(folder.path(), behaviour));
        (base.autostart, config.autostart, config.depends_on) = (false, false, vec!["base".to_owned()]);
        change_in(&folder, &mut base, change);
        Self::of(folder, BTreeMap::from([("work".to_owned(), config), ("base".to_owned(), base)])).await
    }

    async fn of(folder: TempDir, configs: BTreeMap<String, SidecarConfig>) -> Self {
        let records = Arc::new(MemoryRecords::default());
        let stop = CancellationToken::new();
        let upstreams = Upstreams::start(UpstreamsConfig::default(), records, Arc::new(NoUpstreamObserver), stop.clone()).await.unwrap();
        let reaper = ReaperCommand {
            program: PathBuf::from(env!("CARGO_BIN_EXE_sidecar-reaper")),
            reap: vec!["reap".into()],
            exec: vec!["exec".into()],
        };
        let heard = Arc::new(Heard::default());
        let sidecars = Sidecars::start(configs, upstreams.clone(), heard.clone(), reaper, stop).await.unwrap();
        Self { sidecars, upstreams, heard, folder }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn status(&self) -> SidecarStatus {
        self.sidecars.status("work").unwrap()
    }

    /// Polls until the status is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&SidecarStatus) -> bool) -> SidecarStatus {
        let looking = async {
            loop {
                let status = self.status();
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(40), looking).await {
            Ok(status) => status,
            Err(_) => panic!("{:#?}\n{:#?}", self.status(), self.lines()),
        }
    }

    pub(crate) async fn ready(&self) -> SidecarStatus {
        self.until(|status| status.instances.iter().all(|instance| instance.state == State::Ready)).await
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.sidecars.logs("work").unwrap().recent.iter().map(|line| line.line.clone()).collect()
    }

    /// Asks the upstream and gives the answer's text as it comes.
    pub(crate) async fn ask_for_stream(&self, path: &str) -> BoxStream<'static, Result<Bytes, Failure>> {
        let context = CallContext::root(Principal::System, Duration::from_secs(20));
        let request = OutboundRequest { stream_response: true, ..OutboundRequest::new(Method::Get, path) };
        match self.upstreams.send(&context, "work", request).await.unwrap().body {
            Body::Stream(stream) => stream,
            body => panic!("no stream: {body:?}"),
        }
    }

    /// Asks the upstream; the answer's text.
    pub(crate) async fn ask(&self, path: &str) -> Result<String, Failure> {
        let context = CallContext::root(Principal::System, Duration::from_secs(20));
        let response = self.upstreams.send(&context, "work", OutboundRequest::new(Method::Get, path)).await?;
        let Body::Bytes(bytes) = response.body else { panic!("a stream") };
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

/// Whether a process is there, and not only as a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Polls until a process is gone.
pub(crate) async fn until_gone(pid: u32) {
    let looking = async {
        while is_alive(pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("{pid} is still there"));
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
