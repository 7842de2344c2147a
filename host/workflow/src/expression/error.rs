//! What can be wrong with an expression.

use jmespath::{ErrorReason, JmespathError};

use super::Expression;

/// Why an expression could not be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Its text is too long.
    #[error("the expression has {length} bytes; {} are allowed", Expression::MAX_BYTES)]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Its parts stand too deep in each other.
    #[error("the expression is nested deeper than {} levels", Expression::MAX_NESTING)]
    TooDeep,
    /// It is not JMESPath.
    #[error("not a JMESPath expression: {message}, at character {position}")]
    Syntax {
        /// Where, counted in characters from 1.
        position: usize,
        /// What was found or missing there.
        message: String,
    },
    /// It has a `!` that does not mean what it seems to.
    #[error("`!` binds closer than `.`, so that `!a.b` is nothing: write `!(a.b)`")]
    FieldOfNot,
    /// It calls a function that there is not.
    #[error("there is no function `{name}`{}", did_you_mean(.close.as_deref()))]
    UnknownFunction {
        /// The function.
        name: String,
        /// One whose name is close.
        close: Option<String>,
    },
    /// It met a value that a function cannot take.
    #[error("the expression failed: {message}")]
    Failed {
        /// What went wrong.
        message: String,
    },
    /// It would take too long.
    #[error("the expression does too much work for the size of its data")]
    TooMuchWork,
    /// Its result is too large.
    #[error("the result of the expression is larger than {limit} bytes")]
    TooLarge {
        /// The largest that is allowed, in bytes of JSON.
        limit: usize,
    },
    /// Its result is nested too deep.
    #[error("the result of the expression is nested deeper than {limit} levels")]
    ResultTooDeep {
        /// The deepest that is allowed.
        limit: usize,
    },
}

impl ExpressionError {
    /// What the parser says, in words that do not need the parser's source.
    pub(super) fn syntax(error: &JmespathError) -> Self {
        let ErrorReason::Parse(reason) = &error.reason else { return Self::in_function("the parser", error) };
        let reason = reason.replace(" nud token -- found", "").replace(" led token -- found", "").replace("-- found", "but found");
        let mut message: String = reason.replace("Eof", "the end").chars().take(160).collect();
        if let Some(first) = message.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        Self::Syntax { position: error.offset + 1, message }
    }

    /// What a function of the library says.
    pub(super) fn in_function(name: &str, error: &JmespathError) -> Self {
        let message = match &error.reason {
            ErrorReason::Parse(message) => message.clone(),
            ErrorReason::Runtime(reason) => reason.to_string(),
        };
        Self::Failed { message: format!("{name}: {message}").chars().take(160).collect() }
    }
}

fn did_you_mean(close: Option<&str>) -> String {
    close.map(|name| format!("; is `{name}` meant?")).unwrap_or_default()
}
