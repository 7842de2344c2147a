//! Features as services write them.

use breakwater_guest::Failure;
use serde::Deserialize;

use crate::service::Model;

/// The features of one picture, by the names that are in use.
#[derive(Deserialize)]
pub(crate) struct Found {
    #[serde(default, alias = "features", alias = "feature_vector")]
    embedding: Option<Numbers>,
    #[serde(default, alias = "dim", alias = "dimensions", alias = "embedding_dim")]
    dimension: Option<usize>,
    #[serde(default)]
    success: Option<bool>,
    #[serde(default, alias = "model_name")]
    model: Option<String>,
    #[serde(default, alias = "errorCode", alias = "code")]
    error_code: Option<String>,
    /// Any error, such as a text or an object.
    #[serde(default)]
    error: Option<serde_json::Value>,
    /// Its place among those of a batch.
    #[serde(default)]
    pub(crate) index: Option<usize>,
}

/// A list of numbers, or a batch of one such list.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Numbers {
    Flat(Vec<f64>),
    OfOne([Vec<f64>; 1]),
}

impl Found {
    /// Features that came as numbers alone; none for a picture that the service could not read.
    pub(crate) fn of(embedding: Option<Numbers>) -> Self {
        Self { embedding, dimension: None, success: None, model: None, error_code: None, error: None, index: None }
    }

    /// Whether the service says that it could not read this picture: outright, or by giving nothing for it.
    pub(crate) fn is_refused(&self) -> bool {
        self.success == Some(false) || (self.embedding.is_none() && self.success.is_none())
    }

    /// By which code the service refused a picture; `UNKNOWN` when it names none.
    pub(crate) fn failure_code(&self) -> String {
        let of_error = || self.error.as_ref()?.pointer("/error_code").or_else(|| self.error.as_ref()?.pointer("/code"))?.as_str();
        let code = self.error_code.as_deref().or_else(of_error).filter(|code| is_code(code));
        code.unwrap_or("UNKNOWN").to_owned()
    }

    /// The features, of length one.
    ///
    /// # Errors
    /// `upstream.response-invalid` with what is wrong, at `place`, unless they are as many finite numbers as the model gives, by that model.
    pub(crate) fn features(self, model: &Model, place: &str) -> Result<Vec<f64>, Failure> {
        let wrong = |what: &str| Err(Failure::response_invalid(&format!("{place}{what}")));
        if self.success == Some(false) {
            return wrong("/success: it says that it failed");
        }
        model.check_name(self.model.as_deref())?;
        let numbers = match self.embedding {
            Some(Numbers::Flat(numbers)) => numbers,
            Some(Numbers::OfOne([numbers])) => numbers,
            None => return wrong("/embedding: it is missing"),
        };
        let expected = model.dimension;
        if numbers.len() != expected {
            return wrong(&format!("/embedding: {} numbers instead of {expected}", numbers.len()));
        }
        if let Some(said) = self.dimension.filter(|said| *said != expected) {
            return wrong(&format!("/dimension: {said} instead of {expected}"));
        }
        match image_model::direction(&numbers) {
            Some(direction) => Ok(direction),
            None => wrong("/embedding: the numbers are all zero, or not finite"),
        }
    }
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}
