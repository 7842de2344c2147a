//! What every `Executor` must do, in real time. Included by the tests of each.

mod attempts;
mod bed;
mod cancelling;
mod commands;
mod flow;
mod looking;
mod starting;
mod waits;
mod within;

use std::panic::AssertUnwindSafe;

use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};

#[allow(unused_imports, reason = "each of those who include it needs another part")]
pub(crate) use bed::{Bed, LONG, Operations, Sink, call, eventually, kind, start};

/// Cases at once: most of them wait most of the time.
const AT_ONCE: usize = 6;

macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        const CASES: &[(&str, fn(&Bed) -> LocalBoxFuture<'_, ()>)] =
            &[$($((concat!(stringify!($module), "::", stringify!($case)), |bed| Box::pin($module::$case(bed))),)*)*];
    };
}

cases! {
    flow: passes_outputs_on_and_writes_everything_down makes_inputs_of_what_is_known gives_the_result_that_is_asked_for
        passes_over_what_does_not_hold leads_on_and_back_until_the_guard runs_branches_beside_each_other ends_branches_beside_one_that_fails
        keeps_order_and_bound_of_a_list leaves_items_alone_that_fail refuses_items_that_are_no_list;
    attempts: tries_again_as_the_kind_says_with_one_key waits_longer_each_time gives_up_with_the_last_error gives_an_attempt_its_time
        falls_back undoes_the_latest_first goes_on_undoing_when_one_cannot_be_undone ends_when_the_time_of_the_whole_is_over;
    waits: takes_each_signal_once takes_a_signal_that_comes_later takes_a_signal_once_however_often_it_is_sent waits_for_a_signal_only_so_long keeps_signals_within_bounds
        waits_for_a_time refuses_a_time_that_is_none;
    within: starts_a_workflow_and_takes_its_result takes_its_failure ends_at_some_depth cancels_it_with_its_parent
        retries_it_with_its_parent begins_it_anew_when_its_time_was_over refuses_one_that_is_not_there;
    starting: starts_once_with_one_key refuses_what_cannot_be_started keeps_the_version_it_runs;
    commands: begins_nothing_while_it_is_paused goes_on_from_what_failed does_again_what_was_undone refuses_what_its_state_forbids;
    cancelling: takes_no_notice_of_what_still_answers undoes_what_ends_after_it undoes_nothing_that_failed_after_it cancels_what_is_paused cancels_what_waits;
    looking: knows_no_others lists_and_counts wakes_for_the_next_event gives_a_history_in_parts says_where_it_is;
}

/// Runs the whole suite; `fresh` gives an executor without executions, whose operations are [`Operations`].
pub(crate) async fn conforms(fresh: impl AsyncFn() -> Bed) {
    let fresh = &fresh;
    let failed: Vec<&str> = stream::iter(CASES)
        .map(|(name, case)| async move {
            let work = async { case(&fresh().await).await };
            AssertUnwindSafe(work).catch_unwind().await.is_err().then_some(*name)
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failed| failed)
        .collect()
        .await;
    assert_eq!(failed, [""; 0], "cases failed");
}
