//! `cargo xtask neon`: the tests of the kernels for 64-bit Arm, run by an emulator where the machine is another.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::command;
use crate::sanitize::{kernel_tests, with_assertions};
use crate::system_packages::{self, is_on_path};
use crate::wasm_toolchain::{DEBIAN_STD_SOURCES, clean, has_target};
use crate::workspace::{Workspace, target_folder};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const VARIABLES: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU";
const LINKER: &str = "aarch64-linux-gnu-gcc";
/// Where Debian puts the C library of the target.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";
/// Linker, C library and emulator.
const DEBIAN_CROSS: &[&str] = &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user-static"];
/// A compiler with the sources of its standard library, for machines whose toolchain lacks the target.
const DEBIAN_COMPILER: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Cases of each property; the larger ones take a part of them
    #[arg(long, default_value_t = 8)]
    cases: u32,
    /// The large networks, too, which take minutes on an emulator
    #[arg(long)]
    networks: bool,
}

/// Builds and runs the tests for Arm.
///
/// # Errors
/// When there is no compiler, linker or emulator and none can be installed, when something does not build, or a test fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let mut cargo = if env::consts::ARCH == "aarch64" { native(workspace) } else { emulated(workspace)? };
    cargo.env("PROPTEST_CASES", options.cases.to_string());
    if !options.networks {
        cargo.args(["--", "--skip", "networks::"]);
    }
    command::run(&mut cargo)?;
    Ok(ExitCode::SUCCESS)
}

fn native(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    cargo.arg("test").args(kernel_tests());
    cargo
}

fn emulated(workspace: &Workspace) -> Result<Command> {
    if !is_on_path(LINKER) || emulator().is_none() {
        system_packages::install(DEBIAN_CROSS)?;
    }
    let Some(emulator) = emulator() else { bail!("no qemu-aarch64-static and no qemu-aarch64 on the path") };
    let target_folder = target_folder(workspace.root()).join("neon");
    let mut cargo = if has_target(TARGET) {
        let mut cargo = clean(Command::new("cargo"));
        cargo.arg("test");
        cargo
    } else {
        debian_compiler()?
    };
    cargo.current_dir(workspace.root()).env("CARGO_TARGET_DIR", target_folder);
    cargo.env(format!("{VARIABLES}_LINKER"), LINKER).env(format!("{VARIABLES}_RUNNER"), format!("{emulator} -L {SYSROOT}"));
    // Not what is in documentation: rustdoc would be another toolchain's.
    cargo.args(kernel_tests()).args(["--target", TARGET]).args(with_assertions());
    Ok(cargo)
}

/// `cargo test` of Debian's own toolchain for web browsers, which compiles the standard library along.
fn debian_compiler() -> Result<Command> {
    let present = || ["/usr/bin/rustc", "/usr/bin/cargo", DEBIAN_STD_SOURCES].iter().all(|path| Path::new(path).exists());
    if !present() {
        let hint = format!("the toolchain has no {TARGET}: `rustup target add {TARGET}` gives it one");
        system_packages::install(DEBIAN_COMPILER).map_err(|error| error.context(hint))?;
    }
    let mut cargo = clean(Command::new("/usr/bin/cargo"));
    // Building the standard library is not stable, and Debian's compiler is a stable one.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
    cargo.args(["test", "-Z", "build-std=std,panic_unwind,test"]);
    Ok(cargo)
}

fn emulator() -> Option<&'static str> {
    ["qemu-aarch64-static", "qemu-aarch64"].into_iter().find(|program| is_on_path(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_told_about_the_target_by_its_name() {
        assert_eq!(VARIABLES, format!("CARGO_TARGET_{}", TARGET.to_uppercase().replace('-', "_")));
    }
}
