//! Evaluates the tree of an expression with bounded work.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jmespath::ast::{Ast, Comparator};
use jmespath::{Rcvar, Variable};

use super::equality::{compare, equal};
use super::{ExpressionError, functions};

type Evaluated = Result<Rcvar, ExpressionError>;

/// Evaluates one expression once.
pub(super) struct Interpreter<'a> {
    text: &'a str,
    /// What may still be done: a unit is an element of a list or a byte that is looked at.
    work: u64,
}

/// What one evaluation may do: enough to look at each of 100 000 items with twenty operators, and about a fifth of a second.
const WORK: u64 = 16 << 20;
/// What it takes to look at a part of the tree once; it may make a value.
const VISIT: u64 = 8;

impl<'a> Interpreter<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, work: WORK }
    }

    /// The text of the expression.
    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// Takes from what may still be done.
    pub(super) fn spend(&mut self, units: u64) -> Result<(), ExpressionError> {
        self.work = self.work.checked_sub(units).ok_or(ExpressionError::TooMuchWork)?;
        Ok(())
    }

    /// Whether two values are the same.
    pub(super) fn equal(&mut self, left: &Variable, right: &Variable) -> Result<bool, ExpressionError> {
        let mut looked = 0;
        let answer = equal(left, right, &mut looked, self.work);
        self.spend(looked)?;
        answer.ok_or(ExpressionError::TooMuchWork)
    }

    /// The value of a part of the tree, applied to `data`. Recurses as deep as the tree, which the parser's check bounds.
    pub(super) fn evaluate(&mut self, data: &Rcvar, tree: &Ast) -> Evaluated {
        self.spend(VISIT)?;
        match tree {
            Ast::Identity { .. } => Ok(Arc::clone(data)),
            Ast::Field { name, .. } => Ok(data.get_field(name)),
            Ast::Literal { value, .. } => Ok(Arc::clone(value)),
            Ast::Index { idx, .. } => Ok(index(data, *idx)),
            Ast::Slice { start, stop, step, .. } => self.slice(data, *start, *stop, *step),
            Ast::Subexpr { lhs, rhs, .. } => {
                let left = self.evaluate(data, lhs)?;
                self.evaluate(&left, rhs)
            }
            Ast::Or { lhs, rhs, .. } => {
                let left = self.evaluate(data, lhs)?;
                if left.is_truthy() { Ok(left) } else { self.evaluate(data, rhs) }
            }
            Ast::And { lhs, rhs, .. } => {
                let left = self.evaluate(data, lhs)?;
                if left.is_truthy() { self.evaluate(data, rhs) } else { Ok(left) }
            }
            Ast::Not { node, .. } => Ok(boolean(!self.evaluate(data, node)?.is_truthy())),
            Ast::Condition { predicate, then, .. } => {
                if self.evaluate(data, predicate)?.is_truthy() {
                    self.evaluate(data, then)
                } else {
                    Ok(null())
                }
            }
            Ast::Comparison { comparator, lhs, rhs, .. } => {
                let left = self.evaluate(data, lhs)?;
                let right = self.evaluate(data, rhs)?;
                self.compare(comparator, &left, &right)
            }
            Ast::ObjectValues { node, .. } => match &*self.evaluate(data, node)? {
                Variable::Object(fields) => self.list(fields.values()),
                _ => Ok(null()),
            },
            Ast::Projection { lhs, rhs, .. } => self.project(data, lhs, rhs),
            Ast::Flatten { node, .. } => self.flatten(data, node),
            Ast::MultiList { elements, .. } => {
                if data.is_null() {
                    return Ok(null());
                }
                let items = elements.iter().map(|element| self.evaluate(data, element)).collect::<Result<_, _>>()?;
                Ok(Rcvar::new(Variable::Array(items)))
            }
            Ast::MultiHash { elements, .. } => {
                if data.is_null() {
                    return Ok(null());
                }
                let mut fields = BTreeMap::new();
                for element in elements {
                    fields.insert(element.key.clone(), self.evaluate(data, &element.value)?);
                }
                Ok(Rcvar::new(Variable::Object(fields)))
            }
            Ast::Function { name, args, .. } => {
                let arguments: Vec<Rcvar> = args.iter().map(|argument| self.evaluate(data, argument)).collect::<Result<_, _>>()?;
                functions::call(self, name, &arguments)
            }
            Ast::Expref { ast, .. } => Ok(Rcvar::new(Variable::Expref((**ast).clone()))),
        }
    }

    fn list<'v>(&mut self, values: impl ExactSizeIterator<Item = &'v Rcvar>) -> Evaluated {
        self.spend(values.len() as u64)?;
        Ok(Rcvar::new(Variable::Array(values.map(Arc::clone).collect())))
    }

    fn project(&mut self, data: &Rcvar, of: &Ast, each: &Ast) -> Evaluated {
        let projected = self.evaluate(data, of)?;
        let Variable::Array(items) = &*projected else { return Ok(null()) };
        let mut collected = Vec::new();
        for item in items {
            let value = self.evaluate(item, each)?;
            if !value.is_null() {
                collected.push(value);
            }
        }
        Ok(Rcvar::new(Variable::Array(collected)))
    }

    fn flatten(&mut self, data: &Rcvar, node: &Ast) -> Evaluated {
        let list = self.evaluate(data, node)?;
        let Variable::Array(items) = &*list else { return Ok(null()) };
        let mut collected = Vec::new();
        for item in items {
            match &**item {
                Variable::Array(inner) => {
                    self.spend(1 + inner.len() as u64)?;
                    collected.extend(inner.iter().map(Arc::clone));
                }
                _ => {
                    self.spend(1)?;
                    collected.push(Arc::clone(item));
                }
            }
        }
        Ok(Rcvar::new(Variable::Array(collected)))
    }

    fn slice(&mut self, data: &Rcvar, start: Option<i32>, stop: Option<i32>, step: i32) -> Evaluated {
        if step == 0 {
            return Err(ExpressionError::Failed { message: "the step of a slice is 0".to_owned() });
        }
        let Variable::Array(items) = &**data else { return Ok(null()) };
        self.spend(items.len() as u64)?;
        let length = items.len() as i64;
        let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let place = |asked: i32| {
            let asked = i64::from(asked);
            (if asked < 0 { asked + length } else { asked }).clamp(lowest, highest)
        };
        let (first, end) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
        let (mut at, end) = (start.map_or(first, place), stop.map_or(end, place));
        let mut collected = Vec::new();
        while (step > 0 && at < end) || (step < 0 && at > end) {
            collected.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).map(Arc::clone));
            at += i64::from(step);
        }
        Ok(Rcvar::new(Variable::Array(collected)))
    }

    fn compare(&mut self, comparator: &Comparator, left: &Variable, right: &Variable) -> Evaluated {
        let order = match (comparator, left, right) {
            (Comparator::Equal, ..) => return Ok(boolean(self.equal(left, right)?)),
            (Comparator::NotEqual, ..) => return Ok(boolean(!self.equal(left, right)?)),
            (_, Variable::Number(left), Variable::Number(right)) => compare(left, right),
            _ => return Ok(null()),
        };
        Ok(boolean(match comparator {
            Comparator::LessThan => order == Ordering::Less,
            Comparator::LessThanEqual => order != Ordering::Greater,
            Comparator::GreaterThan => order == Ordering::Greater,
            Comparator::GreaterThanEqual => order != Ordering::Less,
            Comparator::Equal | Comparator::NotEqual => order == Ordering::Equal,
        }))
    }
}

/// Nothing.
pub(super) fn null() -> Rcvar {
    Rcvar::new(Variable::Null)
}

/// Yes or no.
pub(super) fn boolean(value: bool) -> Rcvar {
    Rcvar::new(Variable::Bool(value))
}

fn index(data: &Variable, index: i32) -> Rcvar {
    let Variable::Array(items) = data else { return null() };
    let place = usize::try_from(index).ok().or_else(|| items.len().checked_sub(index.unsigned_abs() as usize));
    place.and_then(|place| items.get(place)).map_or_else(null, Arc::clone)
}
