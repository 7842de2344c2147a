//! Filters as conditions of SQL. What a caller gave is always a parameter, never part of the text.

use std::collections::BTreeMap;

use breakwater_search::Filter;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::text::kept;

/// ` WHERE …`, or nothing when the filter admits everything. Parameters are numbered from `first`; [`bind`] gives them in that order.
pub(crate) fn condition(filter: &Filter, first: usize) -> String {
    let mut conditions = Vec::with_capacity(3);
    let place = |conditions: &[String]| first + conditions.len();
    if !filter.categories.is_empty() {
        conditions.push(format!("category = ANY(${})", place(&conditions)));
    }
    if !filter.attributes.is_empty() {
        conditions.push(format!("attributes @> ${}::jsonb", place(&conditions)));
    }
    if filter.min_quality.is_some() {
        conditions.push(format!("quality >= ${}", place(&conditions)));
    }
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

/// Gives a statement the parameters of [`condition`].
pub(crate) fn bind<'q>(mut statement: Query<'q, Postgres, PgArguments>, filter: &Filter) -> Query<'q, Postgres, PgArguments> {
    if !filter.categories.is_empty() {
        statement = statement.bind(filter.categories.iter().map(|category| kept(category).into_owned()).collect::<Vec<_>>());
    }
    if !filter.attributes.is_empty() {
        statement = statement.bind(document(&filter.attributes));
    }
    if let Some(least) = filter.min_quality {
        statement = statement.bind(least);
    }
    statement
}

/// How many parameters [`condition`] takes.
pub(crate) fn parameters(filter: &Filter) -> usize {
    usize::from(!filter.categories.is_empty()) + usize::from(!filter.attributes.is_empty()) + usize::from(filter.min_quality.is_some())
}

/// Attributes as a JSON object.
pub(crate) fn document(attributes: &BTreeMap<String, String>) -> String {
    let members = attributes.iter().map(|(name, value)| (kept(name).into_owned(), kept(value).into_owned().into()));
    serde_json::Value::Object(members.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_depends_on_the_shape_of_a_filter_only() {
        let evil = "'; DROP TABLE spaces; --".to_owned();
        let filter = Filter { categories: vec![evil.clone()], attributes: [(evil.clone(), evil)].into(), min_quality: Some(0.5) };
        assert_eq!(condition(&filter, 2), " WHERE category = ANY($2) AND attributes @> $3::jsonb AND quality >= $4");
        assert_eq!(parameters(&filter), 3);
        assert_eq!(condition(&Filter { min_quality: Some(0.1), ..Filter::default() }, 1), " WHERE quality >= $1");
        assert_eq!((condition(&Filter::default(), 1), parameters(&Filter::default())), (String::new(), 0));
    }
}
