//! The reaper's own life.

use std::io::{Error, ErrorKind, Result};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::arguments::{Exec, Reap};
use super::descendants;
use super::kernel;
use super::protocol::{Order, Report};

/// The name under which `ps` shows it; also so that a `pkill` of the host's name leaves it its time to clean up.
const NAME: &core::ffi::CStr = c"sidecar-reaper";

/// The longest order, in bytes.
const MAX_ORDER: usize = 256;

pub(super) fn run(arguments: Reap) -> Result<ExitCode> {
    kernel::take_name(NAME);
    kernel::adopt_orphans()?;
    let socket = std::os::unix::net::UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (orders, mut reports) = UnixStream::from_std(socket)?.into_split();
        // Before the sidecar starts, so that its end cannot be missed. What is sent to the host's own group or by hand to this process is
        // not for it to decide: the host does.
        let mut children = signal(SignalKind::child())?;
        let _ignored = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
        let (main, port) = match start(&arguments) {
            Ok(started) => started,
            Err(error) => {
                let report =
                    if error.kind() == ErrorKind::AddrInUse { Report::PortInUse } else { Report::NotStarted { error: error.to_string() } };
                tell(&mut reports, &report).await;
                return Ok(ExitCode::FAILURE);
            }
        };
        tell(&mut reports, &Report::Started { pid: main.as_raw_nonzero().get(), port }).await;
        let mut orders = BufReader::new(orders);
        let mut line = Vec::new();
        let mut kill_at: Option<Instant> = None;
        let mut is_hearing = true;
        let status = loop {
            if let Some(status) = descendants::reap_ended(main) {
                break Some(status);
            }
            let patience = async {
                match kill_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = children.recv() => {}
                () = patience => break None,
                read = orders.read_until(b'\n', &mut line), if is_hearing => {
                    let grace = match read {
                        Ok(1..) if line.len() <= MAX_ORDER && line.ends_with(b"\n") => match serde_json::from_slice(&line) {
                            Ok(Order::Stop(milliseconds)) => Duration::from_millis(milliseconds),
                            Err(_) => Duration::ZERO,
                        },
                        // The host is gone, or nobody that we know.
                        _ => {
                            is_hearing = false;
                            arguments.orphan_grace
                        }
                    };
                    line.clear();
                    let _ = kill_process_group(main, Signal::TERM);
                    let at = Instant::now() + grace;
                    kill_at = Some(kill_at.map_or(at, |before| before.min(at)));
                }
            }
        };
        if let Some(status) = status {
            // At once: cleaning up may take a while, and nobody should be sent there meanwhile.
            tell(&mut reports, &Report::Ended { code: status.exit_status(), signal: status.terminating_signal() }).await;
        }
        let left = descendants::end_all(main);
        if status.is_none() {
            tell(&mut reports, &Report::Ended { code: None, signal: Some(Signal::KILL.as_raw()) }).await;
        }
        // The sidecar itself is not left behind by itself.
        let left = if status.is_some() { left } else { left.saturating_sub(1) };
        tell(&mut reports, &Report::Gone { left }).await;
        Ok(ExitCode::SUCCESS)
    })
}

fn start(arguments: &Reap) -> Result<(Pid, Option<u16>)> {
    let listener = arguments.listen.map(TcpListener::bind).transpose()?;
    let port = listener.as_ref().map(|listener| listener.local_addr().map(|address| address.port())).transpose()?;
    let exec =
        Exec { parent: rustix::process::getpid().as_raw_nonzero().get(), listen: listener.is_some(), command: arguments.command.clone() };
    let mut command = Command::new(kernel::own_program());
    command.arg0("breakwater").args(&arguments.exec).args(exec.write()).process_group(0);
    command.stdin(listener.map_or_else(Stdio::null, |listener| Stdio::from(OwnedFd::from(listener))));
    if let Some(port) = port {
        for name in ["PORT", "FLASK_PORT", "FLASK_RUN_PORT"] {
            command.env(name, port.to_string());
        }
    }
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| Error::other("a process without a number"))?;
    Ok((pid, port))
}

/// Tells the host. If it is gone, there is nobody to tell.
async fn tell(reports: &mut OwnedWriteHalf, report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = reports.write_all(&line).await;
    }
}
