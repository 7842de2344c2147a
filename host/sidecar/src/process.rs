//! A process of a sidecar, seen from the host.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

use crate::exit::Exit;
use crate::output::Writer;
use crate::proc;
use crate::reaper::arguments::Reap;
use crate::reaper::kernel;
use crate::reaper::protocol::{Order, Report};

/// How long the reaper may take to say that it has started something.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How long the reaper may take beyond the sidecar's own time to end.
const END_PATIENCE: Duration = Duration::from_secs(8);
/// How long a sidecar has to end when the host is gone: nobody needs it, and its port should be free for the host's next start.
const ORPHAN_GRACE: Duration = Duration::from_millis(500);
/// How often it is looked whether what was killed is gone.
const KILL_LOOK: Duration = Duration::from_millis(5);
/// The variable by which a sidecar's processes are found when their reaper is gone.
const MARK: &str = "SIDECAR_RUN";
/// How long after its end its output may still take to be read.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(500);

/// How the reaper is run: a program that calls [`crate::reaper::reap`] and [`crate::reaper::exec`] when it is given these arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaperCommand {
    /// The program.
    pub program: PathBuf,
    /// What makes it call [`crate::reaper::reap`] with the arguments that follow.
    pub reap: Vec<OsString>,
    /// What makes it call [`crate::reaper::exec`] with the arguments that follow.
    pub exec: Vec<OsString>,
}

impl ReaperCommand {
    /// The program that runs, with commands of its own.
    #[must_use]
    pub fn of_this_program(reap: impl Into<OsString>, exec: impl Into<OsString>) -> Self {
        Self { program: kernel::own_program(), reap: vec![reap.into()], exec: vec![exec.into()] }
    }
}

/// What is started.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// All of its environment.
    pub(crate) environment: BTreeMap<OsString, OsString>,
    /// Where it runs.
    pub(crate) folder: Option<PathBuf>,
    /// Where the reaper listens for it.
    pub(crate) listen: Option<SocketAddr>,
}

/// Why nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpawnError {
    /// The port that it should be given is taken.
    #[error("the port is in use")]
    PortInUse,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

fn failed(what: &str) -> impl Fn(std::io::Error) -> SpawnError {
    move |error| SpawnError::Failed(format!("{what}: {error}"))
}

/// A running sidecar. Dropping it ends the process and all that it has started.
#[derive(Debug)]
pub(crate) struct Process {
    /// The sidecar's process, which is also its process group.
    pub(crate) pid: u32,
    /// The port that was opened for it.
    pub(crate) port: Option<u16>,
    reaper: Child,
    reports: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
    /// What every process of it has in its environment.
    mark: String,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Process {
    /// Starts it.
    pub(crate) async fn start(plan: &Plan, command: &ReaperCommand, writer: &Writer) -> Result<Self, SpawnError> {
        let (own, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed("no socket"))?;
        own.set_nonblocking(true).map_err(failed("no socket"))?;
        let (reports, orders) = UnixStream::from_std(own).map_err(failed("no socket"))?.into_split();
        let arguments = Reap { listen: plan.listen, orphan_grace: ORPHAN_GRACE, exec: command.exec.clone(), command: plan.command.clone() };
        let mark = format!("{:016x}", fastrand::u64(..));
        let mut reaper = Command::new(&command.program);
        reaper.arg0("breakwater").args(&command.reap).args(arguments.write());
        reaper.env_clear().envs(&plan.environment).env(MARK, &mark).process_group(0);
        if let Some(folder) = &plan.folder {
            reaper.current_dir(folder);
        }
        reaper.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut reaper = reaper.spawn().map_err(failed("the reaper cannot be started"))?;
        // The command held its end of the socket too; gone with it.
        let mut readers = Vec::new();
        readers.extend(reaper.stdout.take().map(|pipe| writer.stdout(pipe)));
        readers.extend(reaper.stderr.take().map(|pipe| writer.stderr(pipe)));
        let mut this = Self { pid: 0, port: None, reaper, reports: BufReader::new(reports).lines(), orders, mark, readers };
        match tokio::time::timeout(START_PATIENCE, this.report()).await {
            Ok(Some(Report::Started { pid, port })) => {
                this.pid = u32::try_from(pid).unwrap_or_default();
                this.port = port;
                Ok(this)
            }
            Ok(Some(Report::PortInUse)) => Err(SpawnError::PortInUse),
            Ok(Some(Report::NotStarted { error })) => Err(SpawnError::Failed(error)),
            Ok(Some(Report::Ended { .. } | Report::Gone { .. }) | None) => Err(SpawnError::Failed("the reaper ended at once".to_owned())),
            Err(_) => Err(SpawnError::Failed(format!("the reaper said nothing for {START_PATIENCE:?}"))),
        }
    }

    /// The next report; nothing once the reaper is gone. May be dropped and called again.
    async fn report(&mut self) -> Option<Report> {
        let line = self.reports.next_line().await.ok().flatten()?;
        serde_json::from_str(&line).ok()
    }

    /// The process of the reaper, whose descendants are all that there is of the sidecar.
    pub(crate) fn reaper_pid(&self) -> Option<u32> {
        self.reaper.id()
    }

    /// Waits for its end, also when what it left behind still runs. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Exit {
        loop {
            match self.report().await {
                Some(Report::Ended { code, signal }) => return Exit { code, signal, left: 0 },
                Some(_) => {}
                None => {
                    // Somebody ended the reaper. The kernel has killed the sidecar with it, but not what that had forked.
                    self.kill_all().await;
                    return Exit { signal: Some(Signal::KILL.as_raw()), ..Exit::default() };
                }
            }
        }
    }

    /// Kills everything that was started with its mark, wherever it went, until nothing of that is left.
    async fn kill_all(&self) {
        self.kill_group();
        let until = tokio::time::Instant::now() + END_PATIENCE;
        while tokio::time::Instant::now() < until {
            let left = proc::with_variable(MARK, &self.mark);
            if left.is_empty() {
                break;
            }
            for pid in left.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            tokio::time::sleep(KILL_LOOK).await;
        }
    }

    fn kill_group(&self) {
        if let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Asks it to end, kills what has not ended within `grace`, and waits until nothing of it is left.
    pub(crate) async fn stop(mut self, grace: Duration) -> Exit {
        if let Ok(mut order) = serde_json::to_vec(&Order::Stop(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX))) {
            order.push(b'\n');
            // A reaper that cannot be told is gone, and is found so below.
            let _ = self.orders.write_all(&order).await;
        }
        let exit = match tokio::time::timeout(grace.saturating_add(END_PATIENCE), self.ended()).await {
            Ok(exit) => exit,
            Err(_) => {
                let _ = self.reaper.start_kill();
                self.kill_all().await;
                Exit { signal: Some(Signal::KILL.as_raw()), ..Exit::default() }
            }
        };
        Exit { left: self.finish().await, ..exit }
    }

    /// Waits, once it has ended, until nothing of it is left, and for the last of its output. Returns how many processes it left running,
    /// which were killed.
    pub(crate) async fn finish(mut self) -> u32 {
        let left = match tokio::time::timeout(END_PATIENCE, self.report()).await {
            Ok(Some(Report::Gone { left })) => left,
            _ => 0,
        };
        let _ = tokio::time::timeout(END_PATIENCE, self.reaper.wait()).await;
        for reader in self.readers {
            let _ = tokio::time::timeout(OUTPUT_PATIENCE, reader).await;
        }
        left
    }
}
