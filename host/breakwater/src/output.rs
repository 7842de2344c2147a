//! Standard output and standard error of the command line.
#![expect(clippy::print_stderr, reason = "a command speaks to whoever typed it; everything else goes through here")]

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Prints a line of the answer.
pub(crate) fn line(text: &str) {
    // Whoever reads may have left; `| head` is no error.
    drop(writeln!(std::io::stdout(), "{text}"));
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

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
