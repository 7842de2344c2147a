//! What every implementation of `Indices` and `VectorIndex` must do. Included by the tests of each.
//!
//! Every part uses spaces of its own, so that one storage serves them all.

mod changes;
mod concurrency;
pub(crate) mod data;
mod filters;
mod limits;
mod restarts;
mod text;

use std::sync::Arc;

use breakwater_search::Indices;

/// Runs the whole suite. `open` gives the indices over the same storage, as after a restart each time; the storage is empty at first.
pub(crate) async fn conforms(open: impl AsyncFn() -> Arc<dyn Indices>) {
    let indices = open().await;
    changes::an_index_starts_empty(&*indices).await;
    changes::upserts_replace_and_deletes_forget(&*indices).await;
    changes::the_last_entry_of_a_key_in_one_call_stays(&*indices).await;
    changes::a_change_applied_again_changes_nothing(&*indices).await;
    changes::spaces_never_mix(&*indices).await;
    changes::a_removed_space_is_empty(&*indices).await;
    limits::wrong_dimensions_are_refused_and_change_nothing(&*indices).await;
    limits::counts_have_bounds(&*indices).await;
    limits::a_deadline_that_has_passed_is_a_timeout(&*indices).await;
    filters::hits_are_ordered_by_similarity_then_key(&*indices).await;
    filters::filtered_queries_are_never_short(&*indices).await;
    filters::counts_are_exact(&*indices).await;
    text::any_text_is_only_text(&*indices).await;
    concurrency::readers_see_what_stays_while_others_change(&indices).await;
    drop(indices);
    restarts::a_snapshot_survives_a_restart(&open).await;
    restarts::changes_after_the_snapshot_are_applied_again(&open).await;
    restarts::without_a_snapshot_all_changes_can_be_applied_again(&open).await;
}
