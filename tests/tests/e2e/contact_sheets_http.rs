//! `POST /v1/sheets` and `compose-sheet` by name.

use breakwater_tests::forged;
use breakwater_tests::service::Launch;
use bytes::Bytes;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::contact_sheets::tool;
use crate::support::{assert_problem, client, image_service, ok, shared, start};

fn form(count: usize, fields: &[(&'static str, &str)]) -> Form {
    let picture = forged::jpeg(120, 80).unwrap();
    let part = |_| Part::bytes(picture.to_vec()).file_name("a.jpg");
    let form = (0..count).map(part).fold(Form::new(), |form, part| form.part("images", part));
    fields.iter().fold(form, |form, (name, value)| form.text(*name, (*value).to_owned()))
}

async fn asked(form: Form, accept: &str) -> breakwater_tests::client::Answer {
    let client = client();
    client.send(client.request(Method::POST, "/v1/sheets").header("accept", accept).multipart(form)).await.unwrap()
}

fn stored(names: &[&str]) -> Bytes {
    let picture = forged::jpeg(120, 80).unwrap();
    for name in names {
        std::fs::write(shared().media_root().join(name), &picture).unwrap();
    }
    picture
}

#[tokio::test]
async fn the_request_of_the_image_processing_client_makes_a_pdf_below_the_media_root() {
    stored(&["processed1.jpg", "processed2.jpg"]);
    let request = json!({
        "processed_images": ["/processed1.jpg", "/processed2.jpg"],
        "grid_layout": { "rows": 2, "columns": 2 },
        "sheet_orientation": "portrait",
        "output_format": "pdf"
    });
    let answer = ok(&client().post("/v1/sheets", &request).await.unwrap());
    let expected = json!({ "pages": 1, "placed": 2, "places_per_page": 4, "degraded": false, "served_by": "host:local", "sheet_orientation": "portrait" });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[name], value, "{name} of {answer}");
    }
    let path = answer["output_path"].as_str().unwrap();
    let file = shared().media_root().join(&path[1..]);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), answer["output"]["bytes"].as_u64().unwrap());
    tool("qpdf", shared().home(), &["--check", file.to_str().unwrap()]);
    // The same by name, and the same file again.
    let by_name = ok(&client().call("compose-sheet", &request).await.unwrap());
    assert_eq!((&by_name["output"]["output_path"], &by_name["served_by"]), (&answer["output_path"], &json!("host:local")), "{by_name}");
}

#[tokio::test]
async fn photographs_that_are_sent_come_back_as_a_sheet() {
    let grid = r#"{"rows": 1, "columns": 2}"#;
    let answer = asked(form(2, &[("grid_layout", grid), ("captions", "one"), ("captions", "\u{10fffd}")]), "application/pdf").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/pdf"), "{}", answer.beginning());
    assert_eq!((answer.header("x-breakwater-pages"), answer.header("x-breakwater-placed")), ("1", "2"));
    assert_eq!(answer.header("x-breakwater-missing-characters"), "1", "no font has the last character there is");
    assert!(answer.body.starts_with(b"%PDF-1.7") && answer.body.ends_with(b"%%EOF\n"));
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());

    let png = [("grid_layout", grid), ("output_format", "png"), ("dpi", "100"), ("page_size", "4x6in")];
    let answer = asked(form(2, &png), "image/*").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/png"), "{}", answer.beginning());
    assert_eq!(image::load_from_memory(&answer.body).unwrap().to_rgb8().dimensions(), (400, 600));
    assert_problem(&asked(form(3, &png), "image/*").await, 400, "sheet.several-files");
    let several = ok(&asked(form(3, &png), "application/json").await);
    assert_eq!(several["output_paths"].as_array().unwrap().len(), 2, "{several}");
    assert_problem(&asked(form(1, &png), "application/pdf").await, 406, "http.not-acceptable");
}

