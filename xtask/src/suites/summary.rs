//! What all suites came to, read from what the test runner prints.

use std::fmt;

/// How a test says that it could not do its work on this machine. It passes, and the summary repeats the line.
const NOT_RUN: &str = "NOT RUN: ";

/// Counts over suites.
#[derive(Debug, Default)]
pub(super) struct Summary {
    suites: Vec<Suite>,
}

#[derive(Debug, Default)]
struct Suite {
    name: String,
    passed: u32,
    ignored: u32,
    failed: Vec<String>,
    /// Tests that have run for long and not ended.
    slow: Vec<String>,
    not_run: Vec<String>,
    /// It did not compile, or a test program died.
    broken: bool,
}

impl Suite {
    fn not_run(&self) -> u32 {
        self.ignored + u32::try_from(self.not_run.len()).unwrap_or(u32::MAX)
    }
}

impl Summary {
    /// A suite starts.
    pub(super) fn begin(&mut self, name: &str) {
        self.suites.push(Suite { name: name.to_owned(), ..Suite::default() });
    }

    /// It printed a line.
    pub(super) fn read(&mut self, line: &str) {
        let Some(suite) = self.suites.last_mut() else { return };
        if let Some(counts) = line.strip_prefix("test result: ") {
            suite.passed += count(counts, "passed");
            suite.ignored += count(counts, "ignored");
        } else if let Some((name, result)) = line.strip_prefix("test ").and_then(|test| test.rsplit_once(" ... ")) {
            suite.slow.retain(|slow| slow != name);
            if result == "FAILED" {
                suite.failed.push(name.to_owned());
            }
        } else if let Some((name, _)) = line.strip_prefix("test ").and_then(|test| test.split_once(" has been running for over ")) {
            suite.slow.push(name.to_owned());
        } else if let Some((_, what)) = line.split_once(NOT_RUN)
            && !suite.not_run.iter().any(|known| known == what)
        {
            suite.not_run.push(what.to_owned());
        }
    }

    /// Its test program was ended because it was silent for too long: what had not come to an end has failed.
    pub(super) fn stuck(&mut self) {
        let Some(suite) = self.suites.last_mut() else { return };
        suite.failed.extend(suite.slow.drain(..).map(|name| format!("{name}, which did not end")));
    }

    /// It ended.
    pub(super) fn end(&mut self, succeeded: bool) {
        if let Some(suite) = self.suites.last_mut() {
            suite.broken = !succeeded && suite.failed.is_empty();
        }
    }

    /// Whether everything passed that could run.
    pub(super) fn is_ok(&self) -> bool {
        self.suites.iter().all(|suite| suite.failed.is_empty() && !suite.broken)
    }
}

/// The number before a word, as in `5 passed; 0 failed`.
fn count(counts: &str, word: &str) -> u32 {
    let words: Vec<_> = counts.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find_map(|pair| matches!(pair, [_, name] if *name == word).then(|| pair.first()?.parse().ok()).flatten()).unwrap_or(0)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14}{:>8}{:>8}{:>9}", "suite", "passed", "failed", "not run")?;
        for suite in &self.suites {
            let broken = if suite.broken { "  did not finish" } else { "" };
            writeln!(f, "{:<14}{:>8}{:>8}{:>9}{broken}", suite.name, suite.passed, suite.failed.len(), suite.not_run())?;
        }
        for suite in &self.suites {
            suite.not_run.iter().try_for_each(|what| writeln!(f, "{NOT_RUN}{what}"))?;
            suite.failed.iter().try_for_each(|name| writeln!(f, "FAILED: {name} ({})", suite.name))?;
        }
        let sum = |of: fn(&Suite) -> u32| self.suites.iter().map(of).sum::<u32>();
        let failed: usize = self.suites.iter().map(|suite| suite.failed.len() + usize::from(suite.broken)).sum();
        let verdict = if self.is_ok() { "ok" } else { "FAILED" };
        write!(f, "all suites: {verdict}. {} passed; {failed} failed; {} not run", sum(|suite| suite.passed), sum(Suite::not_run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(output: &str, succeeded: bool) -> Summary {
        let mut summary = Summary::default();
        summary.begin("workspace");
        output.lines().for_each(|line| summary.read(line));
        summary.end(succeeded);
        summary
    }

    #[test]
    fn counts_of_all_test_programs_are_added_up() {
        let output = "test a::b ... ok\ntest result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
            test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.1s\n";
        let text = summary(output, true).to_string();
        assert!(text.ends_with("all suites: ok. 12 passed; 0 failed; 1 not run"), "{text}");
    }

    #[test]
    fn a_failing_test_is_named_again() {
        let summary = summary("test a::b ... FAILED\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n", false);
        assert!(!summary.is_ok());
        assert!(summary.to_string().contains("FAILED: a::b (workspace)"));
    }

    #[test]
    fn a_test_that_did_not_end_is_named() {
        let mut summary = Summary::default();
        summary.begin("workspace");
        for test in ["a::slow", "a::stuck"] {
            summary.read(&format!("test {test} has been running for over 60 seconds"));
        }
        summary.read("test a::slow ... ok");
        summary.stuck();
        summary.end(false);
        let text = summary.to_string();
        assert!(text.contains("FAILED: a::stuck, which did not end (workspace)") && !text.contains("a::slow"), "{text}");
    }

    #[test]
    fn what_could_not_run_is_said_once_more_but_does_not_fail() {
        let summary = summary("NOT RUN: no photographs\nNOT RUN: no photographs\ntest result: ok. 1 passed; 0 failed; 0 ignored\n", true);
        assert!(summary.is_ok());
        assert!(summary.to_string().contains("NOT RUN: no photographs\nall suites: ok. 1 passed; 0 failed; 1 not run"), "{summary}");
    }

    #[test]
    fn a_suite_that_does_not_compile_fails() {
        let summary = summary("", false);
        assert!(!summary.is_ok());
        assert!(summary.to_string().contains("did not finish") && summary.to_string().contains("1 failed"));
    }
}
