//! Packages of the operating system. On Debian, as root, they are installed; elsewhere their names are said.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::command;

/// A C and a C++ compiler, and make: SQLite and WebP are C, the vector index is C++.
const COMPILER: &[&str] = &["build-essential"];
/// OpenGL on the processor, for the tests that run networks through wgpu on a machine without a GPU.
const SOFTWARE_OPENGL: &[&str] = &["libegl1", "libgl1-mesa-dri"];
/// Programs that tests start, each with its package: a real Redis, services in Python and JavaScript, clients and guests in JavaScript,
/// a server that speaks TLS; pip, which installs a PostgreSQL; and two that look at PDFs.
const TEST_PROGRAMS: &[(&str, &str)] = &[
    ("redis-server", "redis-server"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("pip3", "python3-pip"),
    ("openssl", "openssl"),
    ("qpdf", "qpdf"),
    ("pdftoppm", "poppler-utils"),
];

/// Sees to a C and a C++ compiler.
///
/// # Errors
/// When one is missing and cannot be installed.
pub(crate) fn ensure_compiler() -> Result<()> {
    if runs("cc") && runs("c++") {
        return Ok(());
    }
    install(COMPILER)
}

/// Sees to a software OpenGL. The tests that need it say so when they do not run, so this failing is only reported.
pub(crate) fn ensure_software_opengl() {
    if SOFTWARE_OPENGL.iter().all(|package| is_installed(package)) {
        return;
    }
    if let Err(error) = install(SOFTWARE_OPENGL) {
        eprintln!("note: {error:#}; the tests that run networks through wgpu will say that they did not run");
    }
}

/// Sees to the programs that tests start. One that is there, from wherever, is taken as it is. The tests that need one say so when they
/// do not run, so this failing is only reported.
pub(crate) fn ensure_test_programs() {
    let missing: Vec<_> = TEST_PROGRAMS.iter().filter(|(program, _)| !is_on_path(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return;
    }
    if let Err(error) = install(&missing) {
        eprintln!("note: {error:#}; the tests that need them will say that they did not run");
    }
}

/// Whether there is a program of this name.
pub(crate) fn is_on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Whether a program answers to `--version`.
pub(crate) fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Installs Debian packages.
///
/// # Errors
/// When this is not Debian, not root, or apt fails; the message names the packages.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("needs the system packages that Debian calls `{names}`: install them with your package manager");
    }
    if !is_root() {
        bail!("needs system packages: sudo apt-get install {names}");
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        apt
    };
    command::run(apt().args(["update", "--quiet"]))?;
    command::run(apt().args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages))
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query").args(["--show", "--showformat=${Status}", package]).stderr(Stdio::null()).output();
    query.is_ok_and(|answer| answer.stdout.ends_with(b"ok installed"))
}

fn is_root() -> bool {
    // The effective user is the second number of the line.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Uid:")).and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}
