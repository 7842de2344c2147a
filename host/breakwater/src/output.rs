//! Standard output and standard error of the command line.
#![expect(clippy::print_stderr, reason = "a command speaks to whoever typed it; everything else goes through here")]

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Prints a line of the answer.
pub(crate) fn line(text: &str) {
    // Whoever reads may have left; `| head` is no error.
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints the answer of a service: as JSON, or as a text made of it.
pub(crate) fn answer(is_json: bool, answer: &Value, text: impl FnOnce(&Value) -> String) -> serde_json::Result<()> {
    line(&if is_json { serde_json::to_string_pretty(answer)? } else { text(answer) });
    Ok(())
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    eprintln!("error: {text}");
}

/// Prints a remark that is not part of the answer.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Says how far the work on many files is: a bar on a terminal, nothing elsewhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// For this many files.
    pub(crate) fn over(files: usize) -> Self {
        if files < 2 || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(files as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta} left");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// One more file is done; `report` prints what there is to say about it without tearing the bar.
    pub(crate) fn done(&self, report: impl FnOnce()) {
        if self.0.is_hidden() {
            report()
        } else {
            self.0.suspend(report)
        }
        self.0.inc(1);
    }
}

impl Progress {
    /// For work whose extent becomes known on the way.
    pub(crate) fn counting() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta} left {msg}");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// How far the work is, of how much if that is known, and how much of it failed.
    pub(crate) fn at(&self, position: u64, total: Option<u64>, failed: u64) {
        if let Some(total) = total {
            self.0.set_length(total);
        }
        self.0.set_position(position);
        if failed > 0 {
            self.0.set_message(format!("({failed} failed)"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
