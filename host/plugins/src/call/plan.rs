//! A crop plan, asked for and held against the rules.

use std::sync::Arc;

use breakwater_core::{AspectRatio, CallContext, CropPlan, Detection, Failure, FailureKind, PlanRequest};
use breakwater_vision::Image;
use wasmtime::Store;

use super::{Call, Ended, Exports, Guest, call_context};
use crate::bindings::breakwater::plugin::geometry;
use crate::bindings::crop::exports::breakwater::plugin::crop_strategy;
use crate::capabilities::imaging::GuestImage;
use crate::convert::{detection_to_guest, plan_from_guest};
use crate::state::CallState;
use crate::trap::Fault;

impl Guest {
    /// Asks for a plan.
    pub(crate) async fn plan(
        &self,
        context: &CallContext,
        image: &Arc<Image>,
        given: &[Detection],
        request: &PlanRequest,
    ) -> Ended<CropPlan> {
        let Call { mut store, until, pace, started } = self.begin(context, None, given);
        let ended = self
            .run(until, &pace, async {
                let Exports::Crop(pre) = &self.exports else { return Err(wasmtime::Error::msg("this plugin plans no crops")) };
                let subject = store.data_mut().table.push(GuestImage::subject(Arc::clone(image)))?;
                let plugin = pre.instantiate_async(&mut store).await?;
                let given: Vec<_> = given.iter().map(detection_to_guest).collect();
                let (context, wanted) = (call_context(context), wanted(request));
                plugin.breakwater_plugin_crop_strategy().call_plan(&mut store, &context, subject, &given, &wanted).await
            })
            .await;
        let outcome = self.settle(&store, until, ended).and_then(|answer| match answer {
            Ok(plan) => self.checked_plan(&store, plan_from_guest(plan), image, request.ratio),
            Err(failure) => Err(self.returned(&store, failure)),
        });
        self.ended(&store, started, outcome)
    }

    fn checked_plan(&self, store: &Store<CallState>, plan: CropPlan, image: &Image, ratio: AspectRatio) -> Result<CropPlan, Fault> {
        match plan.check(image.size(), ratio) {
            Ok(()) => Ok(plan),
            Err(violation) => {
                let message = format!("the plugin's plan is unusable: {violation}");
                let failure = Failure::new(FailureKind::Rejected, "plugin.invalid-plan", message);
                Err(self.made_here(store, Fault::of_guest(failure)))
            }
        }
    }
}

fn wanted(request: &PlanRequest) -> crop_strategy::Request {
    crop_strategy::Request {
        strategy: request.strategy.clone(),
        ratio: geometry::AspectRatio { width: request.ratio.width, height: request.ratio.height },
        parameters: request.parameters.to_string(),
    }
}
