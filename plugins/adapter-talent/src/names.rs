//! Names of members, as callers write them and as services in Python do.

use serde_json::Value;

/// The same value with every name in snake_case: `userProfile` becomes `user_profile`.
pub(crate) fn in_snake_case(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (snake_case(name), in_snake_case(value))).collect(),
        Value::Array(items) => items.iter().map(in_snake_case).collect(),
        other => other.clone(),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_change_and_values_do_not() {
        let input =
            json!({ "userProfile": { "yearsOfExperience": 7 }, "jobPostings": [{ "requiredSkills": ["TypeScript"] }], "as_of": "x" });
        let expected =
            json!({ "user_profile": { "years_of_experience": 7 }, "job_postings": [{ "required_skills": ["TypeScript"] }], "as_of": "x" });
        assert_eq!(in_snake_case(&input), expected);
    }
}
