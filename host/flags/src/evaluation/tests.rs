use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::definition::Rule;

fn subject(subject: &str) -> Caller {
    Caller { subject: Some(subject.into()), ..Caller::default() }
}

fn rollout(percent: u8) -> Flag {
    Flag { rollout: percent, ..Flag::on() }
}

/// How many of 10 000 subjects a flag is on for.
fn reached(name: &str, flag: &Flag) -> u32 {
    (0..10_000).map(|n| u32::from(evaluate(name, flag, &subject(&format!("user-{n}"))).enabled)).sum()
}

#[test]
fn a_disabled_flag_is_off_whatever_its_rules_say() {
    let rule = Rule { when: vec![Condition { on: Target::Subject, is: Test::Equals("a".into()), not: false }], then: Then::On };
    let flag = Flag { rules: vec![rule], ..Flag::off() };
    assert_eq!(evaluate("f", &flag, &subject("a")), Decision { enabled: false, reason: Reason::Disabled });
}

#[test]
fn places_never_change() {
    // A release that draws differently would move callers in and out of every running rollout.
    let places = ["user-1", "user-2", "ünal", ""].map(|name| place("ai-document-generation", &subject(name)).unwrap());
    // Computed apart from this code: SHA-256 over the parts, each after its length, the first 8 bytes as a share of 2^64.
    assert_eq!(places, [62, 12, 37, 41]);
}

#[test]
fn the_share_of_ten_thousand_subjects_is_what_was_asked() {
    for (percent, name) in [(1, "a"), (10, "b"), (25, "c"), (50, "d"), (75, "e"), (99, "f")] {
        let expected = 100.0 * f64::from(percent);
        // Four standard deviations of a binomial distribution: chance alone exceeds them once in 16 000 draws.
        let allowed = 4.0 * (expected * (1.0 - f64::from(percent) / 100.0)).sqrt();
        let found = f64::from(reached(name, &rollout(percent)));
        assert!((found - expected).abs() <= allowed, "{percent} %: {found} of 10000, {allowed:.0} off allowed");
    }
    assert_eq!((reached("a", &rollout(0)), reached("a", &rollout(100))), (0, 10_000));
}

#[test]
fn two_flags_draw_independently_unless_they_share_a_salt() {
    let salted = Flag { salt: Some("wave".into()), ..rollout(50) };
    let agreeing = |one: &Flag, other: &Flag| {
        let same = |n: &u32| {
            let caller = subject(&format!("user-{n}"));
            evaluate("one", one, &caller).enabled == evaluate("other", other, &caller).enabled
        };
        (0..10_000).filter(same).count()
    };
    assert_eq!(agreeing(&salted, &salted), 10_000);
    let by_chance = agreeing(&rollout(50), &rollout(50));
    assert!((4_800..=5_200).contains(&by_chance), "{by_chance}");
}

#[test]
fn without_a_subject_the_tenant_counts_and_without_both_only_everybody_does() {
    let tenant = |name: &str| Caller { tenant: Some(name.into()), ..Caller::default() };
    let on = (0..1_000).filter(|n| evaluate("f", &rollout(50), &tenant(&format!("t{n}"))).enabled).count();
    assert!((430..=570).contains(&on), "{on}");
    let both = |subject: &str| Caller { tenant: Some("t".into()), ..self::subject(subject) };
    for n in 0..100 {
        let name = format!("u{n}");
        assert_eq!(evaluate("f", &rollout(50), &both(&name)), evaluate("f", &rollout(50), &subject(&name)));
    }
    let nobody = Caller::default();
    assert_eq!([0, 1, 99, 100].map(|percent| evaluate("f", &rollout(percent), &nobody).enabled), [false, false, false, true]);
    // A tenant is not the subject of the same name.
    assert!((0..100).any(|n| place("f", &tenant(&format!("x{n}"))) != place("f", &subject(&format!("x{n}")))));
}

#[test]
fn conditions_look_at_subject_tenant_and_attributes() {
    let caller = Caller {
        subject: Some("test-7".into()),
        tenant: Some("acme".into()),
        attributes: BTreeMap::from([("plan".to_owned(), "pro".to_owned())]),
    };
    let plan = || Target::Attribute("plan".into());
    let cases = [
        (Target::Subject, Test::Equals("test-7".into()), true),
        (Target::Subject, Test::Equals("Test-7".into()), false),
        (Target::Subject, Test::Prefix("test-".into()), true),
        (Target::Subject, Test::Prefix("test-77".into()), false),
        (Target::Tenant, Test::OneOf(["globex".into(), "acme".into()].into()), true),
        (Target::Tenant, Test::OneOf(["globex".into()].into()), false),
        (plan(), Test::Equals("pro".into()), true),
        (plan(), Test::Equals(String::new()), false),
        (Target::Attribute("country".into()), Test::Equals(String::new()), false),
    ];
    for (on, is, expected) in cases {
        for not in [false, true] {
            let condition = Condition { on: on.clone(), is: is.clone(), not };
            assert_eq!(holds(&condition, &caller), expected != not, "{condition:?}");
        }
    }
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let condition = |on, value: &str| Condition { on, is: Test::Equals(value.into()), not: false };
    let rule = Rule { when: vec![condition(Target::Subject, "a"), condition(Target::Tenant, "t")], then: Then::On };
    let flag = Flag { rules: vec![rule], ..rollout(0) };
    let caller = Caller { tenant: Some("t".into()), ..subject("a") };
    assert_eq!(evaluate("f", &flag, &caller), Decision { enabled: true, reason: Reason::Rule(0) });
    assert_eq!(evaluate("f", &flag, &subject("a")), Decision { enabled: false, reason: Reason::Rollout });
}

