//! What became of each image of a batch.

use breakwater_core::Failure;
use breakwater_workflow::{Event, Happened, Part, Range, StepError, WorkflowRecords};
use serde_json::Value;

use super::input::{Input, Item};
use super::{Batches, ItemState};
use crate::workflows::stored;

/// What became of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchResult {
    /// Its place in the list, from 0.
    pub index: usize,
    /// The image.
    pub image_path: String,
    /// What the caller calls it.
    pub id: Option<String>,
    /// What became of it until now.
    pub state: ItemState,
    /// What `crop-image` gave, when it succeeded.
    pub output: Option<Value>,
    /// Who answered.
    pub served_by: Option<String>,
    /// Whether that was somebody else than asked.
    pub degraded: bool,
    /// Why it failed.
    pub error: Option<StepError>,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<u64>,
}

impl Batches {
    /// What became of the images, in their order; only of those in a state, if one is named (`pending`, `running`, `succeeded`, `failed`).
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn results(&self, id: &str, state: Option<&str>, range: Range) -> Result<Part<BatchResult>, Failure> {
        let execution = self.execution(id).await?;
        let input = Input::of(&execution.input)?;
        let states = self.journal(id, input.items.len()).await?.lock().await.items().to_vec();
        let fits = states.iter().copied().enumerate().filter(|(_, found)| state.is_none_or(|wanted| wanted == found.name()));
        let total = fits.clone().count() as u64;
        let skip = usize::try_from(range.skip).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        for (index, state) in fits.skip(skip).take(range.take as usize) {
            let Some(item) = input.items.get(index) else { break };
            items.push(result(&**self.workflows().records(), id, index, item, state).await?);
        }
        Ok(Part { items, total })
    }
}

/// One image, with what its last event says.
pub(super) async fn result(
    records: &dyn WorkflowRecords,
    batch: &str,
    index: usize,
    item: &Item,
    state: ItemState,
) -> Result<BatchResult, Failure> {
    let fresh = BatchResult {
        index,
        image_path: item.image_path.clone(),
        id: item.id.clone(),
        state,
        output: None,
        served_by: None,
        degraded: false,
        error: None,
        ended_at_ms: None,
    };
    let (ItemState::Succeeded(number) | ItemState::Failed(number)) = state else { return Ok(fresh) };
    let events = records.events(batch, number.saturating_sub(1), 1).await.map_err(stored)?.items;
    Ok(match events.into_iter().next() {
        Some(Event { at_ms, what: Happened::Completed { output, served_by, degraded, .. }, .. }) => {
            BatchResult { output: Some(output), served_by, degraded, ended_at_ms: Some(at_ms), ..fresh }
        }
        Some(Event { at_ms, what: Happened::Failed { error }, .. }) => {
            BatchResult { error: Some(error), ended_at_ms: Some(at_ms), ..fresh }
        }
        // It was forgotten meanwhile.
        _ => return Err(super::unknown(batch)),
    })
}
