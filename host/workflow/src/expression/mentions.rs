//! What an expression refers to.

use std::collections::BTreeSet;

use jmespath::ast::Ast;

/// What of a [`super::Scope`] an expression looks at. Nothing else of the scope is gathered when it is evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mentions {
    /// Names at the top: `input`, `previous`, and those that do not exist.
    pub names: BTreeSet<String>,
    /// Steps by the names that follow `steps`, as they are written.
    pub steps: BTreeSet<String>,
    /// Whether it looks at all steps, as in `steps.*` or `keys(steps)`.
    pub all_steps: bool,
    /// Whether it looks at everything, as in `@`.
    pub everything: bool,
    /// The functions it calls.
    pub functions: BTreeSet<String>,
    /// Whether it says what counts where something is missing: `||` or `not_null`.
    pub alternatives: bool,
    /// Whether it takes a field of what `!` gives, which is never anything: `!a.b` is read as `(!a).b`.
    pub(super) field_of_not: bool,
}

/// What a part of an expression is applied to, or gives.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The scope itself.
    Scope,
    /// Its `steps`.
    Steps,
    /// Anything else.
    Within,
}

impl Mentions {
    pub(super) fn of(tree: &Ast) -> Self {
        let mut mentions = Self::default();
        mentions.use_of(tree, Place::Scope);
        mentions
    }

    /// Walks what is applied to `place`, and says what it gives.
    fn walk(&mut self, tree: &Ast, place: Place) -> Place {
        match tree {
            Ast::Identity { .. } => return place,
            Ast::Field { name, .. } => return self.field(name, place),
            Ast::Subexpr { lhs, rhs, .. } => {
                self.field_of_not |= matches!((&**lhs, &**rhs), (Ast::Not { .. }, Ast::Field { .. }));
                let left = self.walk(lhs, place);
                return self.walk(rhs, left);
            }
            Ast::Literal { .. } | Ast::Index { .. } | Ast::Slice { .. } => {}
            Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => {
                self.alternatives |= matches!(tree, Ast::Or { .. });
                self.use_of(lhs, place);
                self.use_of(rhs, place);
            }
            Ast::Condition { predicate, then, .. } => {
                self.use_of(predicate, place);
                self.use_of(then, place);
            }
            Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => self.use_of(node, place),
            // What is projected is a list, and its items are neither the scope nor its steps.
            Ast::Projection { lhs, rhs, .. } => {
                self.use_of(lhs, place);
                self.use_of(rhs, Place::Within);
            }
            Ast::MultiList { elements, .. } => elements.iter().for_each(|element| self.use_of(element, place)),
            Ast::MultiHash { elements, .. } => elements.iter().for_each(|element| self.use_of(&element.value, place)),
            Ast::Function { name, args, .. } => {
                self.functions.insert(name.clone());
                self.alternatives |= name == "not_null";
                args.iter().for_each(|argument| self.use_of(argument, place));
            }
            Ast::Expref { ast, .. } => self.use_of(ast, Place::Within),
        }
        Place::Within
    }

    /// Walks a part whose whole value is used.
    fn use_of(&mut self, tree: &Ast, place: Place) {
        match self.walk(tree, place) {
            Place::Scope => self.everything = true,
            Place::Steps => self.all_steps = true,
            Place::Within => {}
        }
    }

    fn field(&mut self, name: &str, place: Place) -> Place {
        match place {
            Place::Scope => {
                self.names.insert(name.to_owned());
                if name == "steps" { Place::Steps } else { Place::Within }
            }
            Place::Steps => {
                self.steps.insert(name.to_owned());
                Place::Within
            }
            Place::Within => Place::Within,
        }
    }
}
