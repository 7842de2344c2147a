//! What the host tells the reaper on its command line, and the reaper the process that becomes the sidecar.

use std::ffi::OsString;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::time::Duration;

/// Ends our own arguments.
const END: &str = "--";

/// Of [`super::reap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reap {
    /// Where to listen for the sidecar; not given, it does so itself.
    pub(crate) listen: Option<SocketAddr>,
    /// How long the sidecar has when the host is gone.
    pub(crate) orphan_grace: Duration,
    /// What makes this program call [`super::exec`].
    pub(crate) exec: Vec<OsString>,
    /// The sidecar's program and its arguments.
    pub(crate) command: Vec<OsString>,
}

/// Of [`super::exec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exec {
    /// The process that must be the parent.
    pub(crate) parent: i32,
    /// Whether standard input is a socket to hand over.
    pub(crate) listen: bool,
    /// The sidecar's program and its arguments.
    pub(crate) command: Vec<OsString>,
}

fn invalid(what: &str) -> Error {
    Error::new(std::io::ErrorKind::InvalidInput, format!("the arguments of the reaper make no sense: {what}"))
}

fn parsed<T: std::str::FromStr>(text: Option<OsString>, what: &str) -> Result<T> {
    text.and_then(|text| text.into_string().ok()).and_then(|text| text.parse().ok()).ok_or_else(|| invalid(what))
}

impl Reap {
    pub(crate) fn write(&self) -> Vec<OsString> {
        let listen = self.listen.map_or_else(|| "none".to_owned(), |address| address.to_string());
        let mut arguments: Vec<OsString> = vec![listen.into(), self.orphan_grace.as_millis().to_string().into()];
        arguments.extend(self.exec.iter().cloned());
        arguments.push(END.into());
        arguments.extend(self.command.iter().cloned());
        arguments
    }

    pub(crate) fn read(arguments: Vec<OsString>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let listen = match arguments.next() {
            Some(text) if text == "none" => None,
            text => Some(parsed(text, "where to listen")?),
        };
        let orphan_grace = Duration::from_millis(parsed(arguments.next(), "how long to wait")?);
        let exec = arguments.by_ref().take_while(|argument| argument != END).collect();
        let command: Vec<_> = arguments.collect();
        if command.is_empty() {
            return Err(invalid("no command"));
        }
        Ok(Self { listen, orphan_grace, exec, command })
    }
}

impl Exec {
    pub(crate) fn write(&self) -> Vec<OsString> {
        let listen = if self.listen { "listen" } else { "none" };
        let mut arguments: Vec<OsString> = vec![self.parent.to_string().into(), listen.into()];
        arguments.extend(self.command.iter().cloned());
        arguments
    }

    pub(crate) fn read(arguments: Vec<OsString>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let parent = parsed(arguments.next(), "the parent")?;
        let listen = match arguments.next() {
            Some(text) if text == "listen" => true,
            Some(text) if text == "none" => false,
            _ => return Err(invalid("whether to listen")),
        };
        let command: Vec<_> = arguments.collect();
        if command.is_empty() {
            return Err(invalid("no command"));
        }
        Ok(Self { parent, listen, command })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> impl Strategy<Value = Vec<OsString>> {
        prop::collection::vec("[ -~é]{0,12}".prop_map(OsString::from), 1..5)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(command in words(), port in prop::option::of(any::<u16>()), grace in 0u64..100_000) {
            let listen = port.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            let exec = vec![OsString::from("sidecar-exec")];
            let reap = Reap { listen, orphan_grace: Duration::from_millis(grace), exec, command: command.clone() };
            prop_assert_eq!(Reap::read(reap.write()).unwrap(), reap);
            let exec = Exec { parent: 77, listen: port.is_some(), command };
            prop_assert_eq!(Exec::read(exec.write()).unwrap(), exec);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [&["none"][..], &["somewhere", "1", "--", "a"], &["none", "soon", "--", "a"], &["none", "1", "x", "--"], &[]] {
            let words = words.iter().map(OsString::from).collect();
            assert!(Reap::read(words).is_err());
        }
        for words in [&["1", "none"][..], &["me", "none", "a"], &["1", "perhaps", "a"]] {
            let words = words.iter().map(OsString::from).collect();
            assert!(Exec::read(words).is_err());
        }
    }
}
