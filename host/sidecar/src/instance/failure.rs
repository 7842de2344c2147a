//! What follows from a failure.

use std::time::Duration;

use super::{Instance, Next};
use crate::diagnosis;
use crate::error::{ErrorKind, SidecarError};
use crate::exit::Exit;
use crate::observer::Change;
use crate::restart::{Signature, Verdict};
use crate::status::State;

impl Instance {
    /// It failed. Says so, and decides whether it is started again.
    pub(super) fn failed(&mut self, error: SidecarError, exit: Option<Exit>) -> Next {
        self.record().failed(&error);
        self.sidecar.tell_failure(self.number, &error);
        // What was only guessed from its output may be otherwise the next time.
        if error.kind.needs_a_hand() && error.probes.iter().any(|probe| !probe.ok) {
            self.answer(Err(&error));
            let message = format!("{}: it is not tried again before somebody has mended that", error.kind);
            self.sidecar.change(self.number, State::Failed, Some(Change::GaveUp), &message, None);
            return Next::Rest;
        }
        let signature = if exit.is_some_and(Exit::is_from_outside) {
            None
        } else {
            Some(Signature::new(error.kind.name(), &error.message, diagnosis::last_line(&error.stderr)))
        };
        match self.restarts.failed(signature) {
            Verdict::Restart { after, attempt } => {
                self.answer(Err(&error));
                self.record().restarting(attempt);
                let most = self.sidecar.config.restart.max_attempts;
                let after_ms = after.as_millis();
                let message =
                    format!("{}: {}. Attempting automatic restart ({attempt}/{most}) in {after_ms} ms", error.kind, error.message);
                self.sidecar.change(self.number, State::Restarting, Some(Change::Restarting), &message, None);
                Next::StartAfter(after)
            }
            Verdict::NotWanted => self.give_up(also(error, "it is not started again by itself (auto_restart is off)".to_owned())),
            Verdict::TooOften { attempts } => {
                self.give_up(also(error, format!("it was started again {attempts} times in vain (max_restart_attempts)")))
            }
            Verdict::Loop { failures } => {
                let message = format!("it failed {failures} times in a row in the same way and is not tried again (crash_loop_limit)");
                self.give_up(also(error, message))
            }
        }
    }

    pub(super) fn give_up(&mut self, error: SidecarError) -> Next {
        self.answer(Err(&error));
        self.record().failed(&error);
        self.sidecar.change(self.number, State::Failed, Some(Change::GaveUp), &format!("{}: {}", error.kind, error.message), None);
        Next::Rest
    }

    /// Why another start has to wait.
    pub(super) fn too_many_starts(&self, wait: Duration) -> SidecarError {
        let limit = &self.sidecar.config.restart;
        let message = format!(
            "it was started {} times within {:?}, which is the limit (start_limit); the next start is possible in {:.0} s",
            limit.start_limit,
            limit.start_window,
            wait.as_secs_f64().ceil()
        );
        diagnosis::explain(&self.sidecar.config, &self.sidecar.name, ErrorKind::UnknownError, message, Vec::new(), Vec::new())
    }
}

/// The same error, with what that led to.
fn also(error: SidecarError, consequence: String) -> SidecarError {
    SidecarError { message: format!("{}; {consequence}", error.message), ..error }
}
