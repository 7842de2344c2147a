use breakwater_core::Attachment;
use breakwater_plugins::OperationSchema;

use super::*;
use crate::source::ImageSource;

#[test]
fn an_input_survives_the_way_out_and_back() {
    let schema = OperationSchema::compile(spec()).unwrap();
    let request = |by: SearchBy| SearchRequest {
        page_size: Some(7),
        cursor: Some("abc".into()),
        filter: Filter { categories: vec!["a".into()], attributes: [("b".into(), "c".into())].into(), min_quality: Some(0.1) },
        min_similarity: Some(-0.3),
        fold_duplicates: false,
        duplicate_distance: Some(3),
        category_weights: [("a".into(), 1.7)].into(),
        quality_weight: Some(0.2),
        parameters: json!({ "x": 1 }),
        exact: true,
        ..SearchRequest::by(by)
    };
    let named = |by: SearchBy| SearchRequest { model: Some("clip".into()), ..request(by) };
    let requests = [
        named(SearchBy::Image(ImageSource::Path("/a.jpg".into()))),
        named(SearchBy::Image(ImageSource::Bytes(bytes::Bytes::from_static(b"x")))),
        named(SearchBy::Text("ein Schuh".into())),
        named(SearchBy::Product("sku".into())),
        request(SearchBy::Vector { values: vec![0.1, -0.2], model: Some("clip".into()) }),
        SearchRequest::by(SearchBy::Text("x".into())),
    ];
    for request in requests {
        let payload = to_payload(&request);
        schema.check_input(&payload.json).unwrap();
        assert_eq!(input(payload).unwrap(), request);
    }
}

#[test]
fn one_thing_is_looked_for() {
    let attachment = Attachment { media_type: "image/png".into(), bytes: bytes::Bytes::from_static(b"x") };
    let code = |json: Value, attachments: Vec<Attachment>| input(Payload { json, attachments }).unwrap_err().code;
    assert_eq!(code(json!({}), Vec::new()), "operation.image-missing");
    assert_eq!(code(json!({ "text": "a", "product_id": "b" }), Vec::new()), "operation.input-invalid");
    assert_eq!(code(json!({ "text": "a", "image_path": "b" }), Vec::new()), "operation.input-invalid");
    assert_eq!(code(json!({ "vector": [1.0] }), vec![attachment]), "operation.input-invalid");
}

#[test]
fn an_output_survives_the_way_out_and_back_and_fits_its_schema() {
    let product = Product {
        id: "sku".into(),
        title: "Schuh".into(),
        category: "schuhe".into(),
        attributes: [("farbe".into(), "rot".into())].into(),
        image: "/a.jpg".into(),
        quality: 0.3,
        perceptual_hash: Some(u64::MAX - 1),
        image_digest: Some("ab".into()),
    };
    let page = SearchPage {
        items: vec![SearchItem { product, similarity: 0.9, score: 1.3, duplicates: vec!["other".into()] }],
        next_cursor: Some("abc".into()),
        model: "clip".into(),
        space: "clip-0123456789ab-512".into(),
        arm: Some(SearchArm { alias: "best".into(), model: "clip".into(), other: true }),
        method: Method::Iterative,
        ef: 64,
        scanned: 1000,
        selectivity: 0.25,
        recall: Some(SearchRecall { mean: 0.99, worst_decile: 0.9, sample: 7 }),
        pending: 3,
        ranked_by: "host".into(),
        timings: SearchTimings { embed: Duration::from_millis(3), total: Duration::from_millis(5), ..SearchTimings::default() },
    };
    let reply = output(&page);
    OperationSchema::compile(spec()).unwrap().check_output(&reply.json).unwrap();
    assert_eq!(reply.json["items"][0]["similarity"], 0.9);
    assert_eq!(from_payload(reply).unwrap(), page);
}
