mod deep;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Expression, ExpressionError, Scope};

fn scope() -> Scope {
    let context = BTreeMap::from([("project_id".to_owned(), json!("456"))]);
    Scope::new(&json!({"url": "u", "count": 3, "items": [{"n": 2, "s": "b"}, {"n": 1, "s": "a"}, {"n": 3, "s": "c"}]}), &context)
        .with_step("extract-text", &json!({"text": "hello"}))
        .with_step("score", &json!({"value": 0.5}))
        .with_previous(&json!({"text": "hello"}))
}

fn evaluated(text: &str) -> Result<Value, ExpressionError> {
    Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&scope())
}

fn value(text: &str) -> Value {
    evaluated(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn input_context_previous_and_steps_are_seen() {
    assert_eq!(value("{a: input.url, b: context.project_id, c: previous.text}"), json!({"a": "u", "b": "456", "c": "hello"}));
    assert_eq!(value("steps.score.value"), json!(0.5));
    assert_eq!(value("steps.absent.value"), Value::Null);
    assert_eq!(value("item"), Value::Null);
    let within = scope().with_item(&json!({"n": 7}), 4);
    let item = Expression::parse("[item.n, index, previous.n, input.count]").unwrap();
    assert_eq!(item.evaluate(&within).unwrap(), json!([7, 4, 7, 3]));
}

#[test]
fn an_id_with_a_hyphen_may_be_quoted_or_written_with_an_underscore() {
    assert_eq!(value("steps.\"extract-text\".text"), json!("hello"));
    assert_eq!(value("steps.extract_text.text"), json!("hello"));
    assert_eq!(value("steps.{a: extract_text.text, b: score.value}"), json!({"a": "hello", "b": 0.5}));
    assert_eq!(value("steps | extract_text"), json!({"text": "hello"}));
    assert_eq!(value("@.steps.extract_text.text"), json!("hello"));
    assert_eq!(value("keys(steps)"), json!(["extract-text", "score"]));
    assert_eq!(value("steps.*.text"), json!(["hello"]));
    assert_eq!(value("keys(@)"), json!(["context", "input", "previous", "steps"]));
}

#[test]
fn a_clone_does_not_see_what_another_adds_and_the_last_visit_counts() {
    let before = scope();
    let mut scopes = vec![before.clone()];
    for visit in 0..100 {
        let last = scopes.last().unwrap().clone();
        scopes.push(last.with_step("loop", &json!(visit)).with_step(&format!("s{visit}"), &json!(visit)));
    }
    let seen = Expression::parse("[steps.loop, steps.score.value, length(keys(steps))]").unwrap();
    assert_eq!(seen.evaluate(&before).unwrap(), json!([null, 0.5, 2]));
    for (visits, scope) in scopes.iter().enumerate().skip(1) {
        assert_eq!(seen.evaluate(scope).unwrap(), json!([visits - 1, 0.5, 3 + visits]));
    }
}

#[test]
fn numbers_stay_what_they_are() {
    let input =
        json!({"u": u64::MAX, "i": i64::MIN, "f": 0.1, "whole": 2.0, "a": 9_007_199_254_740_993_u64, "b": 9_007_199_254_740_992_u64});
    let scope = Scope::new(&input, &BTreeMap::new());
    let value = |text: &str| Expression::parse(text).unwrap().evaluate(&scope).unwrap();
    assert_eq!(value("input"), input);
    assert_eq!(value("input").to_string(), input.to_string());
    assert_eq!(value("input.a == input.b"), json!(false), "floating point knows no difference between them");
    assert_eq!(value("input.a > input.b"), json!(true));
    assert_eq!(value("input.whole == `2`"), json!(true));
    assert_eq!(value("`18446744073709551615`"), json!(u64::MAX));
    assert_eq!(value("sum(`[1, 2]`)").to_string(), "3");
    assert_eq!(value("sum(`[1, 2.5]`)").to_string(), "3.5");
    assert_eq!(value("abs(`-9007199254740993`)").to_string(), "9007199254740993");
    assert_eq!(value("[ceil(`1.2`), floor(`1.8`), floor(`7`)]").to_string(), "[2,1,7]");
    assert_eq!(value("floor(`1e300`)"), json!(1e300));
    assert_eq!(value("contains(`[9007199254740993]`, `9007199254740992`)"), json!(false));
}

#[test]
fn it_is_jmespath() {
    for (text, expected) in [
        ("input.items[?n > `1`].s", json!(["b", "c"])),
        ("input.items[0].s", json!("b")),
        ("input.items[-1].s", json!("c")),
        ("input.items[-4]", Value::Null),
        ("input.items[::-1].n", json!([3, 1, 2])),
        ("input.items[1:].n", json!([1, 3])),
        ("input.items[:-1].n", json!([2, 1])),
        ("input.items[0:100:2147483647].n", json!([2])),
        ("input.items[5:0:-2147483647].n", json!([3])),
        ("sort_by(input.items, &n)[*].s", json!(["a", "b", "c"])),
        ("max_by(input.items, &n).s", json!("c")),
        ("min_by(input.items, &s).n", json!(1)),
        ("max_by(`[]`, &s)", Value::Null),
        ("map(&n, input.items)", json!([2, 1, 3])),
        (
            "[[1, 2], [3], 4][]".replace('1', "`1`").replace('2', "`2`").replace('3', "`3`").replace('4', "`4`").as_str(),
            json!([1, 2, 3, 4]),
        ),
        ("input.items[].n | sum(@)", json!(6)),
        ("input.absent || 'other'", json!("other")),
        ("input.url && input.count", json!(3)),
        ("!(input.absent)", json!(true)),
        ("!input", json!(false)),
        ("!input | to_string(@)", json!("false")),
        ("input.url < `3`", Value::Null),
        ("input.{a: url}", json!({"a": "u"})),
        ("input.absent.{a: url}", Value::Null),
        ("join('-', input.items[*].s)", json!("b-a-c")),
        ("contains(input.url, 'u')", json!(true)),
        ("to_number('12')", json!(12)),
        ("to_number('[1]')", Value::Null),
        ("to_string(input.items[0])", json!("{\"n\":2,\"s\":\"b\"}")),
        ("merge(input.items[0], {n: `9`})", json!({"n": 9, "s": "b"})),
        ("type(index)", json!("null")),
        ("input.items[0] == `{\"s\": \"b\", \"n\": 2}`", json!(true)),
        ("input.items[0] != input.items[1]", json!(true)),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn truth_is_jmespaths() {
    for (text, expected) in [
        ("`false`", false),
        ("`null`", false),
        ("''", false),
        ("`[]`", false),
        ("`{}`", false),
        ("input.absent", false),
        ("`0`", true),
        ("'false'", true),
        ("input.count > `2`", true),
    ] {
        assert_eq!(Expression::parse(text).unwrap().holds(&scope()).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_it_mentions_is_known_before_it_is_evaluated() {
    let mentions = |text: &str| Expression::parse(text).unwrap().mentions().clone();
    let of = mentions("{a: steps.\"extract-text\".text, b: input.steps.no, c: length(steps.score.list[?a == steps.never])}");
    assert_eq!(of.steps.iter().map(String::as_str).collect::<Vec<_>>(), ["extract-text", "score"]);
    assert_eq!(of.names.iter().map(String::as_str).collect::<Vec<_>>(), ["input", "steps"]);
    assert_eq!(of.functions.iter().map(String::as_str).collect::<Vec<_>>(), ["length"]);
    assert!(!of.all_steps && !of.everything);
    assert!(mentions("steps").all_steps);
    assert!(mentions("steps.*").all_steps);
    assert!(mentions("[steps, input]").all_steps);
    assert!(mentions("(steps || input).a").all_steps);
    assert!(mentions("@").everything);
    assert!(mentions("to_string(@)").everything);
    assert!(!mentions("input.list[*].steps.x").all_steps);
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    let wrong = |text: &str| Expression::parse(text).unwrap_err();
    assert_eq!(
        wrong("input."),
        ExpressionError::Syntax { position: 7, message: "expected identifier, '*', '{', '[', '&', or '[?' but found the end".to_owned() }
    );
    for text in ["", "a b", "'open", "`{`", "a[", "a[?b", "{a}", "a = b", "-", "€", "a..b", "[1:2:3:4]", "a[99999999999]"] {
        assert!(matches!(wrong(text), ExpressionError::Syntax { .. }), "{text}");
    }
    assert!(wrong("!input.absent").to_string().contains("write `!(a.b)`"));
    assert!(wrong("input.list[?!a.b.c]").to_string().contains("write `!(a.b)`"));
    assert_eq!(wrong("lenght(input)"), ExpressionError::UnknownFunction { name: "lenght".to_owned(), close: Some("length".to_owned()) });
    assert_eq!(wrong("lenght(input)").to_string(), "there is no function `lenght`; is `length` meant?");
}

#[test]
fn a_function_that_gets_what_it_cannot_take_says_so() {
    for text in [
        "length(input.count)",
        "sort_by(input.items, &@)",
        "map(input, input.items)",
        "sum(input.items)",
        "avg(`[]`)",
        "join(`1`, input.items)",
        "abs()",
        "input.items[::0]",
        "&input",
    ] {
        assert!(matches!(evaluated(text), Err(ExpressionError::Failed { .. })), "{text}");
    }
    assert_eq!(
        evaluated("length(input.count)").unwrap_err().to_string(),
        "the expression failed: length: Argument 0 expects type array|object|string, given number"
    );
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let fits = format!("'{}'", "a".repeat(Expression::MAX_BYTES - 2));
    assert_eq!(value(&fits).as_str().unwrap().len(), Expression::MAX_BYTES - 2);
    assert_eq!(Expression::parse(&format!("{fits} ")).unwrap_err(), ExpressionError::TooLong { length: Expression::MAX_BYTES + 1 });
}

#[test]
fn a_result_is_bounded() {
    let scope = Scope::new(&json!("x".repeat(Expression::MAX_RESULT / 2 - 4)), &BTreeMap::new());
    let twice = Expression::parse("[input, input]").unwrap();
    assert_eq!(twice.evaluate(&scope).unwrap().to_string().len(), Expression::MAX_RESULT - 1);
    let larger = Expression::parse("[input, input, `1`]").unwrap();
    assert_eq!(larger.evaluate(&scope).unwrap_err(), ExpressionError::TooLarge { limit: Expression::MAX_RESULT });
    assert!(larger.holds(&scope).unwrap());
    let doubled = vec!["[@,@]"; 40].join("|");
    assert_eq!(evaluated(&doubled).unwrap_err(), ExpressionError::TooLarge { limit: Expression::MAX_RESULT });
}

#[test]
fn a_result_is_not_nested_deeper_than_a_journal_can_be_read() {
    let deep = |levels: usize| (0..levels).fold(json!(1), |value, _| json!([value]));
    let bare = Expression::parse("input").unwrap();
    let limit = Expression::MAX_RESULT_DEPTH;
    assert_eq!(bare.evaluate(&Scope::new(&deep(limit), &BTreeMap::new())).unwrap(), deep(limit));
    assert_eq!(bare.evaluate(&Scope::new(&deep(limit + 1), &BTreeMap::new())).unwrap_err(), ExpressionError::ResultTooDeep { limit });
}

#[test]
fn work_is_bounded_whatever_grows() {
    let doubled = |with: &str| format!("{}|{with}", vec!["[@,@]"; 40].join("|"));
    let spread = |with: &str| format!("{}|{with}", vec!["[@,@][]"; 30].join("|"));
    for text in [
        doubled("to_string(@)"),
        doubled("[to_array(@), to_array(@)] | [0] == [[@[1][0], @[1][1]], `1`] "),
        spread("length(@)"),
        spread("[?@ == @]"),
        "join(to_string(input), input.list)".to_owned(),
        "input.list[*].[length($list[*]), @]".replace("$list", "@"),
        "map(&map(&map(&@, @), @), [input.list])".to_owned(),
    ] {
        let list: Vec<Value> = (0..50_000).map(|_| json!("")).collect();
        let scope = Scope::new(&json!({"list": list, "text": "x".repeat(10_000)}), &BTreeMap::new());
        let evaluated = Expression::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&scope);
        assert!(!matches!(&evaluated, Err(ExpressionError::TooLarge { .. })), "{text}");
    }
    let list: Vec<Value> = (0..50_000).map(|_| json!("")).collect();
    let scope = Scope::new(&json!({"list": list, "text": "x".repeat(10_000)}), &BTreeMap::new());
    for text in [doubled("to_string(@)"), spread("length(@)"), "join(input.text, input.list)".to_owned()] {
        assert_eq!(Expression::parse(&text).unwrap().evaluate(&scope).unwrap_err(), ExpressionError::TooMuchWork, "{text}");
    }
}

#[test]
fn a_large_list_may_be_filtered() {
    let items: Vec<Value> = (0..100_000).map(|n| json!({"n": n, "kind": if n % 2 == 0 { "even" } else { "odd" }})).collect();
    let scope = Scope::new(&json!(items), &BTreeMap::new());
    let filtered = Expression::parse("length(input[?kind == 'even' && n < `1000`].n)").unwrap();
    assert_eq!(filtered.evaluate(&scope).unwrap(), json!(500));
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON", |number| number.is_finite()).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..6).prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_comes_through_unchanged(input in json_values()) {
        let scope = Scope::new(&input, &BTreeMap::new()).with_step("a-b", &input);
        for text in ["input", "steps.a_b", "previous"] {
            prop_assert_eq!(&Expression::parse(text).unwrap().evaluate(&scope).unwrap(), &input);
        }
    }

    #[test]
    fn the_size_of_a_result_is_that_of_its_json(input in json_values()) {
        let variable = super::variable::from_value(&input);
        let size = input.to_string().len();
        prop_assert_eq!(super::variable::to_value(&variable, size, 100).unwrap(), input);
        prop_assert!(super::variable::to_value(&variable, size - 1, 100).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"[ab0-9@.*\[\]{}()|&!=<>?:,'"`\\ -]{0,40}"#, input in json_values()) {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.evaluate(&Scope::new(&input, &BTreeMap::new()));
            let _ = expression.holds(&Scope::new(&input, &BTreeMap::new()));
        }
    }
}
