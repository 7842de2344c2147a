//! A Rust toolchain that can build for `wasm32-unknown-unknown`, found or installed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{command, system_packages};

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's own toolchain for web browsers: kept recent on every release, and with the sources of the standard library.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
pub(crate) const DEBIAN_STD_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/Cargo.toml";

/// How guests are compiled here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WasmToolchain {
    /// The active toolchain has the target's standard library.
    Installed,
    /// Debian's packages, which have only its sources: it is compiled along.
    Debian { linker: PathBuf },
}

impl WasmToolchain {
    /// The first that works: the active toolchain, Debian's packages, Debian's packages once installed, `rustup target add`.
    ///
    /// # Errors
    /// When none does; the message says what to install.
    pub(crate) fn find() -> Result<Self> {
        if has_target(TARGET) {
            return Ok(Self::Installed);
        }
        if let Some(debian) = Self::debian() {
            return Ok(debian);
        }
        let mut tried = Vec::new();
        if Path::new("/usr/bin/apt-get").exists() {
            match system_packages::install(DEBIAN_PACKAGES) {
                Ok(()) => return Self::debian().context("the Debian packages are installed, but the compiler or its sources are missing"),
                Err(error) => tried.push(format!("{error:#}")),
            }
        }
        match command::run(clean(Command::new("rustup")).args(["target", "add", TARGET])) {
            Ok(()) if has_target(TARGET) => return Ok(Self::Installed),
            Ok(()) => tried.push(format!("rustup added {TARGET}, but not to the toolchain in use")),
            Err(error) => tried.push(format!("{error:#}")),
        }
        bail!(
            "no compiler for {TARGET}: run `rustup target add {TARGET}`, or on Debian install {} ({})",
            DEBIAN_PACKAGES.join(" "),
            tried.join("; ")
        );
    }

    fn debian() -> Option<Self> {
        let present = ["/usr/bin/rustc", "/usr/bin/cargo", DEBIAN_STD_SOURCES].iter().all(|path| Path::new(path).exists());
        let linker = linker()?;
        present.then_some(Self::Debian { linker })
    }

    /// What the compiled code depends on besides its sources.
    ///
    /// # Errors
    /// When the compiler does not say its version.
    pub(crate) fn version(&self) -> Result<String> {
        let rustc = match self {
            Self::Installed => "rustc",
            Self::Debian { .. } => "/usr/bin/rustc",
        };
        let answer = clean(Command::new(rustc)).arg("-vV").output().with_context(|| format!("could not run {rustc}"))?;
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }

    /// `cargo build` of the workspace in `folder` for the target, into `target_dir`.
    pub(crate) fn build(&self, folder: &Path, target_dir: &Path) -> Command {
        let program = match self {
            Self::Installed => "cargo",
            Self::Debian { .. } => "/usr/bin/cargo",
        };
        let mut cargo = clean(Command::new(program));
        cargo.current_dir(folder).env("CARGO_TARGET_DIR", target_dir);
        cargo.args(["build", "--release", "--target", TARGET]);
        if let Self::Debian { linker } = self {
            // Building the standard library is not stable, and Debian's compiler is a stable one.
            cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            cargo.args(["-Z", "build-std=std,panic_abort"]);
        }
        cargo
    }

    /// Where `cargo build` leaves the module of a package.
    pub(crate) fn module(target_dir: &Path, package: &str) -> PathBuf {
        target_dir.join(TARGET).join("release").join(format!("{}.wasm", package.replace('-', "_")))
    }
}

/// Without what an outer cargo or rustup left in the environment for its own compiler.
pub(crate) fn clean(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if is_inherited(&name) {
            command.env_remove(&name);
        }
    }
    command
}

fn is_inherited(name: &OsString) -> bool {
    let Some(name) = name.to_str() else { return false };
    // Where crates come from stays as the user set it.
    let kept = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_", "CARGO_BUILD_JOBS"];
    let ours = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"];
    ours.iter().any(|start| name.starts_with(start)) && !kept.iter().any(|start| name.starts_with(start))
}

/// Whether the active toolchain has the standard library of a target.
pub(crate) fn has_target(target: &str) -> bool {
    let answer = clean(Command::new("rustc")).args(["--print", "sysroot"]).stderr(Stdio::null()).output();
    let Ok(answer) = answer else { return false };
    let sysroot = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
    // A folder without libraries is left behind by some packages.
    let libraries = fs::read_dir(sysroot.join("lib/rustlib").join(target).join("lib"));
    libraries
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd"))))
}

/// The newest `wasm-ld` in /usr/bin.
fn linker() -> Option<PathBuf> {
    let entries = fs::read_dir("/usr/bin").ok()?;
    let version = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        let rest = name.strip_prefix("wasm-ld")?;
        if rest.is_empty() { Some(0) } else { rest.strip_prefix('-')?.parse::<u32>().ok() }
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| version(path).is_some()).max_by_key(|path| version(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_compiler_is_forgotten_and_the_registry_is_not() {
        let inherited = |name: &str| is_inherited(&OsString::from(name));
        for name in
            ["CARGO", "CARGO_TARGET_DIR", "CARGO_PKG_NAME", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"]
        {
            assert!(inherited(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_REGISTRIES_MINE_INDEX", "CARGO_HTTP_PROXY", "PATH", "RUSTUP_HOME", "RUST_BACKTRACE"] {
            assert!(!inherited(name), "{name}");
        }
    }

    #[test]
    fn a_module_is_named_after_its_package() {
        let module = WasmToolchain::module(Path::new("/t"), "crop-basic");
        assert_eq!(module, Path::new("/t/wasm32-unknown-unknown/release/crop_basic.wasm"));
    }
}
