//! Text that means something to a database, and must not.

use breakwater_search::filter::Traits;
use breakwater_search::{Entry, Filter, Indices, Key};

use super::data::{entry, open, query, vector};

fn texts() -> Vec<String> {
    let plain = [
        "",
        " ",
        "'",
        "''",
        "\"",
        "\\",
        "\\'; --",
        "'; DROP TABLE products; --",
        "' OR '1'='1",
        "%",
        "_",
        "*",
        "?",
        "$1",
        "{}",
        "{a,b}",
        "[]",
        "null",
        "NULL",
        "true",
        "\t\r\n",
        "\u{1}\u{7f}",
        "\0",
        "a\0b",
        "\u{202e}evil",
        "e\u{301}",
        "\u{e9}",
        "ß",
        "SS",
        "日本語 カテゴリ",
        "👩‍👩‍👧‍👦",
        "\u{feff}",
        "\u{fffd}",
        "\u{10ffff}",
        "a",
        "A",
        "a ",
        "../../etc/passwd",
        "<script>alert(1)</script>",
    ];
    let long = ["x".repeat(256), "ü".repeat(128), "'".repeat(256), format!("{}y", "x".repeat(255))];
    plain.into_iter().map(str::to_owned).chain(long).collect()
}

pub(crate) async fn any_text_is_only_text(indices: &dyn Indices) {
    let index = open(indices, "text").await;
    let texts = texts();
    let entries: Vec<_> = (0u64..)
        .zip(&texts)
        .map(|(key, text)| {
            let attributes = [("name".to_owned(), text.clone()), (format!("{text}!"), "value".to_owned())].into();
            Entry { traits: Traits { category: text.clone(), attributes, quality: 0.5 }, ..entry(key) }
        })
        .collect();
    index.upsert(entries, texts.len() as u64).await.unwrap();
    for (key, text) in (0u64..).zip(&texts) {
        let category = Filter { categories: vec![text.clone()], ..Filter::default() };
        let value = Filter { attributes: [("name".to_owned(), text.clone())].into(), ..Filter::default() };
        let name = Filter { attributes: [(format!("{text}!"), "value".to_owned())].into(), ..Filter::default() };
        for filter in [category, value, name] {
            assert_eq!(index.count(&filter).await.unwrap(), 1, "{filter:?}");
            let hits = index.search(breakwater_search::Query { filter, ..query(vector(1), 5) }).await.unwrap().hits;
            assert_eq!(hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), [Key(key)], "{text:?}");
        }
    }
    assert_eq!(index.count(&Filter::default()).await.unwrap(), texts.len() as u64);
}
