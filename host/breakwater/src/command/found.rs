//! What a search found, for people to read.

use serde_json::Value;

use super::search::Query;
use crate::fields::{list, number, text as field};

/// A line for each product.
pub(super) fn text(query: &Query, answer: &Value) -> String {
    let mut lines = vec![summary(query, answer)];
    lines.extend(remarks(answer).into_iter().map(|remark| format!("  {remark}")));
    for (rank, item) in (1..).zip(list(answer, "items")) {
        let Found { name, category, similarity, score, duplicates } = Found::of(item);
        let category = if category.is_empty() { String::new() } else { format!("  [{category}]") };
        let more = if duplicates == 0 { String::new() } else { format!("  (+{duplicates} alike)") };
        lines.push(format!("{rank:>4}  {similarity:>7.4}  {score:>7.4}  {name}{category}{more}"));
    }
    lines.join("\n")
}

/// What was looked for, and how.
pub(super) fn summary(query: &Query, answer: &Value) -> String {
    let index = answer.get("index").unwrap_or(&Value::Null);
    let query = match query {
        Query::Picture(file) => file.display().to_string(),
        Query::Text(text) => format!("{text:?}"),
    };
    let count = list(answer, "items").count();
    format!(
        "{query}: {count} found by {}, {} ({} compared), ordered by {}, {:.1} ms",
        field(answer, "model"),
        field(index, "method"),
        number(index, "scanned"),
        field(answer, "ranked_by"),
        answer.get("elapsed_ms").and_then(Value::as_f64).unwrap_or_default(),
    )
}

/// What makes the answer worse than usual.
pub(super) fn remarks(answer: &Value) -> Vec<String> {
    let degraded = list(answer, "degraded_reasons")
        .map(|reason| format!("degraded: {} failed: {} ({})", field(reason, "provider"), field(reason, "message"), field(reason, "code")));
    let pending = answer.get("index").map_or(0, |index| number(index, "pending"));
    let pending = (pending > 0).then(|| format!("the index has yet to take in {pending} changes"));
    degraded.chain(pending).collect()
}

/// A product found.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Its title, or else its id.
    pub(super) name: &'a str,
    /// Empty when it has none.
    pub(super) category: &'a str,
    pub(super) similarity: f64,
    pub(super) score: f64,
    /// Others that look nearly the same.
    pub(super) duplicates: usize,
}

impl<'a> Found<'a> {
    pub(super) fn of(item: &'a Value) -> Self {
        let product = item.get("product").unwrap_or(&Value::Null);
        let given = |name| product.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let real = |name| item.get(name).and_then(Value::as_f64).unwrap_or_default();
        Self {
            // A file's path says more than its title, which is its name.
            name: given("image").or(given("title")).or(given("id")).unwrap_or("-"),
            category: given("category").unwrap_or_default(),
            similarity: real("similarity"),
            score: real("score"),
            duplicates: list(item, "duplicates").count(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::command) fn answer() -> Value {
        let item = |id: &str, image: &str, category: &str, similarity: f64, duplicates: &[&str]| {
            json!({
                "product": { "id": id, "title": format!("title of {id}"), "category": category, "image": image },
                "similarity": similarity, "score": similarity + 0.001, "duplicates": duplicates,
            })
        };
        json!({
            "items": [item("a", "/photos/a.jpg", "dogs", 0.98765, &["b", "c"]), item("<script>", "", "", 0.5, &[])],
            "model": "efficientnet-lite0",
            "index": { "method": "exact", "scanned": 120, "pending": 0 },
            "ranked_by": "host",
            "elapsed_ms": 12.34,
            "degraded_reasons": [],
        })
    }

    #[test]
    fn every_product_has_a_line() {
        let shown = text(&Query::Text("a dog".into()), &answer());
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "\"a dog\": 2 found by efficientnet-lite0, exact (120 compared), ordered by host, 12.3 ms",
                "   1   0.9877   0.9887  /photos/a.jpg  [dogs]  (+2 alike)",
                "   2   0.5000   0.5010  title of <script>",
            ]
        );
    }

    #[test]
    fn what_is_worse_than_usual_is_said() {
        let mut answer = answer();
        answer["degraded_reasons"] = json!([{ "provider": "model:clip", "code": "embedder.unavailable", "message": "it is away" }]);
        answer["index"]["pending"] = json!(7);
        assert_eq!(
            remarks(&answer),
            ["degraded: model:clip failed: it is away (embedder.unavailable)", "the index has yet to take in 7 changes"]
        );
        assert!(text(&Query::Picture("q.jpg".into()), &json!({})).starts_with("q.jpg: 0 found"));
    }
}
