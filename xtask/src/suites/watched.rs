//! A command whose output is watched: when it has been silent for too long, what it has started is ended.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command;

/// What a watched command does.
pub(super) enum Heard<'a> {
    /// It printed a line.
    Line(&'a str),
    /// It was silent for too long, and what it had started was ended.
    Stuck,
}

/// Runs a command to its end and tells of each line of its standard output. After `silence` without one the programs that it has started
/// are killed, not the command itself: a test runner goes on with the next program. Returns whether it succeeded.
///
/// # Errors
/// When it cannot be started or its output cannot be read.
pub(super) fn stream(command: &mut Command, silence: Duration, mut hear: impl FnMut(Heard<'_>)) -> Result<bool> {
    let line = command::line(command);
    eprintln!("$ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("could not start `{line}`"))?;
    let output = child.stdout.take().context("the output of the command was not captured")?;
    let (lines, heard) = mpsc::channel();
    std::thread::spawn(move || BufReader::new(output).split(b'\n').try_for_each(|line| lines.send(line)));
    loop {
        match heard.recv_timeout(silence) {
            Ok(line) => hear(Heard::Line(String::from_utf8_lossy(&line?).trim_end_matches('\r'))),
            Err(RecvTimeoutError::Timeout) => {
                hear(Heard::Stuck);
                kill_started_by(&child)?;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(child.wait()?.success())
}

/// Kills whatever descends from a process. Nothing new can come of them meanwhile that is not found the next time.
fn kill_started_by(child: &Child) -> Result<()> {
    let listed = Command::new("ps").args(["-eo", "pid=,ppid="]).output().context("could not list processes with `ps`")?;
    let processes: Vec<(u32, u32)> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .collect();
    let mut found = vec![child.id()];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        at += 1;
    }
    let started: Vec<String> = found.into_iter().skip(1).map(|id| id.to_string()).collect();
    if !started.is_empty() {
        // Some may have ended by themselves.
        Command::new("kill").arg("-KILL").args(started).status().context("could not run `kill`")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_silent_command_has_started_is_killed_and_the_command_goes_on() {
        let mut heard = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; sh -c 'sleep 1000 & wait'; echo two"]);
        let succeeded = stream(&mut command, Duration::from_secs(1), |what| {
            heard.push(match what {
                Heard::Line(line) => line.to_owned(),
                Heard::Stuck => "stuck".to_owned(),
            });
        });
        assert!(succeeded.unwrap());
        assert_eq!(heard, ["one", "stuck", "two"]);
    }
}
