//! Expressions of a definition: JMESPath over what an execution knows.
//!
//! The language and its functions are those of <https://jmespath.org>. The library parses; the tree is walked here, because a definition may
//! come from anybody: work, memory and depth have bounds, and numbers stay what they are.

mod equality;
mod error;
mod functions;
mod interpreter;
mod mentions;
mod nesting;
mod scope;
mod variable;

pub use error::ExpressionError;
pub use mentions::Mentions;
pub use scope::Scope;

use std::fmt;

use jmespath::Rcvar;
use jmespath::ast::Ast;
use serde_json::Value;

use interpreter::Interpreter;

/// A parsed expression. It is parsed once and evaluated as often as its step is visited.
#[derive(Clone)]
pub struct Expression {
    text: String,
    tree: Ast,
    mentions: Mentions,
}

impl Expression {
    /// The longest text, in bytes.
    pub const MAX_BYTES: usize = 4096;
    /// How deep brackets, operators and projections may stand in each other. The parser and the interpreter recurse at most
    /// twice as deep.
    pub const MAX_NESTING: usize = 100;
    /// The largest result, in bytes of JSON: 8 MiB.
    pub const MAX_RESULT: usize = 8 << 20;
    /// How deep a result may be nested. A journal is JSON, and its reader goes no deeper than 128.
    pub const MAX_RESULT_DEPTH: usize = 100;

    /// Reads an expression. Functions that do not exist are refused here, not when it is evaluated.
    ///
    /// # Errors
    /// [`ExpressionError::TooLong`], [`ExpressionError::TooDeep`], [`ExpressionError::Syntax`], [`ExpressionError::FieldOfNot`] or
    /// [`ExpressionError::UnknownFunction`].
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > Self::MAX_BYTES {
            return Err(ExpressionError::TooLong { length: text.len() });
        }
        if nesting::of(text) > Self::MAX_NESTING {
            return Err(ExpressionError::TooDeep);
        }
        let tree = jmespath::parse(text).map_err(|error| ExpressionError::syntax(&error))?;
        let mentions = Mentions::of(&tree);
        if mentions.field_of_not {
            return Err(ExpressionError::FieldOfNot);
        }
        functions::known(&mentions)?;
        Ok(Self { text: text.to_owned(), tree, mentions })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it refers to.
    #[must_use]
    pub fn mentions(&self) -> &Mentions {
        &self.mentions
    }

    /// Its value.
    ///
    /// # Errors
    /// [`ExpressionError::Failed`] when a function gets what it cannot take, [`ExpressionError::TooMuchWork`],
    /// [`ExpressionError::TooLarge`] or [`ExpressionError::ResultTooDeep`].
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, ExpressionError> {
        variable::to_value(&*self.search(scope)?, Self::MAX_RESULT, Self::MAX_RESULT_DEPTH)
    }

    /// Whether its value is true in the sense of JMESPath: anything but `false`, `null`, and an empty string, list or object.
    ///
    /// # Errors
    /// As [`Self::evaluate`], but for those of the size of a result.
    pub fn holds(&self, scope: &Scope) -> Result<bool, ExpressionError> {
        Ok(self.search(scope)?.is_truthy())
    }

    fn search(&self, scope: &Scope) -> Result<Rcvar, ExpressionError> {
        Interpreter::new(&self.text).evaluate(&scope.root(&self.mentions), &self.tree)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Expression").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests;
