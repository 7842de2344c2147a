//! Which flags are accepted.

use crate::definition::{Condition, Flag, Rule, Target, Test, Then};
use crate::error::{FlagError, Violation};

/// The longest name, in bytes.
pub const MAX_NAME_LENGTH: usize = 64;
/// The most flags of one service, declared and stored ones together.
pub const MAX_FLAGS: usize = 1000;
/// The most rules of a flag.
pub const MAX_RULES: usize = 64;
/// The most conditions of a rule.
pub const MAX_CONDITIONS: usize = 16;
/// The most values of a `one_of`.
pub const MAX_VALUES: usize = 256;
/// The longest value or attribute name, in bytes: no caller's is longer.
pub const MAX_VALUE_LENGTH: usize = breakwater_core::Caller::MAX_LENGTH;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION_LENGTH: usize = 1024;
/// The longest salt, in bytes.
pub const MAX_SALT_LENGTH: usize = 64;

/// Checks a flag's name: lower-case letters, digits and single hyphens between them, a letter first, at most [`MAX_NAME_LENGTH`] bytes.
///
/// # Errors
/// [`FlagError::Name`].
pub fn validate_name(name: &str) -> Result<(), FlagError> {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if starts && name.len() <= MAX_NAME_LENGTH && name.split('-').all(word) {
        return Ok(());
    }
    Err(FlagError::Name(name.chars().take(MAX_NAME_LENGTH).collect()))
}

/// Checks what types cannot say of a flag: ranges, lengths and counts.
///
/// # Errors
/// [`FlagError::Invalid`] with everything that is wrong with it.
pub fn validate(name: &str, flag: &Flag) -> Result<(), FlagError> {
    let mut violations = Violations::default();
    violations.rollout("/rollout", flag.rollout);
    violations.length("/description", &flag.description, 0, MAX_DESCRIPTION_LENGTH);
    if let Some(salt) = &flag.salt {
        violations.length("/salt", salt, 1, MAX_SALT_LENGTH);
    }
    violations.count("/rules", flag.rules.len(), 0, MAX_RULES);
    for (index, rule) in flag.rules.iter().enumerate().take(MAX_RULES) {
        violations.rule(&format!("/rules/{index}"), rule);
    }
    if violations.0.is_empty() {
        return Ok(());
    }
    Err(FlagError::Invalid { name: name.to_owned(), violations: violations.0 })
}