#[tokio::test]
async fn a_strategy_cuts_and_guides_are_drawn() {
    let fields = [("photo_size", "35x45mm"), ("page_size", "4x6in"), ("crop_strategy", "center"), ("cut_guides", "marks"), ("bleed", "0")];
    let answer = ok(&asked(form(1, &fields), "*/*").await);
    assert_eq!((&answer["placed"], &answer["turned"], &answer["degraded"]), (&json!(8), &json!(true), &json!(false)), "{answer}");
    let unknown = asked(form(1, &[("photo_size", "35x45mm"), ("crop_strategy", "centre")]), "*/*").await;
    assert_eq!(unknown.code(), "strategy.unknown");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_its_code() {
    let grid = |rows: i64, columns: i64| json!({ "rows": rows, "columns": columns });
    let names = |count: usize| vec!["/processed1.jpg"; count];
    stored(&["processed1.jpg"]);
    for (body, status, code) in [
        (json!({ "processed_images": names(1), "grid_layout": grid(1, 0) }), 400, "sheet.grid-invalid"),
        (json!({ "processed_images": names(1), "grid_layout": grid(101, 1) }), 400, "sheet.grid-invalid"),
        (json!({ "processed_images": names(1), "grid_layout": grid(-1, 1) }), 400, "request.field-invalid"),
        (json!({ "processed_images": names(1) }), 400, "sheet.layout-missing"),
        (json!({ "processed_images": names(0), "grid_layout": grid(1, 1) }), 400, "sheet.images-missing"),
        (json!({ "processed_images": names(10_000), "grid_layout": grid(1, 1) }), 422, "sheet.too-many-images"),
        (json!({ "processed_images": names(1), "photo_size": "300x400mm" }), 400, "sheet.does-not-fit"),
        (json!({ "processed_images": names(1), "grid_layout": grid(1, 1), "margin": "110mm" }), 400, "sheet.does-not-fit"),
        (json!({ "processed_images": names(1), "grid_layout": grid(1, 1), "page_size": "A99" }), 400, "sheet.size-invalid"),
        (json!({ "processed_images": names(1), "grid_layout": grid(1, 1), "output_format": "tiff" }), 400, "sheet.option-unknown"),
        (json!({ "processed_images": names(1), "grid_layout": grid(1, 1), "captions": ["a", "b"] }), 400, "sheet.captions-mismatch"),
        (
            json!({ "processed_images": names(1), "grid_layout": grid(1, 1), "output_format": "png", "page_size": "A3", "dpi": 1200 }),
            422,
            "sheet.too-many-pixels",
        ),
        (json!({ "processed_images": names(1), "gird_layout": grid(1, 1) }), 400, "request.unknown-field"),
    ] {
        assert_problem(&client().post("/v1/sheets", &body).await.unwrap(), status, code);
    }
    for (name, value, detail) in [
        ("grid_layout", json!({ "rows": "2", "columns": 2 }), "/grid_layout/rows: invalid type: string \"2\", expected u32"),
        ("grid_layout", json!("2x2"), "/grid_layout: invalid type: string \"2x2\", expected an object with rows and columns"),
        ("dpi", json!("high"), "/dpi: invalid type: string \"high\", expected u32"),
    ] {
        let mut body = json!({ "processed_images": names(1), "grid_layout": grid(1, 1) });
        body[name] = value;
        let answer = client().post("/v1/sheets", &body).await.unwrap();
        assert_problem(&answer, 400, "request.field-invalid");
        let problem = answer.json().unwrap();
        assert_eq!(problem["detail"], detail);
        assert!(problem["violations"][0]["pointer"].as_str().unwrap().starts_with(&format!("/{name}")), "{problem}");
    }
    let numbers = json!({ "processed_images": names(1), "grid_layout": grid(1, 1), "margin": 5, "gap": 2.5 });
    assert_eq!(ok(&client().post("/v1/sheets", &numbers).await.unwrap())["placed"], 1, "a number is millimetres");
    let zero = client().call("compose-sheet", &json!({ "processed_images": names(1), "grid_layout": grid(1, 0) })).await.unwrap();
    assert_problem(&zero, 400, "operation.input-invalid");
}

#[tokio::test]
async fn photographs_that_cannot_be_read_are_named_by_their_index() {
    stored(&["processed1.jpg"]);
    std::fs::write(shared().media_root().join("text.jpg"), "no picture").unwrap();
    let paths = ["/processed1.jpg", "/text.jpg", "/none.jpg", "/processed1.jpg", "/../outside.jpg"];
    let request = json!({ "processed_images": paths, "grid_layout": { "rows": 1, "columns": 1 } });
    let answer = client().post("/v1/sheets", &request).await.unwrap();
    assert_problem(&answer, 400, "sheet.images-unreadable");
    let images = answer.json().unwrap()["details"]["images"].as_array().unwrap().clone();
    let of = |name: &str| images.iter().map(|image| image[name].clone()).collect::<Vec<Value>>();
    assert_eq!(of("index"), [json!(1), json!(2), json!(4)]);
    assert_eq!(of("code")[..2], [json!("image.unsupported"), json!("media.not-found")]);
    assert_eq!(of("path")[2], "/../outside.jpg");
}

#[tokio::test]
async fn a_service_elsewhere_is_asked_first_and_the_host_makes_what_it_cannot() {
    let Some(remote) = image_service(&[]) else { return };
    let upstream = format!("[upstreams.image-service]\nendpoints = [\"{}\"]\nretries = 0\n", remote.base());
    let (service, client) = start(Launch::with_plugins().unwrap().config(&upstream));
    std::fs::write(service.media_root().join("a.jpg"), forged::jpeg(60, 40).unwrap()).unwrap();
    let plain = json!({ "processed_images": ["/a.jpg"], "grid_layout": { "rows": 1, "columns": 1 } });
    let by = |answer: &Value| answer["served_by"].as_str().unwrap().split('@').next().unwrap().to_owned();
    let first = ok(&client.post("/v1/sheets", &plain).await.unwrap());
    assert_eq!((by(&first), &first["degraded"]), ("plugin:adapter-image-service".to_owned(), &json!(false)), "{first}");
    let mut beyond = plain.clone();
    beyond["gap"] = "1mm".into();
    let here = ok(&client.post("/v1/sheets", &beyond).await.unwrap());
    assert_eq!((by(&here), &here["degraded"]), ("host:local".to_owned(), &json!(false)), "{here}");
    remote.kill();
    let alone = ok(&client.post("/v1/sheets", &plain).await.unwrap());
    assert_eq!((by(&alone), &alone["degraded"], &alone["pages"]), ("host:local".to_owned(), &json!(true), &json!(1)), "{alone}");
    assert!(service.media_root().join(&alone["output_path"].as_str().unwrap()[1..]).is_file());
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_and_nothing_is_left() {
    let (service, client) = start(Launch::without_plugins());
    std::fs::write(service.media_root().join("a.jpg"), forged::jpeg(60, 40).unwrap()).unwrap();
    // A file where the output folder would be: nothing can be written, as on a disk without room.
    std::fs::write(service.media_root().join("output"), "").unwrap();
    let request = json!({ "processed_images": ["/a.jpg"], "grid_layout": { "rows": 1, "columns": 1 } });
    assert_problem(&client.post("/v1/sheets", &request).await.unwrap(), 503, "sheet.write-failed");
    assert_eq!(std::fs::read_dir(service.media_root()).unwrap().count(), 2);
}
