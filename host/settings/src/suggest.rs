//! What somebody may have meant.

/// The candidate most like `text`, if any is like it at all.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |candidate: &'a str| (strsim::jaro_winkler(&text.to_lowercase(), &candidate.to_lowercase()), candidate);
    let (likeness, candidate) = candidates.into_iter().map(likeness).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness > 0.8).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_something_else_is_not() {
        let keys = ["listen", "max_body", "request_timeout", "drain_timeout"];
        assert_eq!(nearest("lsiten", keys), Some("listen"));
        assert_eq!(nearest("Listen", keys), Some("listen"));
        assert_eq!(nearest("port_in_us", ["PORT_IN_USE"]), Some("PORT_IN_USE"));
        assert_eq!(nearest("request_time_out", keys), Some("request_timeout"));
        assert_eq!(nearest("colour", keys), None);
    }
}
