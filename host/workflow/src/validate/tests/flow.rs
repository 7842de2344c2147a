use serde_json::{Value, json};

use super::{errors, places};

#[test]
fn steps_that_lead_nowhere_are_told_with_what_was_meant() {
    let problems = errors(&[
        json!({"id": "fetch", "next": "analyse", "fallback": {"next": "rescue"}}),
        json!({"id": "analyze", "type": "choice", "choices": [{"when": "input", "next": "analyze"}, {"when": "input", "next": "inner"}], "next": "m"}),
        json!({"id": "m", "type": "map", "steps": [{"id": "inner", "service": "s", "action": "a", "next": "analyze"}]}),
    ]);
    assert_eq!(
        places(&problems),
        [
            ("/steps/0/fallback/next", "next.unknown"),
            ("/steps/0/next", "next.unknown"),
            ("/steps/1", "step.unreachable"),
            ("/steps/1/choices/1/next", "next.unknown"),
            ("/steps/2", "step.unreachable"),
            ("/steps/2/steps/0/next", "next.unknown"),
        ]
    );
    assert_eq!(problems[1].message, "there is no step `analyse`; is `analyze` meant?");
    assert_eq!(problems[5].message, "there is no step `analyze` among the steps beside it");
}

#[test]
fn a_step_that_nothing_leads_to_is_told_with_the_next_that_was_forgotten() {
    let problems = errors(&[json!({"id": "a"}), json!({"id": "b", "next": "c"}), json!({"id": "c"})]);
    assert_eq!(places(&problems), [("/steps/1", "step.unreachable"), ("/steps/2", "step.unreachable")]);
    assert_eq!(problems[0].message, "no step that is reached leads to `b`; `a`, which stands before it, has no `next`");
    assert_eq!(errors(&[json!({"id": "a", "fallback": {"next": "b"}}), json!({"id": "b"})]), []);
}

#[test]
fn a_loop_needs_a_choice_with_a_way_out() {
    let ring = |step: Value| vec![json!({"id": "a", "next": "b"}), step, json!({"id": "c", "next": "a"}), json!({"id": "d"})];
    let way_out = json!({"id": "b", "type": "choice", "choices": [{"when": "input.done", "next": "d"}], "next": "c"});
    assert_eq!(errors(&ring(way_out)), []);
    let to_the_end = json!({"id": "b", "type": "choice", "choices": [{"when": "input.more", "next": "c"}, {"when": "input", "next": "d"}]});
    assert_eq!(errors(&ring(to_the_end)), []);

    let endless = errors(&ring(json!({"id": "b", "next": "c", "when": "input.more", "fallback": {"next": "d"}})));
    assert_eq!(places(&endless), [("/steps/0", "step.endless")], "a step that is passed over leads on all the same");
    assert_eq!(endless[0].message, "`a`, `b`, `c` lead to each other for ever: a loop needs a `choice` with a way out of it");

    let all_back = json!({"id": "b", "type": "choice", "choices": [{"when": "input", "next": "a"}], "next": "c"});
    assert_eq!(places(&errors(&ring(all_back))), [("/steps/0", "step.endless"), ("/steps/3", "step.unreachable")]);
    assert_eq!(places(&errors(&[json!({"id": "a", "next": "a"})])), [("/steps/0", "step.endless")]);
}

#[test]
fn a_loop_with_a_way_out_into_an_endless_one_is_not_blamed_for_it() {
    let problems = errors(&[
        json!({"id": "a", "type": "choice", "choices": [{"when": "input", "next": "a"}], "next": "b"}),
        json!({"id": "b", "next": "c"}),
        json!({"id": "c", "next": "b"}),
    ]);
    assert_eq!(places(&problems), [("/steps/1", "step.endless")]);
}

#[test]
fn a_step_may_be_tried_again_from_its_own_fallback() {
    assert_eq!(
        errors(&[
            json!({"id": "a", "next": "b", "fallback": {"next": "wait"}}),
            json!({"id": "wait", "type": "timer", "wait_ms": 1, "next": "a"}),
            json!({"id": "b"})
        ]),
        []
    );
}

#[test]
fn loops_within_a_map_and_a_branch_are_found() {
    let inner = json!([{"id": "x", "service": "s", "action": "a", "next": "x"}]);
    let problems = errors(&[
        json!({"id": "m", "type": "map", "steps": inner, "next": "p"}),
        json!({"id": "p", "type": "parallel", "branches": {"left": [{"id": "y", "service": "s", "action": "a", "next": "y"}]}}),
    ]);
    assert_eq!(places(&problems), [("/steps/0/steps/0", "step.endless"), ("/steps/1/branches/left/0", "step.endless")]);
}
