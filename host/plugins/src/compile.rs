//! Compiling components, by default in a process of its own: a hostile component can then take neither the server's memory nor its
//! time, and what the compiler allocates goes away with the process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::Engine;

use crate::config::CompileLimits;
use crate::engine::compiling_engine;
use crate::error::PluginError;

const MEMORY_VARIABLE: &str = "BREAKWATER_COMPILE_MEMORY_BYTES";
const CPU_VARIABLE: &str = "BREAKWATER_COMPILE_CPU_SECONDS";

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In a process of its own: `program args… INPUT OUTPUT`, which calls [`compile_component_main`].
    Subprocess {
        /// Usually this program itself.
        program: PathBuf,
        /// Usually `compile-component`.
        args: Vec<OsString>,
    },
    /// In this process, without a bound on memory: for tests and for the command line's `plugin check`.
    InProcess,
}

/// What the compiling process does: reads a component, writes its machine code.
///
/// Limits its own memory and processor time first, as the environment says, so that no component can make it grow or run on.
///
/// # Errors
/// [`PluginError::CompileFailed`] with what the compiler said.
pub fn compile_component_main(input: &Path, output: &Path) -> Result<(), PluginError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| PluginError::CompileFailed(format!("{what}: {error}"));
    let limit = |variable, resource| -> Result<(), PluginError> {
        let Some(value) = std::env::var(variable).ok().and_then(|value| value.parse().ok()) else { return Ok(()) };
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(resource, limit).map_err(|error| failed("limiting the compiler", &error))
    };
    limit(MEMORY_VARIABLE, Resource::As)?;
    limit(CPU_VARIABLE, Resource::Cpu)?;
    let wasm = std::fs::read(input).map_err(|error| failed("reading the component", &error))?;
    let code = precompile(&wasm)?;
    std::fs::write(output, code).map_err(|error| failed("writing the code", &error))
}

fn precompile(wasm: &[u8]) -> Result<Vec<u8>, PluginError> {
    let engine: Engine = compiling_engine()?;
    engine.precompile_component(wasm).map_err(|error| PluginError::CompileFailed(format!("{error:#}")))
}

impl Compiler {
    /// Compiles the component in `input` into `output`, which exists and is empty.
    pub(crate) async fn compile(&self, input: &Path, output: &Path, limits: &CompileLimits) -> Result<(), PluginError> {
        match self {
            Self::InProcess => {
                let (input, output) = (input.to_owned(), output.to_owned());
                on_thread("plugin-compiler", move || compile_here(&input, &output)).await?
            }
            Self::Subprocess { program, args } => {
                let mut command = tokio::process::Command::new(program);
                command
                    .args(args)
                    .arg(input)
                    .arg(output)
                    .env_clear()
                    .env(MEMORY_VARIABLE, limits.memory_bytes.to_string())
                    .env(CPU_VARIABLE, cpu_seconds(limits.timeout).to_string())
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .kill_on_drop(true);
                let child = command.spawn().map_err(|error| PluginError::CompileFailed(format!("the compiler did not start: {error}")))?;
                let ended = tokio::time::timeout(limits.timeout, child.wait_with_output()).await;
                let ended = ended.map_err(|_| PluginError::CompileFailed(format!("it took longer than {:?}", limits.timeout)))?;
                let ended = ended.map_err(|error| PluginError::CompileFailed(error.to_string()))?;
                if ended.status.success() {
                    return Ok(());
                }
                let said: String = String::from_utf8_lossy(&ended.stderr).trim().chars().take(2000).collect();
                Err(PluginError::CompileFailed(format!("the compiler ended with {}: {said}", ended.status)))
            }
        }
    }
}

/// Compiling uses every core, so its processor time may be several times the wall time that ends it.
fn cpu_seconds(timeout: Duration) -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    timeout.as_secs().max(1).saturating_mul(cores)
}

fn compile_here(input: &Path, output: &Path) -> Result<(), PluginError> {
    let io = |error: std::io::Error| PluginError::CompileFailed(error.to_string());
    std::fs::write(output, precompile(&std::fs::read(input).map_err(io)?)?).map_err(io)
}

/// Runs blocking work of a deployment on a thread of its own. Deployments are serialised, so there is one such thread at most.
pub(crate) async fn on_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PluginError> {
    let (give, take) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || drop(give.send(work())));
    spawned.map_err(|error| PluginError::Setup(format!("no thread for {name}: {error}")))?;
    take.await.map_err(|_| PluginError::Setup(format!("{name} ended without a result")))
}
