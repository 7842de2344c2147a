//! A ranking, asked for and held against the rules.

use breakwater_core::{CallContext, Failure, FailureKind};
use wasmtime::Store;

use super::{Call, Ended, Exports, Guest, call_context};
use crate::bindings::ranker::exports::breakwater::plugin::ranker;
use crate::ranking::{RankCandidate, Ranked, checked};
use crate::state::CallState;
use crate::trap::Fault;

impl Guest {
    /// Asks for a ranking. The request and the candidates were checked.
    pub(crate) async fn rank(
        &self,
        context: &CallContext,
        wanted: &ranker::Request,
        candidates: &[RankCandidate<'_>],
    ) -> Ended<Vec<Ranked>> {
        let Call { mut store, until, pace, started } = self.begin(context, None, &[]);
        let ended = self
            .run(until, &pace, async {
                let Exports::Ranker(pre) = &self.exports else { return Err(wasmtime::Error::msg("this plugin is no ranker")) };
                let plugin = pre.instantiate_async(&mut store).await?;
                let given: Vec<_> = candidates.iter().copied().map(RankCandidate::to_guest).collect();
                let context = call_context(context);
                plugin.breakwater_plugin_ranker().call_rank(&mut store, &context, wanted, &given).await
            })
            .await;
        let outcome = self.settle(&store, until, ended).and_then(|answer| match answer {
            Ok(ranked) => self.checked_ranking(&store, &ranked, candidates.len()),
            Err(failure) => Err(self.returned(&store, failure)),
        });
        self.ended(&store, started, outcome)
    }

    fn checked_ranking(&self, store: &Store<CallState>, ranked: &[ranker::Ranked], candidates: usize) -> Result<Vec<Ranked>, Fault> {
        checked(ranked, candidates).map_err(|violation| {
            let message = format!("the plugin's ranking is unusable: {violation}");
            let failure = Failure::new(FailureKind::Rejected, "plugin.invalid-ranking", message);
            self.made_here(store, Fault::of_guest(failure))
        })
    }
}
