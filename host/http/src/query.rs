//! Reading the part of a URL after `?` as strictly as a body: unknown names are refused with the one that was meant.

use axum::extract::Query as Pairs;
use axum::http::Uri;
use breakwater_core::Failure;

use crate::form::{at, field_invalid};
use crate::json::unknown_field;

/// The parameters of a request. The URL is part of the head, which is bounded.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the parameters.
    ///
    /// # Errors
    /// `request.unknown-field`, `request.repeated-field`, `request.field-invalid`.
    pub(crate) fn of(uri: &Uri, known: &[&'static str]) -> Result<Self, Failure> {
        let Ok(Pairs(pairs)) = Pairs::<Vec<(String, String)>>::try_from_uri(uri) else {
            return Err(Failure::invalid("request.field-invalid", "the query of the URL cannot be read"));
        };
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown_field(name, known.iter().copied()));
            }
            if pairs.iter().take(index).any(|(before, _)| before == name) {
                return Err(at(name, "request.repeated-field", "is there more than once"));
            }
        }
        Ok(Self(pairs))
    }

    /// The text of a parameter; an empty one counts as absent, as browsers send empty inputs.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, text) = self.0.iter().find(|(known, _)| known == name)?;
        Some(text.trim()).filter(|text| !text.is_empty())
    }

    /// Reads a parameter as `T`.
    ///
    /// # Errors
    /// `request.field-invalid` with what `T` says about it.
    pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.text(name).map(|text| text.parse().map_err(|error: T::Err| field_invalid(name, &error.to_string()))).transpose()
    }

    /// Reads a parameter as JSON.
    ///
    /// # Errors
    /// `request.field-invalid` with the place of the mistake.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let read = |text| serde_json::from_str(text).map_err(|error| field_invalid(name, &error.to_string()));
        self.text(name).map(read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Query, Failure> {
        Query::of(&format!("/v1/things?{query}").parse().unwrap(), &["name", "page", "tags"])
    }

    #[test]
    fn parameters_are_read_by_name() {
        let query = read("name=a+b%26c&page=%203&tags=%7B%22plan%22%3A%22pro%22%7D").unwrap();
        assert_eq!((query.text("name"), query.parsed::<u32>("page").unwrap()), (Some("a b&c"), Some(3)));
        assert_eq!(query.json::<serde_json::Value>("tags").unwrap().unwrap()["plan"], "pro");
        let none = read("name=").unwrap();
        assert_eq!((none.text("name"), none.parsed::<u32>("page").unwrap()), (None, None));
        assert!(Query::of(&"/v1/things".parse().unwrap(), &[]).is_ok());
    }

    #[test]
    fn what_nobody_knows_or_means_is_refused_with_its_name() {
        for (query, code, pointer) in [("nmae=a", "request.unknown-field", "/nmae"), ("name=a&name=b", "request.repeated-field", "/name")] {
            let failure = read(query).unwrap_err();
            assert_eq!((&*failure.code, &failure.detail.unwrap()["violations"][0]["pointer"]), (code, &pointer.into()), "{query}");
        }
        let query = read("page=two&tags=%7B").unwrap();
        assert_eq!(query.parsed::<u32>("page").unwrap_err().code, "request.field-invalid");
        assert_eq!(query.json::<serde_json::Value>("tags").unwrap_err().code, "request.field-invalid");
    }
}
