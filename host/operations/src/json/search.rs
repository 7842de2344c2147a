//! `search-products` as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use breakwater_core::{Failure, OperationSpec, Payload};
use breakwater_search::{Filter, Method, Product};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{double, image_source, payload, read, read_reply};
use crate::operation::SEARCH_PRODUCTS;
use crate::search::request::{MAX_CONDITIONS, MAX_DISTANCE, MAX_PAGE_SIZE, MAX_TEXT, MAX_WEIGHT};
use crate::search::{SearchArm, SearchBy, SearchItem, SearchPage, SearchRecall, SearchRequest, SearchTimings};

#[derive(Debug, Deserialize)]
struct Input {
    image_path: Option<String>,
    text: Option<String>,
    vector: Option<Vec<f32>>,
    product_id: Option<String>,
    model: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    min_quality: Option<f32>,
    min_similarity: Option<f32>,
    fold_duplicates: Option<bool>,
    duplicate_distance: Option<u32>,
    #[serde(default)]
    category_weights: BTreeMap<String, f32>,
    quality_weight: Option<f32>,
    #[serde(default)]
    ranking_parameters: Value,
    #[serde(default)]
    exact: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Output {
    items: Vec<ItemJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    model: String,
    space: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arm: Option<ArmJson>,
    method: Method,
    #[serde(default)]
    ef: usize,
    #[serde(default)]
    scanned: u64,
    #[serde(default)]
    selectivity: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recall: Option<RecallJson>,
    #[serde(default)]
    pending: u64,
    #[serde(default)]
    ranked_by: String,
    #[serde(default)]
    timings_ms: TimingsJson,
}

#[derive(Debug, Serialize, Deserialize)]
struct ItemJson {
    product: ProductJson,
    similarity: f64,
    score: f64,
    #[serde(default)]
    duplicates: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ProductJson {
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    image: String,
    #[serde(default = "best")]
    quality: f64,
    /// In hexadecimal digits: JSON's numbers are doubles for most who read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    perceptual_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
}

fn best() -> f64 {
    1.0
}

#[derive(Debug, Serialize, Deserialize)]
struct ArmJson {
    alias: String,
    model: String,
    other: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecallJson {
    mean: f64,
    worst_decile: f64,
    sample: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct TimingsJson {
    embed: f64,
    index: f64,
    records: f64,
    rank: f64,
    total: f64,
}

fn input_schema() -> Value {
    let text = |most: usize| json!({ "type": "string", "minLength": 1, "maxLength": most });
    let number = |least: f32, most: f32| json!({ "type": "number", "minimum": least, "maximum": most });
    let label = json!({ "type": "string", "maxLength": 256 });
    json!({
        "type": "object",
        "properties": {
            "image_path": text(4096),
            "text": text(MAX_TEXT),
            "vector": { "type": "array", "minItems": 1, "maxItems": breakwater_search::vector::MAX_DIMENSION, "items": { "type": "number" } },
            "product_id": text(256),
            "model": text(256),
            "limit": { "type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE },
            "cursor": text(100_000),
            "categories": { "type": "array", "maxItems": MAX_CONDITIONS, "items": label },
            "attributes": { "type": "object", "maxProperties": MAX_CONDITIONS, "additionalProperties": label },
            "min_quality": number(0.0, 1.0),
            "min_similarity": number(-1.0, 1.0),
            "fold_duplicates": { "type": "boolean" },
            "duplicate_distance": { "type": "integer", "minimum": 0, "maximum": MAX_DISTANCE },
            "category_weights": { "type": "object", "maxProperties": MAX_CONDITIONS, "additionalProperties": number(0.0, MAX_WEIGHT) },
            "quality_weight": number(0.0, 1.0),
            "ranking_parameters": { "type": "object" },
            "exact": { "type": "boolean" }
        },
        "additionalProperties": false
    })
}

fn output_schema() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let product = json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": { "type": "string", "minLength": 1, "maxLength": 256 },
            "title": { "type": "string" },
            "category": { "type": "string" },
            "attributes": { "type": "object", "additionalProperties": { "type": "string" } },
            "image": { "type": "string" },
            "quality": { "type": "number", "minimum": 0, "maximum": 1 },
            "perceptual_hash": { "type": "string", "pattern": "^[0-9a-f]{16}$" },
            "image_digest": { "type": "string" }
        }
    });
    let item = json!({
        "type": "object",
        "required": ["product", "similarity", "score"],
        "properties": {
            "product": product,
            "similarity": { "type": "number", "minimum": -1, "maximum": 1 },
            "score": { "type": "number" },
            "duplicates": { "type": "array", "maxItems": 10_000, "items": { "type": "string" } }
        }
    });
    json!({
        "type": "object",
        "required": ["items", "model", "space", "method"],
        "properties": {
            "items": { "type": "array", "maxItems": MAX_PAGE_SIZE, "items": item },
            "next_cursor": { "type": "string" },
            "model": { "type": "string" },
            "space": { "type": "string" },
            "arm": { "type": "object" },
            "method": { "enum": ["exact", "approximate", "iterative"] },
            "ef": count, "scanned": count, "pending": count,
            "selectivity": { "type": "number", "minimum": 0, "maximum": 1 },
            "recall": { "type": "object" },
            "ranked_by": { "type": "string" },
            "timings_ms": { "type": "object" }
        }
    })
}

/// What everyone agrees on.
pub(crate) fn spec() -> OperationSpec {
    OperationSpec {
        name: SEARCH_PRODUCTS.name.to_owned(),
        summary: SEARCH_PRODUCTS.summary.to_owned(),
        input_schema: input_schema(),
        output_schema: output_schema(),
        effect: SEARCH_PRODUCTS.effect,
        idempotent: true,
        permission: None,
    }
}

/// From what a caller by name writes.
pub(crate) fn input(mut given: Payload) -> Result<SearchRequest, Failure> {
    let input: Input = read(std::mem::take(&mut given.json))?;
    let by_vector = input.vector.is_some();
    let of_vector = input.model.clone().filter(|_| by_vector);
    let by = match (input.text, input.vector, input.product_id) {
        (None, None, None) => SearchBy::Image(image_source(input.image_path, &mut given)?),
        (text, vector, product) => {
            let several = input.image_path.is_some() || !given.attachments.is_empty();
            match (text, vector, product, several) {
                (Some(text), None, None, false) => SearchBy::Text(text),
                (None, Some(values), None, false) => SearchBy::Vector { values, model: of_vector },
                (None, None, Some(product), false) => SearchBy::Product(product),
                _ => {
                    let message = "look for one thing: a picture, `text`, `vector` or `product_id`, not several";
                    return Err(Failure::invalid("operation.input-invalid", message));
                }
            }
        }
    };
    let filter = Filter { categories: input.categories, attributes: input.attributes, min_quality: input.min_quality };
    Ok(SearchRequest {
        by,
        page_size: input.limit,
        cursor: input.cursor,
        filter,
        min_similarity: input.min_similarity,
        fold_duplicates: input.fold_duplicates.unwrap_or(true),
        duplicate_distance: input.duplicate_distance,
        category_weights: input.category_weights,
        quality_weight: input.quality_weight,
        parameters: input.ranking_parameters,
        exact: input.exact,
        model: input.model.filter(|_| !by_vector),
    })
}

/// For a provider that takes JSON.
pub(crate) fn to_payload(request: &SearchRequest) -> Payload {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
    let some = |list: bool, value: Value| list.then_some(value);
    put("model", request.model.as_ref().map(|model| json!(model)));
    put("limit", request.page_size.map(|size| json!(size)));
    put("cursor", request.cursor.as_ref().map(|cursor| json!(cursor)));
    put("categories", some(!request.filter.categories.is_empty(), json!(request.filter.categories)));
    put("attributes", some(!request.filter.attributes.is_empty(), json!(request.filter.attributes)));
    put("min_quality", request.filter.min_quality.map(|least| json!(double(least))));
    put("min_similarity", request.min_similarity.map(|least| json!(double(least))));
    put("fold_duplicates", some(!request.fold_duplicates, json!(false)));
    put("duplicate_distance", request.duplicate_distance.map(|distance| json!(distance)));
    let weights: BTreeMap<_, _> = request.category_weights.iter().map(|(name, weight)| (name, double(*weight))).collect();
    put("category_weights", some(!weights.is_empty(), json!(weights)));
    put("quality_weight", request.quality_weight.map(|weight| json!(double(weight))));
    put("ranking_parameters", some(!request.parameters.is_null(), request.parameters.clone()));
    put("exact", some(request.exact, json!(true)));
    match &request.by {
        SearchBy::Image(image) => return payload(image, fields),
        SearchBy::Text(text) => put("text", Some(json!(text))),
        SearchBy::Product(id) => put("product_id", Some(json!(id))),
        SearchBy::Vector { values, model } => {
            put("vector", Some(values.iter().copied().map(double).collect()));
            put("model", model.as_ref().or(request.model.as_ref()).map(|model| json!(model)));
        }
    }
    Payload::json(fields.into())
}

/// For a caller by name.
pub(crate) fn output(page: &SearchPage) -> Payload {
    let milliseconds = |elapsed: Duration| (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    let SearchTimings { embed, index, records, rank, total } = page.timings;
    let [embed, index, records, rank, total] = [embed, index, records, rank, total].map(milliseconds);
    let output = Output {
        items: page.items.iter().map(ItemJson::of).collect(),
        next_cursor: page.next_cursor.clone(),
        model: page.model.clone(),
        space: page.space.clone(),
        arm: page.arm.clone().map(|SearchArm { alias, model, other }| ArmJson { alias, model, other }),
        method: page.method,
        ef: page.ef,
        scanned: page.scanned,
        selectivity: page.selectivity,
        recall: page.recall.map(|SearchRecall { mean, worst_decile, sample }| RecallJson { mean, worst_decile, sample }),
        pending: page.pending,
        ranked_by: page.ranked_by.clone(),
        timings_ms: TimingsJson { embed, index, records, rank, total },
    };
    Payload::json(json!(output))
}

/// From what a provider answered.
pub(crate) fn from_payload(reply: Payload) -> Result<SearchPage, Failure> {
    let output: Output = read_reply(reply.json)?;
    let elapsed = |milliseconds: f64| Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default();
    let TimingsJson { embed, index, records, rank, total } = output.timings_ms;
    let [embed, index, records, rank, total] = [embed, index, records, rank, total].map(elapsed);
    Ok(SearchPage {
        items: output.items.into_iter().map(ItemJson::item).collect(),
        next_cursor: output.next_cursor,
        model: output.model,
        space: output.space,
        arm: output.arm.map(|ArmJson { alias, model, other }| SearchArm { alias, model, other }),
        method: output.method,
        ef: output.ef,
        scanned: output.scanned,
        selectivity: output.selectivity,
        recall: output.recall.map(|RecallJson { mean, worst_decile, sample }| SearchRecall { mean, worst_decile, sample }),
        pending: output.pending,
        ranked_by: output.ranked_by,
        timings: SearchTimings { embed, index, records, rank, total },
    })
}

impl ItemJson {
    fn of(item: &SearchItem) -> Self {
        let Product { id, title, category, attributes, image, quality, perceptual_hash, image_digest } = item.product.clone();
        let perceptual_hash = perceptual_hash.map(|hash| format!("{hash:016x}"));
        let product = ProductJson { id, title, category, attributes, image, quality: double(quality), perceptual_hash, image_digest };
        Self { product, similarity: double(item.similarity), score: double(item.score), duplicates: item.duplicates.clone() }
    }

    fn item(self) -> SearchItem {
        let ProductJson { id, title, category, attributes, image, quality, perceptual_hash, image_digest } = self.product;
        let perceptual_hash = perceptual_hash.and_then(|digits| u64::from_str_radix(&digits, 16).ok());
        let quality = quality as f32;
        let product = Product { id, title, category, attributes, image, quality, perceptual_hash, image_digest };
        SearchItem { product, similarity: self.similarity as f32, score: self.score as f32, duplicates: self.duplicates }
    }
}

#[cfg(test)]
mod tests;