fn callers() -> impl Strategy<Value = Caller> {
    let few = || proptest::option::of(prop_oneof!["[ab]{0,2}", ".{0,8}"]);
    (few(), few(), few()).prop_map(|(subject, tenant, plan)| Caller {
        subject,
        tenant,
        attributes: plan.map(|plan| ("plan".to_owned(), plan)).into_iter().collect(),
    })
}

fn conditions() -> impl Strategy<Value = Condition> {
    let on = prop_oneof![Just(Target::Subject), Just(Target::Tenant), Just(Target::Attribute("plan".into()))];
    let text = || "[ab]{0,2}";
    let is = prop_oneof![
        text().prop_map(Test::Equals),
        "[ab]{1,2}".prop_map(Test::Prefix),
        proptest::collection::btree_set(text(), 1..4).prop_map(Test::OneOf),
    ];
    (on, is, any::<bool>()).prop_map(|(on, is, not)| Condition { on, is, not })
}

fn flags() -> impl Strategy<Value = Flag> {
    let then = prop_oneof![Just(Then::On), Just(Then::Off), (0..=100u8).prop_map(Then::Rollout)];
    let rule = (proptest::collection::vec(conditions(), 1..3), then).prop_map(|(when, then)| Rule { when, then });
    let salt = proptest::option::of("[a-c]{1,3}");
    (prop::bool::weighted(0.9), 0..=100u8, proptest::collection::vec(rule, 0..5), salt).prop_map(|(enabled, rollout, rules, salt)| Flag {
        enabled,
        rollout,
        rules,
        salt,
        ..Flag::on()
    })
}

proptest! {
    #[test]
    fn the_same_caller_gets_the_same_answer_also_from_a_copy(flag in flags(), caller in callers()) {
        let copy: Flag = serde_json::from_str(&serde_json::to_string(&flag).unwrap()).unwrap();
        prop_assert_eq!(evaluate("f", &flag, &caller), evaluate("f", &copy, &caller.clone()));
    }

    #[test]
    fn raising_the_share_turns_nobody_off(flag in flags(), caller in callers(), more in 0..=100u8) {
        let raise = |percent: u8| percent.max(more);
        let mut raised = flag.clone();
        raised.rollout = raise(raised.rollout);
        for rule in &mut raised.rules {
            if let Then::Rollout(percent) = &mut rule.then {
                *percent = raise(*percent);
            }
        }
        prop_assert!(evaluate("f", &flag, &caller).enabled <= evaluate("f", &raised, &caller).enabled);
    }

    #[test]
    fn the_first_rule_that_matches_decides(flag in flags(), caller in callers()) {
        let decision = evaluate("f", &flag, &caller);
        let matches = |rule: &Rule| rule.when.iter().all(|condition| holds(condition, &caller));
        match decision.reason {
            Reason::Unknown => prop_assert!(false, "the flag is there"),
            Reason::Disabled => prop_assert!(!flag.enabled && !decision.enabled),
            Reason::Rule(index) => {
                prop_assert!(flag.enabled && matches(&flag.rules[index]));
                prop_assert!(!flag.rules[..index].iter().any(matches));
                match flag.rules[index].then {
                    Then::On => prop_assert!(decision.enabled),
                    Then::Off => prop_assert!(!decision.enabled),
                    Then::Rollout(percent) => {
                        let alone = Flag { rollout: percent, rules: vec![], ..flag.clone() };
                        prop_assert_eq!(decision.enabled, evaluate("f", &alone, &caller).enabled);
                    }
                }
            }
            Reason::Rollout => {
                prop_assert!(flag.enabled && !flag.rules.iter().any(matches));
                let alone = Flag { rules: vec![], ..flag.clone() };
                prop_assert_eq!(decision.enabled, evaluate("f", &alone, &caller).enabled);
            }
        }
    }

    #[test]
    fn attributes_that_no_rule_names_change_nothing(flag in flags(), caller in callers(), value in ".{0,5}") {
        let mut other = caller.clone();
        other.attributes.insert("colour".into(), value);
        prop_assert_eq!(evaluate("f", &flag, &caller), evaluate("f", &flag, &other));
    }
}
