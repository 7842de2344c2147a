//! Rankings.

use breakwater_core::{CallContext, Failure, FailureKind};

use super::{Generation, Offers};
use crate::ranking::{RankCandidate, RankRequest, Ranked, RankerInfo, RankerOffer};
use crate::trap::Fault;

/// What observers are told a ranker was asked for.
const OPERATION: &str = "rank";

impl Generation {
    /// What this ranker says of itself; `None` for plugins of other worlds.
    #[must_use]
    pub fn ranker(&self) -> Option<&RankerInfo> {
        self.ranker_offer().ok().map(|offer| &offer.info)
    }

    /// Asks this ranker to order what a search found: `candidates` come most similar first. The answer is by falling score.
    ///
    /// # Errors
    /// - `ranker.not-offered` (not found) when this plugin is no ranker
    /// - `ranker.parameters-invalid`, `ranker.weights-invalid` (invalid request), `ranker.too-many-candidates`, `ranker.input-too-large`
    ///   (limit), `plugin.breaker-open` (circuit open), `plugin.overloaded` (unavailable), `call.deadline` (timeout): the guest was not asked
    /// - `plugin.invalid-ranking` (rejected), and as [`Self::plan`]: what the guest did wrong
    /// - any failure that the guest returned
    pub async fn rank(
        &self,
        context: &CallContext,
        request: &RankRequest<'_>,
        candidates: &[RankCandidate<'_>],
    ) -> Result<Vec<Ranked>, Failure> {
        let wanted = self.ranker_offer()?.check(request, candidates)?;
        let admitted = self.admit(context).await?;
        let ended = self.guest.rank(&admitted.context, &wanted, candidates).await;
        self.conclude(context, admitted, OPERATION, None, ended)
    }

    /// A ranking outside of traffic: no breaker, no queue, nothing counted.
    pub(crate) async fn probe_ranking(
        &self,
        context: &CallContext,
        request: &RankRequest<'_>,
        candidates: &[RankCandidate<'_>],
    ) -> Result<Vec<Ranked>, Fault> {
        let wanted = self.ranker_offer().and_then(|offer| offer.check(request, candidates)).map_err(Fault::of_nobody)?;
        self.guest.rank(context, &wanted, candidates).await.outcome
    }

    fn ranker_offer(&self) -> Result<&RankerOffer, Failure> {
        if let Offers::Ranker(offer) = &self.offers {
            return Ok(offer);
        }
        Err(Failure::new(FailureKind::NotFound, "ranker.not-offered", format!("the plugin `{}` is no ranker", self.record.id)))
    }
}
