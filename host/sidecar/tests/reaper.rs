//! The reaper, for the tests of this crate: the product's own binary has it as a command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(|command| command.to_str()) {
        Some("reap") => breakwater_sidecar::reaper::reap(arguments),
        Some("exec") => breakwater_sidecar::reaper::exec(arguments),
        _ => ExitCode::FAILURE,
    }
}