#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, pointer: String, message: String) {
        self.0.push(Violation { pointer, message });
    }

    fn rollout(&mut self, pointer: &str, rollout: u8) {
        if rollout > 100 {
            self.add(pointer.to_owned(), format!("is {rollout}; a share is from 0 to 100 percent"));
        }
    }

    fn length(&mut self, pointer: &str, text: &str, least: usize, most: usize) {
        if !(least..=most).contains(&text.len()) {
            self.add(pointer.to_owned(), format!("is {} bytes long; {least} to {most} are allowed", text.len()));
        }
    }

    fn count(&mut self, pointer: &str, count: usize, least: usize, most: usize) {
        if !(least..=most).contains(&count) {
            self.add(pointer.to_owned(), format!("has {count} entries; {least} to {most} are allowed"));
        }
    }

    fn rule(&mut self, pointer: &str, rule: &Rule) {
        // A rule without conditions would hide every rule after it and the flag's own share.
        self.count(&format!("{pointer}/when"), rule.when.len(), 1, MAX_CONDITIONS);
        for (index, condition) in rule.when.iter().enumerate().take(MAX_CONDITIONS) {
            self.condition(&format!("{pointer}/when/{index}"), condition);
        }
        if let Then::Rollout(rollout) = rule.then {
            self.rollout(&format!("{pointer}/then/rollout"), rollout);
        }
    }

    fn condition(&mut self, pointer: &str, condition: &Condition) {
        if let Target::Attribute(name) = &condition.on {
            self.length(&format!("{pointer}/on/attribute"), name, 1, MAX_VALUE_LENGTH);
        }
        match &condition.is {
            Test::Equals(value) => self.length(&format!("{pointer}/is/equals"), value, 0, MAX_VALUE_LENGTH),
            // Every text begins with the empty one.
            Test::Prefix(value) => self.length(&format!("{pointer}/is/prefix"), value, 1, MAX_VALUE_LENGTH),
            Test::OneOf(values) => {
                self.count(&format!("{pointer}/is/one_of"), values.len(), 1, MAX_VALUES);
                for (index, value) in values.iter().enumerate().take(MAX_VALUES) {
                    self.length(&format!("{pointer}/is/one_of/{index}"), value, 0, MAX_VALUE_LENGTH);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case() {
        for name in ["a", "ai-document-generation", "v2", "detect-objects-2", &"x".repeat(64)] {
            assert!(validate_name(name).is_ok(), "{name}");
        }
        for name in ["", "-", "a-", "-a", "a--b", "A", "a_b", "a.b", "2a", "é", "a b", "a\n", &"x".repeat(65)] {
            assert!(matches!(validate_name(name), Err(FlagError::Name(_))), "{name:?}");
        }
    }

    fn pointers(flag: &Flag) -> Vec<String> {
        match validate("f", flag) {
            Ok(()) => Vec::new(),
            Err(FlagError::Invalid { violations, .. }) => violations.into_iter().map(|violation| violation.pointer).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    fn with_test(is: Test) -> Flag {
        with_rule(Rule { when: vec![Condition { on: Target::Subject, is, not: false }], then: Then::On })
    }

    fn with_rule(rule: Rule) -> Flag {
        Flag { rules: vec![rule], ..Flag::on() }
    }

    #[test]
    fn each_limit_holds_and_the_value_before_it_passes() {
        let none = [] as [&str; 0];
        let condition = || Condition { on: Target::Tenant, is: Test::Equals("t".into()), not: false };
        let rule = || Rule { when: vec![condition()], then: Then::Off };
        let values = |count: usize| Test::OneOf((0..count).map(|n| n.to_string()).collect());
        let attribute =
            |name: &str| with_rule(Rule { when: vec![Condition { on: Target::Attribute(name.into()), ..condition() }], then: Then::Off });
        let cases: [(Flag, Flag, &str); 10] = [
            (Flag { rollout: 100, ..Flag::on() }, Flag { rollout: 101, ..Flag::on() }, "/rollout"),
            (Flag { description: "d".repeat(1024), ..Flag::on() }, Flag { description: "d".repeat(1025), ..Flag::on() }, "/description"),
            (Flag { salt: Some("s".repeat(64)), ..Flag::on() }, Flag { salt: Some("s".repeat(65)), ..Flag::on() }, "/salt"),
            (Flag { rules: vec![rule(); 64], ..Flag::on() }, Flag { rules: vec![rule(); 65], ..Flag::on() }, "/rules"),
            (
                with_rule(Rule { when: vec![condition(); 16], then: Then::On }),
                with_rule(Rule { when: vec![condition(); 17], then: Then::On }),
                "/rules/0/when",
            ),
            (
                with_rule(Rule { then: Then::Rollout(100), ..rule() }),
                with_rule(Rule { then: Then::Rollout(101), ..rule() }),
                "/rules/0/then/rollout",
            ),
            (attribute(&"n".repeat(256)), attribute(&"n".repeat(257)), "/rules/0/when/0/on/attribute"),
            (with_test(Test::Equals("v".repeat(256))), with_test(Test::Equals("v".repeat(257))), "/rules/0/when/0/is/equals"),
            (with_test(Test::Prefix("v".repeat(256))), with_test(Test::Prefix("v".repeat(257))), "/rules/0/when/0/is/prefix"),
            (with_test(values(256)), with_test(values(257)), "/rules/0/when/0/is/one_of"),
        ];
        for (passes, fails, pointer) in cases {
            assert_eq!(pointers(&passes), none, "{pointer}");
            assert_eq!(pointers(&fails), [pointer]);
        }
    }

    #[test]
    fn what_could_only_be_a_mistake_is_refused() {
        assert_eq!(pointers(&with_rule(Rule { when: vec![], then: Then::On })), ["/rules/0/when"]);
        assert_eq!(pointers(&with_test(Test::Prefix(String::new()))), ["/rules/0/when/0/is/prefix"]);
        assert_eq!(pointers(&with_test(Test::OneOf([].into()))), ["/rules/0/when/0/is/one_of"]);
        assert_eq!(pointers(&with_test(Test::OneOf(["v".repeat(257)].into()))), ["/rules/0/when/0/is/one_of/0"]);
        assert_eq!(pointers(&Flag { salt: Some(String::new()), ..Flag::on() }), ["/salt"]);
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let flag = Flag { rollout: 200, description: "d".repeat(2000), ..with_rule(Rule { when: vec![], then: Then::Rollout(150) }) };
        assert_eq!(pointers(&flag), ["/rollout", "/description", "/rules/0/when", "/rules/0/then/rollout"]);
    }
}
