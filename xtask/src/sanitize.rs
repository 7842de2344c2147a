//! `cargo xtask sanitize`: the tests of the kernels with every access to memory checked.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, target_folder};
use crate::{command, system_packages};

/// The crates with `unsafe` kernels.
const PACKAGES: [&str; 2] = ["breakwater-convnet", "breakwater-transformer"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Under valgrind instead, which knows no AVX-512: the other instruction sets only, without the large networks
    #[arg(long)]
    valgrind: bool,
    /// Cases of each property; the larger ones take a part of them
    #[arg(long)]
    cases: Option<u32>,
}

/// Builds and runs the tests under AddressSanitizer, or under valgrind.
///
/// # Errors
/// When something does not build, a test fails, or an access is wrong.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    system_packages::ensure_compiler()?;
    let host = host_triple()?;
    if options.valgrind {
        under_valgrind(workspace, options, &host)?
    } else {
        under_address_sanitizer(workspace, options, &host)?
    }
    Ok(ExitCode::SUCCESS)
}

fn under_address_sanitizer(workspace: &Workspace, options: &Options, host: &str) -> Result<()> {
    let mut cargo = checked_tests(workspace, "address", host, options.cases.unwrap_or(64));
    // Sanitizers are not a stable option of the compiler, but stable compilers are shipped with this one's library.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    // Looking for leaks needs to trace the process, which containers forbid; the tests count bytes themselves.
    cargo.env("ASAN_OPTIONS", "detect_leaks=0");
    command::run(&mut cargo)
}

fn under_valgrind(workspace: &Workspace, options: &Options, host: &str) -> Result<()> {
    if !system_packages::runs("valgrind") {
        system_packages::install(&["valgrind"])?;
    }
    let mut cargo = checked_tests(workspace, "valgrind", host, options.cases.unwrap_or(8));
    // Optimised code reads values that are not set and throws them away, such as what an empty `Option` would hold; so only addresses
    // are looked at.
    let runner = "valgrind --quiet --error-exitcode=99 --undef-value-errors=no";
    cargo.env(format!("CARGO_TARGET_{}_RUNNER", host.to_uppercase().replace('-', "_")), runner);
    cargo.args(["--", "--test-threads", "1", "--skip", "networks", "--skip", "allocations::"]);
    command::run(&mut cargo)
}

/// `cargo test` of the crates, with assertions. The target is named, so that flags do not reach what runs while building.
fn checked_tests(workspace: &Workspace, folder: &str, host: &str, cases: u32) -> Command {
    let mut cargo = workspace.cargo();
    cargo.env("CARGO_TARGET_DIR", target_folder(workspace.root()).join("sanitize").join(folder)).env("PROPTEST_CASES", cases.to_string());
    cargo.arg("test").args(kernel_tests()).args(["--target", host]).args(with_assertions());
    cargo
}

/// What `cargo test` is told so that it takes the tests of the kernels.
pub(crate) fn kernel_tests() -> impl Iterator<Item = &'static str> {
    PACKAGES.into_iter().flat_map(|package| ["--package", package]).chain(["--lib", "--tests"])
}

/// Kernels are built without assertions everywhere else: those would cost more than the arithmetic.
pub(crate) fn with_assertions() -> impl Iterator<Item = String> {
    let profile = |package: &str, key: &str| ["--config".to_owned(), format!("profile.dev.package.{package}.{key}=true")];
    PACKAGES
        .into_iter()
        .flat_map(move |package| ["debug-assertions", "overflow-checks"].into_iter().flat_map(move |key| profile(package, key)))
}

/// What this machine's compiler compiles for unless told otherwise.
fn host_triple() -> Result<String> {
    let answer = Command::new("rustc").arg("-vV").output().context("could not run rustc")?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc -vV names no host: {text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_names_its_host() {
        assert!(host_triple().unwrap().contains(std::env::consts::ARCH));
    }

    #[test]
    fn assertions_are_those_of_the_crates_with_kernels() {
        let arguments: Vec<_> = with_assertions().collect();
        assert_eq!(arguments.len(), 4 * PACKAGES.len());
        assert_eq!(arguments[1], "profile.dev.package.breakwater-convnet.debug-assertions=true");
        assert_eq!(arguments[7], "profile.dev.package.breakwater-transformer.overflow-checks=true");
        assert_eq!(kernel_tests().filter(|argument| *argument == "--package").count(), PACKAGES.len());
    }
}
