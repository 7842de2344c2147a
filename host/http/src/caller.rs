//! On whose behalf a call is made, under which key, and what is attached to it. The caller says so itself; nothing is permitted
//! because of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use breakwater_core::{Caller, Failure};
use serde_json::json;

use crate::form::field_invalid;

/// The header that makes a call safe to repeat: the same key, the same effect.
pub(crate) const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// The longest key, in bytes.
const MAX_KEY: usize = 255;
/// The most labels of a call. They are as long as a caller's attributes.
const MAX_LABELS: usize = Caller::MAX_ATTRIBUTES;

/// The caller, within its bounds.
///
/// # Errors
/// `request.field-invalid`.
pub(crate) fn caller(
    subject: Option<String>,
    tenant: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
) -> Result<Arc<Caller>, Failure> {
    let attributes = attributes.unwrap_or_default();
    for (name, text) in [("subject", &subject), ("tenant", &tenant)] {
        if text.as_ref().is_some_and(|text| !fits(text)) {
            return Err(field_invalid(name, &format!("has 1 to {} bytes", Caller::MAX_LENGTH)));
        }
    }
    check_map("attributes", &attributes, Caller::MAX_ATTRIBUTES)?;
    Ok(Arc::new(Caller { subject, tenant, attributes }))
}

/// The labels of a call, within their bounds.
///
/// # Errors
/// `request.field-invalid`.
pub(crate) fn labels(labels: Option<BTreeMap<String, String>>) -> Result<Arc<[(String, String)]>, Failure> {
    let labels = labels.unwrap_or_default();
    check_map("labels", &labels, MAX_LABELS)?;
    Ok(labels.into_iter().collect())
}

fn check_map(field: &str, map: &BTreeMap<String, String>, max: usize) -> Result<(), Failure> {
    if map.len() > max {
        return Err(field_invalid(field, &format!("has at most {max} entries")));
    }
    if map.iter().any(|(name, value)| !fits(name) || value.len() > Caller::MAX_LENGTH) {
        return Err(field_invalid(field, &format!("has names of 1 to {0} bytes and values of at most {0}", Caller::MAX_LENGTH)));
    }
    Ok(())
}

fn fits(text: &str) -> bool {
    (1..=Caller::MAX_LENGTH).contains(&text.len())
}

/// The key under which a call may be repeated.
///
/// # Errors
/// `request.header-invalid`.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Failure> {
    let mut keys = headers.get_all(IDEMPOTENCY_HEADER).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()));
    match (key, keys.next()) {
        (Some(key), None) => Ok(Some(key.into())),
        _ => Err(header_invalid(IDEMPOTENCY_HEADER, &format!("is sent once, with 1 to {MAX_KEY} printable ASCII characters"))),
    }
}

/// The key of what may be given one in its body or in the header.
///
/// # Errors
/// As [`idempotency_key`]; `request.field-invalid` when there are two that differ.
pub(crate) fn one_key(own: Option<String>, headers: &HeaderMap) -> Result<Option<String>, Failure> {
    match (own, idempotency_key(headers)?) {
        (Some(own), Some(key)) if *own != *key => Err(field_invalid("idempotency_key", "differs from the header Idempotency-Key")),
        (own, key) => Ok(own.or_else(|| key.map(|key| key.to_string()))),
    }
}

/// A header whose value cannot be meant.
pub(crate) fn header_invalid(name: &str, problem: &str) -> Failure {
    let detail = json!({ "header": name });
    Failure::invalid("request.header-invalid", format!("the header {name} {problem}")).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(count: usize, value: &str) -> BTreeMap<String, String> {
        (0..count).map(|index| (format!("name-{index}"), value.to_owned())).collect()
    }

    #[test]
    fn a_caller_stays_within_its_bounds() {
        let long = "x".repeat(Caller::MAX_LENGTH);
        let full = caller(Some(long.clone()), Some("acme".into()), Some(map(Caller::MAX_ATTRIBUTES, &long))).unwrap();
        assert_eq!((full.tenant.as_deref(), full.attributes.len()), (Some("acme"), Caller::MAX_ATTRIBUTES));
        assert_eq!(*caller(None, None, None).unwrap(), Caller::default());
        let longer = format!("{long}x");
        for (refused, field) in [
            (caller(Some(longer.clone()), None, None), "subject"),
            (caller(None, Some(String::new()), None), "tenant"),
            (caller(None, None, Some(map(Caller::MAX_ATTRIBUTES + 1, "x"))), "attributes"),
            (caller(None, None, Some(map(1, &longer))), "attributes"),
            (caller(None, None, Some([(String::new(), String::new())].into())), "attributes"),
        ] {
            let failure = refused.unwrap_err();
            assert_eq!(
                (&*failure.code, &failure.detail.unwrap()["violations"][0]["pointer"]),
                ("request.field-invalid", &format!("/{field}").into())
            );
        }
    }

    #[test]
    fn labels_stay_within_theirs() {
        assert_eq!(&*labels(Some([("project_id".into(), "7".into())].into())).unwrap(), [("project_id".to_owned(), "7".to_owned())]);
        assert_eq!(labels(Some(map(MAX_LABELS + 1, "x"))).unwrap_err().code, "request.field-invalid");
    }

    #[test]
    fn a_key_is_short_printable_and_single() {
        let key = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_HEADER, axum::http::HeaderValue::from_bytes(value).unwrap());
            }
            idempotency_key(&headers).map_err(|failure| failure.code.into_owned())
        };
        let longest = "k".repeat(MAX_KEY);
        assert_eq!(key(&[longest.as_bytes()]), Ok(Some(longest.as_str().into())));
        assert_eq!(key(&[]), Ok(None));
        let longer = "k".repeat(MAX_KEY + 1);
        for values in [&[longer.as_bytes()][..], &[b""], &[b"\xc3\xa9"], &[b"a", b"b"]] {
            assert_eq!(key(values), Err("request.header-invalid".into()), "{values:?}");
        }
    }

    #[test]
    fn a_key_is_in_the_body_or_in_the_header_or_the_same_in_both() {
        let key = |own: Option<&str>, header: Option<&'static str>| {
            let headers = header.map(|value| (IDEMPOTENCY_HEADER.parse().unwrap(), axum::http::HeaderValue::from_static(value)));
            one_key(own.map(str::to_owned), &headers.into_iter().collect()).map_err(|failure| failure.code.into_owned())
        };
        for (own, header) in [(Some("a"), None), (None, Some("a")), (Some("a"), Some("a"))] {
            assert_eq!(key(own, header), Ok(Some("a".into())), "{own:?} {header:?}");
        }
        assert_eq!(key(None, None), Ok(None));
        assert_eq!(key(Some("a"), Some("b")), Err("request.field-invalid".into()));
        assert_eq!(key(None, Some("")), Err("request.header-invalid".into()));
    }
}
