//! Lists that come a page at a time.

use anyhow::Result;
use serde_json::{Value, json};

use super::Server;
use crate::fields::{list, number};

/// Entries of a page: as many as the service gives at once.
const PER_PAGE: u32 = 200;

impl Server {
    /// The first entries of a list, `limit` of them if there are as many: `{items, total}`.
    pub(super) async fn list(&self, path: &[&str], query: &[(&str, Option<&str>)], limit: u32) -> Result<Value> {
        let mut items = Vec::new();
        // Pages of one size, so that they follow each other without a gap; the last may bring more than is wanted.
        let per_page = limit.clamp(1, PER_PAGE);
        let mut page = 1_u32;
        loop {
            let mut url = self.url(path)?;
            let given = query.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
            let bounds = [("page", page.to_string()), ("per_page", per_page.to_string())];
            url.query_pairs_mut().extend_pairs(given).extend_pairs(bounds);
            let answer = self.answer(self.client.get(url)).await?;
            let before = items.len();
            items.extend(list(&answer, "items").cloned());
            let total = number(&answer, "total");
            let is_last = items.len() == before || items.len() as u64 >= total;
            if is_last || items.len() >= limit as usize {
                items.truncate(limit as usize);
                return Ok(json!({ "items": items, "total": total }));
            }
            page += 1;
        }
    }
}
