//! How a process ended.

use std::fmt;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Exit {
    /// The code it ended with.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// How many processes it left running, which were killed.
    pub(crate) left: u32,
}

impl Exit {
    /// Whether somebody else ended it: a person, or the kernel for want of memory.
    pub(crate) fn is_from_outside(self) -> bool {
        self.signal.is_some_and(|signal| {
            [rustix::process::Signal::KILL, rustix::process::Signal::TERM].iter().any(|outside| outside.as_raw() == signal)
        })
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        4 => " (SIGILL, an illegal instruction)",
        6 => " (SIGABRT, it gave itself up)",
        7 => " (SIGBUS, a bad memory access)",
        8 => " (SIGFPE, a bad calculation)",
        9 => " (SIGKILL, from a person or for want of memory)",
        11 => " (SIGSEGV, a bad memory access)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "with code {code}")?,
            (None, Some(signal)) => write!(f, "by signal {signal}{}", signal_name(signal))?,
            (None, None) => f.write_str("in an unknown way")?,
        }
        match self.left {
            0 => Ok(()),
            1 => f.write_str(" and left a process running, which was ended; it must stay in the foreground"),
            left => write!(f, " and left {left} processes running, which were ended; it must stay in the foreground"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        let exit = |code, signal, left| Exit { code, signal, left }.to_string();
        assert_eq!(exit(Some(1), None, 0), "with code 1");
        assert_eq!(exit(None, Some(11), 0), "by signal 11 (SIGSEGV, a bad memory access)");
        assert_eq!(exit(Some(0), None, 1), "with code 0 and left a process running, which was ended; it must stay in the foreground");
        assert!(Exit { signal: Some(9), ..Exit::default() }.is_from_outside());
        assert!(!Exit { signal: Some(11), ..Exit::default() }.is_from_outside());
        assert!(!Exit { code: Some(9), ..Exit::default() }.is_from_outside());
    }
}
