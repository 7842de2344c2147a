//! Who may change plugins: by default only a process on this machine that speaks to the service itself.

use axum::http::{HeaderMap, header};
use breakwater_core::{Failure, FailureKind};

use crate::app::App;
use crate::incoming::Incoming;

/// Headers that a reverse proxy adds: behind one, every client looks local.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Lets a change pass.
///
/// # Errors
/// `http.management-denied` from another machine, through a proxy, or from a web page (a browser sends `Origin` with every form it
/// posts, and such a form could otherwise reach a service on the same machine).
pub(crate) fn allow(app: &App, incoming: &Incoming, headers: &HeaderMap) -> Result<(), Failure> {
    if app.config.remote_management { Ok(()) } else { local(incoming, headers) }
}

fn local(incoming: &Incoming, headers: &HeaderMap) -> Result<(), Failure> {
    let denied = |message: &str| Err(Failure::new(FailureKind::Denied, "http.management-denied", message));
    if !incoming.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        return denied("plugins are changed from the machine the service runs on, unless remote management is switched on");
    }
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return denied("plugins are not changed through a proxy, unless remote management is switched on");
    }
    if headers.contains_key(header::ORIGIN) {
        return denied("plugins are not changed from a web page, unless remote management is switched on");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::incoming::Peer;

    use super::*;

    #[test]
    fn only_this_machine_itself_may_change_plugins() {
        for (peer, header, allowed) in [
            (Some("127.0.0.1:5"), None, true),
            (Some("[::1]:5"), None, true),
            (Some("[::ffff:127.0.0.1]:5"), None, true),
            (Some("10.0.0.1:5"), None, false),
            (None, None, false),
            (Some("127.0.0.1:5"), Some("x-forwarded-for"), false),
            (Some("127.0.0.1:5"), Some("origin"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(name) = header {
                headers.insert(name, "http://somewhere".parse().unwrap());
            }
            let incoming = Incoming::of(&headers, peer.map(|peer| Peer(peer.parse().unwrap())));
            let result = local(&incoming, &headers);
            assert_eq!(result.is_ok(), allowed, "{peer:?} {header:?}");
        }
    }
}
