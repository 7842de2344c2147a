//! Paths of a service that the operator may set, with places for values of the call.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::call::CallContext;
use crate::failure::Failure;
use crate::host::Host;

/// The longest path that is sent, in bytes.
pub const MAX_PATH: usize = 8 << 10;

/// What stays as it is (RFC 3986, unreserved characters).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The path in the setting `key`, or `default`, with its places filled in as [`expand`] does.
///
/// # Errors
/// `config.unavailable` when the host cannot tell; those of [`expand`].
pub fn configured<H: Host>(host: &H, key: &str, default: &str, call: &CallContext) -> Result<String, Failure> {
    let template = host.setting(key)?.map_or(Cow::Borrowed(default), Cow::Owned);
    expand(&template, call)
}

/// Fills in a template: `{tenant}`, `{subject}` and `{correlation_id}` of the call, and `{label:NAME}` for one of its labels, each
/// percent-encoded.
///
/// ```
/// use breakwater_guest::{CallContext, path_template};
/// let call = CallContext { tenant: Some("a/b".to_owned()), ..CallContext::default() };
/// assert_eq!(path_template::expand("/tenants/{tenant}/detect?v=2", &call).unwrap(), "/tenants/a%2Fb/detect?v=2");
/// ```
///
/// # Errors
/// `config.invalid` (internal) when the template does not start with `/`, names a place that does not exist, or one that this call has
/// no value for, or when the path is longer than [`MAX_PATH`].
pub fn expand(template: &str, call: &CallContext) -> Result<String, Failure> {
    let invalid = |what: &str| Failure::internal("config.invalid", &format!("the path `{template}` {what}"));
    if !template.starts_with('/') {
        return Err(invalid("does not start with /"));
    }
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').ok_or_else(|| invalid("has a { without its }"))?;
        let value = value(name, call).ok_or_else(|| invalid(&format!("names {{{name}}}, which this call has no value for")))?;
        // Two dots would leave the folder, escaped or not.
        if value.chars().all(|character| character == '.') {
            return Err(invalid(&format!("names {{{name}}}, whose value is no name")));
        }
        path.push_str(before);
        path.extend(utf8_percent_encode(value, ESCAPED));
        rest = tail;
    }
    path.push_str(rest);
    if path.len() > MAX_PATH {
        return Err(invalid(&format!("comes to more than {MAX_PATH} bytes")));
    }
    Ok(path)
}

fn value<'a>(name: &str, call: &'a CallContext) -> Option<&'a str> {
    match name {
        "tenant" => call.tenant.as_deref(),
        "subject" => call.subject.as_deref(),
        "correlation_id" => Some(&call.correlation_id),
        _ => {
            let label = name.strip_prefix("label:")?;
            call.labels.iter().find(|(key, _)| key == label).map(|(_, value)| value.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    fn call() -> CallContext {
        CallContext {
            correlation_id: "c-1".to_owned(),
            subject: Some("ana maria".to_owned()),
            labels: vec![("project_id".to_owned(), "7".to_owned()), ("up".to_owned(), "..".to_owned())],
            ..CallContext::default()
        }
    }

    #[test]
    fn every_place_is_filled_in() {
        let path = expand("/{label:project_id}/u/{subject}?id={correlation_id}", &call()).unwrap();
        assert_eq!(path, "/7/u/ana%20maria?id=c-1");
        assert_eq!(expand("/detect", &call()).unwrap(), "/detect");
    }

    #[test]
    fn a_template_that_cannot_be_meant_is_refused() {
        for template in ["detect", "", "/{", "/{tenant}", "/{nobody}", "/{label:none}", "/{label:up}/etc", "http://x/"] {
            assert_eq!(expand(template, &call()).unwrap_err().code, "config.invalid", "{template}");
        }
        let long = CallContext { subject: Some("x".repeat(MAX_PATH)), ..call() };
        assert_eq!(expand("/{subject}", &long).unwrap_err().code, "config.invalid");
        let fits = CallContext { subject: Some("x".repeat(MAX_PATH - 1)), ..call() };
        assert_eq!(expand("/{subject}", &fits).unwrap().len(), MAX_PATH);
    }

    #[test]
    fn the_operators_path_comes_before_the_default() {
        let host = FakeHost::new().with_setting("detect_path", "/v2/detect");
        assert_eq!(configured(&host, "detect_path", "/detect", &call()).unwrap(), "/v2/detect");
        assert_eq!(configured(&host, "crop_path", "/crop", &call()).unwrap(), "/crop");
    }
}
