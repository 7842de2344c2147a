//! What whoever asks is told of a sidecar.

use axum::http::HeaderMap;
use breakwater_operations::sidecars::{SidecarError, SidecarStatus};

use crate::app::App;
use crate::incoming::Incoming;
use crate::management;

/// The status as whoever asks may read it: whole for those who may steer the sidecar, else as [`for_anybody`].
pub(crate) fn for_caller(app: &App, incoming: &Incoming, headers: &HeaderMap) -> impl Fn(SidecarStatus) -> SidecarStatus + use<> {
    let is_manager = management::allow(app, incoming, headers).is_ok();
    move |status| if is_manager { status } else { for_anybody(status) }
}

/// The status without what a process wrote to its standard error, what was looked at on this machine, and what to do there: the errors
/// keep type, message and time.
pub(crate) fn for_anybody(mut status: SidecarStatus) -> SidecarStatus {
    let of_instances = status.instances.iter_mut().filter_map(|instance| instance.last_error.as_mut());
    for error in of_instances.chain(status.last_error.as_mut()) {
        let SidecarError { kind: _, message: _, at_ms: _, troubleshooting, probes, stderr } = error;
        (*troubleshooting, *probes, *stderr) = Default::default();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::super::sidecar_body::tests::{sample, stopped};
    use super::*;

    #[test]
    fn anybody_is_told_what_happened_and_not_what_was_found_on_the_machine() {
        let whole = sample();
        let shown = for_anybody(whole.clone());
        let mut errors = 0;
        let before = whole.instances.iter().map(|instance| &instance.last_error).chain([&whole.last_error]);
        let after = shown.instances.iter().map(|instance| &instance.last_error).chain([&shown.last_error]);
        for (before, after) in before.zip(after) {
            let (Some(before), Some(after)) = (before, after) else {
                assert_eq!(before, after);
                continue;
            };
            assert!(!before.troubleshooting.is_empty() && !before.probes.is_empty() && !before.stderr.is_empty());
            assert_eq!((after.kind, &after.message, after.at_ms), (before.kind, &before.message, before.at_ms));
            assert!(after.troubleshooting.is_empty() && after.probes.is_empty() && after.stderr.is_empty(), "{after:?}");
            errors += 1;
        }
        assert_eq!(errors, 2, "the sidecar's and that of an instance");
        assert_eq!(for_anybody(stopped()), stopped());
    }
}
