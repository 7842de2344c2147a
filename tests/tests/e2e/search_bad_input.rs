//! What is refused, item by item where there are several.

use breakwater_tests::photographs::Photograph;
use bytes::Bytes;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::search::{form, send};
use crate::support::{assert_problem, client, ok};

#[tokio::test]
async fn bad_pictures_in_a_batch_fail_alone() {
    let client = client();
    let coffee = Photograph::shipped("coffee.png").unwrap().bytes;
    let mut dot = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(1, 1, image::Rgb([9, 9, 9])).write_to(&mut dot, image::ImageFormat::Png).unwrap();
    let huge = breakwater_tests::forged::png_header(60_000, 60_000);
    let pictures = [
        ("good.png", coffee.clone()),
        ("empty.png", Bytes::new()),
        ("dot.png", dot.into_inner().into()),
        ("huge.png", huge),
        ("torn.png", coffee.slice(..coffee.len() / 2)),
        ("text.png", Bytes::from_static(b"not a picture")),
        ("again.png", coffee.clone()),
    ];
    let batch =
        pictures.iter().fold(Form::new(), |form, (name, picture)| form.part("files", Part::stream(picture.clone()).file_name(*name)));
    let answer = ok(&send(&client, Method::POST, "/extract-features-batch", batch).await);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), pictures.len());
    for (result, expected) in results.iter().zip([true, false, true, false, false, false, true]) {
        assert_eq!(result["success"], expected, "{result}");
        if expected {
            assert_eq!(result["embedding"].as_array().unwrap().len(), 1280);
        } else {
            assert!(result["error"]["code"].as_str().unwrap().starts_with("image."), "{result}");
        }
    }
    assert_eq!(results[0]["embedding"], results[6]["embedding"]);
    // The batcher lives on.
    assert_eq!(send(&client, Method::POST, "/extract-features", form("file", &coffee, &[])).await.status, 200);
}

#[tokio::test]
async fn wrong_searches_say_what_is_wrong() {
    let client = client();
    let nan = r#"{"vector": [NaN, 1]}"#;
    let raw = client.request(Method::POST, "/v1/search").header("content-type", "application/json").body(nan);
    assert_eq!(client.send(raw).await.unwrap().status, 400);
    for (query, status, code) in [
        (json!({}), 400, "request.query-missing"),
        (json!({ "vector": vec![1.0; 512] }), 400, "search.dimension-mismatch"),
        (json!({ "vector": vec![0.0; 1280] }), 400, "search.vector-invalid"),
        (json!({ "vector": [1e39] }), 400, "search.vector-invalid"),
        (json!({ "vector": vec![1.0; 1280], "model": "nobody" }), 404, "search.space-unknown"),
        (json!({ "text": "a red dress" }), 400, "embedder.no-text"),
        (json!({ "text": "word ".repeat(20_000) }), 400, "search.text-invalid"),
        (json!({ "text": " \u{0} \u{1b}" }), 400, "search.text-invalid"),
        (json!({ "product_id": "nobody" }), 404, "product.not-found"),
        (json!({ "product_id": "a", "limit": 101 }), 400, "search.page-size-invalid"),
        (json!({ "product_id": "a", "category": "a\u{0}b" }), 400, "search.filter-invalid"),
    ] {
        let answer = client.post("/v1/search", &query).await.unwrap();
        assert_problem(&answer, status, code);
    }
}

#[tokio::test]
async fn wrong_products_are_refused_and_strange_ones_kept_as_they_are() {
    let client = client();
    let put = |id: &str, body: serde_json::Value| {
        let request = client.request(Method::PUT, &format!("/v1/products/{id}")).json(&body);
        client.send(request)
    };
    let vector = vec![1.0; 1280];
    for body in [
        json!({ "title": "x".repeat(2000), "vector": vector }),
        json!({ "quality": 1.5, "vector": vector }),
        json!({ "category": "a\nb", "vector": vector }),
        json!({ "title": "nothing to find it by" }),
        json!({ "vector": [1.0, 2.0] }),
        json!({ "vector": vec![0.0; 1280] }),
        json!({ "vector": vector, "colour": "red" }),
    ] {
        let answer = put("wrong", body.clone()).await.unwrap();
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.beginning());
        assert!(!answer.code().is_empty(), "{}", answer.beginning());
    }
    for (index, strange) in
        ["'; DROP TABLE products; --", "%_\\", "«ü»", "<script>alert(1)</script>", "👟", "${jndi:ldap://x}"].into_iter().enumerate()
    {
        let mut values = vec![0.001; 1280];
        values[index] = 1.0;
        let id = format!("strange-{index}");
        let answer = put(&id, json!({ "title": strange, "category": strange, "vector": values })).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.beginning());
        let found = ok(&client.post("/v1/search", &json!({ "vector": values, "category": strange })).await.unwrap());
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found["items"][0]["product"]["title"], strange);
    }
}
