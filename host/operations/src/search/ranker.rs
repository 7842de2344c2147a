//! The ranker of a search: a plugin, or the host.

use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{BoxFuture, CallContext, Failure, FailureKind, Reason};
use breakwater_plugins::{Generation, RankCandidate, RankRequest as PluginRequest};
use breakwater_search::ranking::{BySimilarity, Candidate, RankRequest, Ranked, Ranker, Ranking, Weighted};
use breakwater_telemetry::Metrics;

use crate::invoke::HostSnapshot;
use crate::operations::Operations;
use crate::plan::PluginIdentity;

/// The ranker that is taken when none is configured and it is there.
const DEFAULT_RANKER: &str = "rank-weighted";

/// A plugin that ranks; when it fails, the most similar come first and the answer says so.
struct PluginRanker {
    generation: Arc<Generation>,
    metrics: Arc<Metrics>,
}

/// Stands in for a plugin that is configured and not deployed.
struct Missing(String);

impl Operations {
    /// The ranker of a call: the plugin that is configured, or `rank-weighted`, or else the formula of the host.
    pub(crate) fn ranker(&self, snapshot: &HostSnapshot) -> Box<dyn Ranker> {
        let configured = self.search_config().ranker.clone();
        match (snapshot.plugins.ranker(Some(configured.as_deref().unwrap_or(DEFAULT_RANKER))), configured) {
            (Some(generation), _) => {
                Box::new(PluginRanker { generation: Arc::clone(generation), metrics: Arc::clone(self.shared_metrics()) })
            }
            (None, Some(name)) => Box::new(Missing(name)),
            (None, None) => Box::new(Weighted),
        }
    }
}

impl Ranker for PluginRanker {
    fn rank<'a>(
        &'a self,
        context: &'a CallContext,
        request: &'a RankRequest,
        candidates: &'a [Candidate],
    ) -> BoxFuture<'a, Result<Ranking, Failure>> {
        Box::pin(async move {
            let identity = PluginIdentity::of(&self.generation);
            let started = Instant::now();
            let asked = self.ask(context, request, candidates).await;
            let result = asked.as_ref().map(drop).map_err(|failure| failure.kind);
            self.metrics.plugin_call(&identity.id, result, started.elapsed());
            let by = identity.served_by().label();
            match asked {
                Ok(ranked) => Ok(Ranking { ranked, by, degraded: None }),
                Err(failure) if failure.kind == FailureKind::InvalidRequest => Err(failure),
                Err(failure) => {
                    let similar = BySimilarity.rank(context, request, candidates).await?;
                    Ok(Ranking { degraded: Some(Reason::of(by, &failure)), ..similar })
                }
            }
        })
    }
}

impl PluginRanker {
    async fn ask(&self, context: &CallContext, request: &RankRequest, candidates: &[Candidate]) -> Result<Vec<Ranked>, Failure> {
        let RankRequest { category_weights, quality_weight, parameters } = request;
        let wanted = PluginRequest { parameters, category_weights, quality_weight: *quality_weight };
        let given: Vec<RankCandidate<'_>> = candidates.iter().map(given).collect();
        let ranked = self.generation.rank(context, &wanted, &given).await?;
        Ok(ranked.into_iter().map(|ranked| Ranked { candidate: ranked.index as usize, score: ranked.score }).collect())
    }
}

fn given(candidate: &Candidate) -> RankCandidate<'_> {
    let (stored, similarity) = (&candidate.product, candidate.similarity);
    let breakwater_search::Product { id, title, category, attributes, quality, .. } = &stored.product;
    RankCandidate { id, title, category, attributes, quality: *quality, similarity, created: stored.created }
}

impl Ranker for Missing {
    fn rank<'a>(
        &'a self,
        context: &'a CallContext,
        request: &'a RankRequest,
        candidates: &'a [Candidate],
    ) -> BoxFuture<'a, Result<Ranking, Failure>> {
        Box::pin(async move {
            let message = format!("the ranker `{}` is configured and not deployed", self.0);
            let missing = Failure::new(FailureKind::NotFound, "ranker.not-deployed", message);
            let similar = BySimilarity.rank(context, request, candidates).await?;
            Ok(Ranking { degraded: Some(Reason::of(format!("plugin:{}", self.0), &missing)), ..similar })
        })
    }
}
