use jmespath::ast::Ast;
use proptest::prelude::*;
use serde_json::json;

use super::{scope, value};
use crate::expression::{Expression, ExpressionError, nesting};

/// Texts that make a parser or a tree as deep as they are long.
fn deep(times: usize) -> Vec<String> {
    let fill = |open: &str, core: &str, close: &str| format!("{}{core}{}", open.repeat(times), close.repeat(times));
    vec![
        fill("(", "a", ")"),
        fill("[", "a", "]"),
        fill("{a:", "a", "}"),
        fill("!", "a", ""),
        fill("&", "a", ""),
        fill("& ", "a", ""),
        fill("a.", "a", ""),
        fill("@|", "a", ""),
        fill("a||", "a", ""),
        fill("a&&", "a", ""),
        fill("a==", "a", ""),
        fill("a<", "a", ""),
        fill("*.", "*", ""),
        fill("", "a", "[0]"),
        fill("", "a", "[*]"),
        fill("", "a", "[]"),
        fill("", "a", "[?b]"),
        fill("a[?", "b", "]"),
        fill("", "a", "[1:]"),
        fill("f(", "a", ")"),
        fill("map(&", "a", ",b)"),
        fill("[a,", "a", "]"),
        fill("a.[", "b", "]"),
        fill("a.{b:", "b", "}"),
    ]
}

#[test]
fn nesting_is_bounded_on_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        for text in deep(Expression::MAX_NESTING + 1) {
            assert_eq!(Expression::parse(&text).unwrap_err(), ExpressionError::TooDeep, "{text}");
        }
        for times in [1000, 2000, 4000] {
            for text in deep(times).into_iter().flat_map(|text| [text.clone(), text[..times].to_owned()]) {
                assert!(Expression::parse(&text[..text.len().min(Expression::MAX_BYTES)]).is_err());
            }
        }
        // What is just shallow enough is read, evaluated and dropped.
        let mut read = 0;
        for text in (20..=Expression::MAX_NESTING).flat_map(deep) {
            if let Ok(expression) = Expression::parse(&text) {
                read += 1;
                let _ = expression.evaluate(&scope());
            }
        }
        assert!(read > 500, "{read}");
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn what_stands_beside_each_other_is_not_nested() {
    let fields: Vec<String> = (0..120).map(|at| format!("f{at}: steps.extract_text.text")).collect();
    assert_eq!(value(&format!("{{{}}}", fields.join(", "))).as_object().unwrap().len(), 120);
    assert_eq!(value(&format!("'{}'", "((((".repeat(200))), json!("((((".repeat(200)));
}

fn depth(tree: &Ast) -> usize {
    let parts: Vec<&Ast> = match tree {
        Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => vec![lhs, rhs],
        Ast::Subexpr { lhs, rhs, .. } | Ast::Projection { lhs, rhs, .. } => vec![lhs, rhs],
        Ast::Condition { predicate, then, .. } => vec![predicate, then],
        Ast::Expref { ast, .. } => vec![ast],
        Ast::Not { node, .. } | Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => vec![node],
        Ast::Function { args, .. } => args.iter().collect(),
        Ast::MultiList { elements, .. } => elements.iter().collect(),
        Ast::MultiHash { elements, .. } => elements.iter().map(|element| &element.value).collect(),
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Literal { .. } | Ast::Slice { .. } => vec![],
    };
    1 + parts.into_iter().map(depth).max().unwrap_or(0)
}

/// Expressions that can be read, mostly.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["a", "@", "'('", "`[[1]]`", "\"b[\"", "*"]).prop_map(str::to_owned);
    leaf.prop_recursive(12, 60, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        let operators = prop::sample::select(vec![".", "|", "||", "&&", "==", "<=", " | "]);
        prop_oneof![
            (pair.clone(), operators).prop_map(|((a, b), operator)| format!("{a}{operator}{b}")),
            (inner.clone(), prop::sample::select(vec!["[0]", "[*]", "[]", "[1:2]", "[::-1]", ".*", "[*].c"]))
                .prop_map(|(a, end)| format!("{a}{end}")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("({a})")),
            pair.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            pair.clone().prop_map(|(a, b)| format!("{{k: {a}, l: {b}}}")),
            pair.clone().prop_map(|(a, b)| format!("{a}[?{b}]")),
            pair.prop_map(|(a, b)| format!("map(&{a}, {b})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]
    #[test]
    fn no_tree_is_deeper_than_was_found_before_it_was_read(text in expressions()) {
        if let Ok(tree) = jmespath::parse(&text) {
            // A projection holds a condition or a list of values of its own, so that a bracket may be two levels.
            prop_assert!(depth(&tree) <= 1 + 2 * nesting::of(&text), "{} {}", depth(&tree), nesting::of(&text));
        }
    }
}
