//! `breakwater index`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use breakwater_core::{CallContext, Principal};
use breakwater_http::ImportAnswer;
use breakwater_operations::Operations;
use breakwater_operations::search::{ImportPhase, ImportRequest, ImportSource, ImportStatus};

use super::local::{Local, block_on};
use super::pictures::Folder;
use super::search::settle;
use crate::cli::IndexArguments;
use crate::configuration::Sources;
use crate::output::{self, Progress};
use crate::places::Surroundings;

/// How often the import is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Failed pictures that are named one by one.
const NAMED_PROBLEMS: usize = 10;
/// How long stopping may take: pictures that are worked on are finished, and what the index has taken in is written.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(arguments: IndexArguments) -> Result<ExitCode> {
    block_on(async {
        match arguments.server.clone() {
            Some(server) => super::index_remote::run(&arguments, &server).await,
            None => here(&arguments).await,
        }
    })
}

async fn here(arguments: &IndexArguments) -> Result<ExitCode> {
    let mut sources = Sources::of_places(&arguments.places)?;
    let folder = Folder::of(&arguments.folder, &sources.read()?, &Surroundings::of_process())?;
    sources.set_media_root(&folder.root)?;
    let local = Local::with_records(&sources).await?;
    let name = arguments.name.clone().unwrap_or_else(|| folder.import_name());
    let source = ImportSource::Folder(folder.below);
    let context = CallContext::root(Principal::System, local.settings.server.request_timeout);
    let operations = &local.host.operations;
    let started = operations.import(&context, ImportRequest { name, source, restart: arguments.restart }).await?;
    let (status, interrupted) = follow(operations, started).await?;
    if !interrupted {
        settle(operations, STOP_PATIENCE).await;
    }
    if arguments.json {
        output::line(&serde_json::to_string_pretty(&ImportAnswer::from(status.clone()))?);
    } else {
        output::line(&summary(&status));
    }
    local.host.stop(STOP_PATIENCE).await;
    Ok(if status.phase == ImportPhase::Finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows how far the import is until it has ended; an interrupt from the keyboard ends it after the pictures that are worked on.
async fn follow(operations: &Operations, mut status: ImportStatus) -> Result<(ImportStatus, bool)> {
    let progress = Progress::counting();
    let mut interrupted = false;
    while status.phase == ImportPhase::Running {
        progress.at(status.position, status.total, status.failed);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            caught = tokio::signal::ctrl_c(), if !interrupted => {
                caught?;
                interrupted = true;
                output::note("stopping after the pictures that are worked on; the same command goes on from there");
                operations.cancel_import(&status.name).await?;
            }
        }
        status = operations.import_state(&status.name).await?;
    }
    Ok((status, interrupted))
}

/// What became of it, for people.
fn summary(status: &ImportStatus) -> String {
    let mut lines = vec![format!(
        "{} pictures indexed, {} failed, in {:.1} s ({:.1} a second)",
        status.stored,
        status.failed,
        status.elapsed.as_secs_f64(),
        status.rate
    )];
    lines.extend(
        status.problems.iter().take(NAMED_PROBLEMS).map(|problem| format!("  {}: {} ({})", problem.name, problem.message, problem.code)),
    );
    if status.problems.len() > NAMED_PROBLEMS {
        lines.push(format!("  and {} more", status.failed.saturating_sub(NAMED_PROBLEMS as u64)));
    }
    match (status.phase, &status.interrupted_by) {
        (ImportPhase::Cancelled, _) => lines.push(format!("stopped after {}; the same command goes on from there", status.position)),
        (ImportPhase::Interrupted, Some(problem)) => lines.push(format!(
            "interrupted after {}: {} ({}); the same command goes on from there",
            status.position, problem.message, problem.code
        )),
        (ImportPhase::Interrupted, None) => {
            lines.push(format!("interrupted after {}; the same command goes on from there", status.position))
        }
        (ImportPhase::Finished | ImportPhase::Running, _) => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use breakwater_operations::search::ImportProblem;

    use super::*;

    fn status(phase: ImportPhase, failed: u64) -> ImportStatus {
        let problem =
            |item| ImportProblem { item, name: format!("{item}.jpg"), code: "image.invalid".into(), message: "no picture".into() };
        ImportStatus {
            name: "a".into(),
            source: ImportSource::Folder("/a".into()),
            phase,
            position: 20,
            total: Some(40),
            stored: 20 - failed,
            failed,
            problems: (1..=failed).map(problem).collect(),
            interrupted_by: None,
            elapsed: Duration::from_secs(2),
            rate: 10.0,
        }
    }

    #[test]
    fn what_failed_is_named_and_what_was_stopped_goes_on() {
        let lines = |status: &ImportStatus| summary(status).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            lines(&status(ImportPhase::Finished, 1)),
            ["19 pictures indexed, 1 failed, in 2.0 s (10.0 a second)", "  1.jpg: no picture (image.invalid)"]
        );
        let many = lines(&status(ImportPhase::Cancelled, 12));
        assert_eq!(many.len(), 1 + NAMED_PROBLEMS + 2);
        assert_eq!(many[NAMED_PROBLEMS + 1..], ["  and 2 more", "stopped after 20; the same command goes on from there"]);
        let interrupted_by =
            Some(ImportProblem { item: 20, name: "x".into(), code: "search.records".into(), message: "the store failed".into() });
        let interrupted = ImportStatus { interrupted_by, ..status(ImportPhase::Interrupted, 0) };
        assert!(
            summary(&interrupted).ends_with("interrupted after 20: the store failed (search.records); the same command goes on from there")
        );
    }
}
