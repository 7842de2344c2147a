//! Products and the search for them, over HTTP, with the model that is shipped.

use breakwater_tests::client::{Answer, Client};
use breakwater_tests::photographs;
use breakwater_tests::service::{Launch, Service};
use bytes::Bytes;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{assert_problem, eventually, ok, start};

/// A picture changed by `change`, as a JPEG.
pub(crate) fn changed(picture: &Bytes, change: impl FnOnce(image::DynamicImage) -> image::DynamicImage) -> Bytes {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let picture = change(image::load_from_memory(picture).unwrap()).into_rgb8();
    picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    jpeg.into_inner().into()
}

/// A form with a picture and text fields.
pub(crate) fn form(file: &'static str, picture: &Bytes, fields: &[(&'static str, &str)]) -> Form {
    let picture = Part::stream(picture.clone()).file_name("picture.jpg");
    let form = Form::new().part(file, picture);
    fields.iter().fold(form, |form, (name, value)| form.text(*name, (*value).to_owned()))
}

pub(crate) async fn send(client: &Client, method: Method, path: &str, form: Form) -> Answer {
    client.send(client.request(method, path).multipart(form)).await.unwrap()
}

/// Copies the shipped photographs into a folder below the media root.
pub(crate) fn photographs_into(service: &Service, folder: &str) {
    let target = service.media_root().join(folder);
    std::fs::create_dir_all(&target).unwrap();
    for photograph in photographs::shipped().unwrap() {
        std::fs::write(target.join(&photograph.name), &photograph.bytes).unwrap();
    }
}

/// Waits until an import has ended, and gives how it ended.
pub(crate) async fn imported(client: &Client, name: &str) -> Value {
    eventually("the import ends", || async {
        let status = ok(&client.get(&format!("/v1/imports/{name}")).await.unwrap());
        (status["state"] != "running").then_some(status)
    })
    .await
}

pub(crate) fn ids(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|item| item["product"]["id"].as_str().unwrap().to_owned()).collect()
}

async fn with_photographs() -> (Service, Client) {
    let (service, client) = start(Launch::with_plugins().unwrap());
    photographs_into(&service, "shop");
    let answer = client.post("/v1/products/import", &json!({ "name": "shop", "folder": "/shop" })).await.unwrap();
    assert!([200, 202].contains(&answer.status), "{}", answer.beginning());
    let status = imported(&client, "shop").await;
    assert_eq!((&status["state"], &status["stored"], &status["failed"]), (&json!("finished"), &json!(5), &json!(0)), "{status}");
    (service, client)
}

#[tokio::test]
async fn a_folder_is_imported_and_changed_photographs_find_their_originals() {
    let (_service, client) = with_photographs().await;
    for photograph in photographs::shipped().unwrap() {
        type Change = fn(image::DynamicImage) -> image::DynamicImage;
        let changes: [(&str, Change); 4] = [
            ("mirrored", |picture| picture.fliph()),
            ("grey", |picture| picture.grayscale()),
            ("dark", |picture| picture.brighten(-60)),
            ("cut", |picture| {
                picture.crop_imm(picture.width() / 7, picture.height() / 7, picture.width() * 5 / 7, picture.height() * 5 / 7)
            }),
        ];
        for (name, change) in changes {
            let query = form("image", &changed(&photograph.bytes, change), &[("limit", "3")]);
            let answer = ok(&send(&client, Method::POST, "/v1/search", query).await);
            assert!(ids(&answer)[0].ends_with(&photograph.name), "{name} {}: {answer}", photograph.name);
            assert_eq!(answer["model"], "efficientnet-lite0");
            assert_eq!((&answer["degraded"], &answer["index"]["method"]), (&json!(false), &json!("exact")));
            let similarities: Vec<f64> =
                answer["items"].as_array().unwrap().iter().map(|item| item["similarity"].as_f64().unwrap()).collect();
            assert!(similarities[0] > 0.5 && similarities.windows(2).all(|pair| pair[0] >= pair[1]), "{similarities:?}");
        }
    }
}

#[tokio::test]
async fn products_are_put_found_changed_and_deleted() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let photographs = photographs::shipped().unwrap();
    for (index, photograph) in photographs.iter().enumerate() {
        let category = if index % 2 == 0 { "even" } else { "odd" };
        let attributes = format!(r#"{{"name":"{}"}}"#, photograph.name);
        let fields = [("title", photograph.name.as_str()), ("category", category), ("attributes", attributes.as_str())];
        let answer = send(&client, Method::PUT, &format!("/v1/products/p{index}"), form("image", &photograph.bytes, &fields)).await;
        assert_eq!(answer.status, 201, "{}", answer.beginning());
        let put = answer.json().unwrap();
        assert_eq!((&put["created"], &put["indexed"]), (&json!(true), &json!(true)), "{put}");
    }
    let product = ok(&client.get("/v1/products/p0").await.unwrap());
    assert_eq!((&product["title"], &product["category"]), (&json!("astronaut.png"), &json!("even")), "{product}");
    assert_eq!(product["attributes"], json!({ "name": "astronaut.png" }));
    assert_eq!(product["image_digest"].as_str().unwrap().len(), 64);

    // Like another product, which is not found itself; with a filter; by a vector.
    let like = ok(&client.post("/v1/search", &json!({ "product_id": "p0" })).await.unwrap());
    assert_eq!(ids(&like).len(), 4, "{like}");
    assert!(!ids(&like).contains(&"p0".to_owned()));
    let odd = ok(&client.post("/v1/search", &json!({ "product_id": "p0", "category": "odd" })).await.unwrap());
    assert_eq!(ids(&odd).len(), 2, "{odd}");
    let named = ok(&client.post("/v1/search", &json!({ "product_id": "p0", "attributes": { "name": "coffee.png" } })).await.unwrap());
    assert_eq!(ids(&named), ["p3"]);
    let features = ok(&send(&client, Method::POST, "/extract-features", form("file", &photographs[3].bytes, &[])).await);
    assert_eq!((features["dimension"].as_u64(), features["embedding"].as_array().unwrap().len()), (Some(1280), 1280));
    let by_vector = ok(&client.post("/v1/search", &json!({ "vector": features["embedding"], "limit": 1 })).await.unwrap());
    assert_eq!(ids(&by_vector), ["p3"]);
    assert!(by_vector["items"][0]["similarity"].as_f64().unwrap() > 0.999, "{by_vector}");

    // A change of the category alone is seen by the next search.
    let changed =
        client.send(client.request(Method::PUT, "/v1/products/p0").multipart(form("image", &photographs[0].bytes, &[("category", "odd")])));
    assert_eq!(changed.await.unwrap().status, 200);
    let odd = ok(&client.post("/v1/search", &json!({ "product_id": "p1", "category": "odd" })).await.unwrap());
    assert_eq!(
        {
            let mut ids = ids(&odd);
            ids.sort();
            ids
        },
        ["p0", "p3"]
    );

    let deleted = client.delete("/v1/products/p3").await.unwrap();
    assert_eq!(deleted.status, 200, "{}", deleted.beginning());
    assert_problem(&client.get("/v1/products/p3").await.unwrap(), 404, "product.not-found");
    let by_vector = ok(&client.post("/v1/search", &json!({ "vector": features["embedding"] })).await.unwrap());
    assert!(!ids(&by_vector).contains(&"p3".to_owned()), "{by_vector}");
    let listed = ok(&client.get("/v1/products?limit=3").await.unwrap());
    assert_eq!((listed["items"].as_array().unwrap().len(), listed["total"].as_u64()), (3, Some(4)), "{listed}");
}

#[tokio::test]
async fn pages_go_on_and_a_cursor_belongs_to_its_search() {
    let (_service, client) = with_photographs().await;
    let query = json!({ "image_path": "/shop/chelsea.png", "limit": 2 });
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = query.clone();
        query["cursor"] = cursor.clone().into();
        let page = ok(&client.post("/v1/search", &query).await.unwrap());
        seen.extend(ids(&page));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        assert!(seen.len() < 20, "{seen:?}");
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (5, 5), "{seen:?}");

    let first = ok(&client.post("/v1/search", &query).await.unwrap());
    let cursor = first["next_cursor"].as_str().unwrap();
    let other = json!({ "image_path": "/shop/coffee.png", "limit": 2, "cursor": cursor });
    assert_problem(&client.post("/v1/search", &other).await.unwrap(), 400, "search.cursor-mismatch");
    let broken = json!({ "image_path": "/shop/chelsea.png", "cursor": "bm90aGluZw" });
    assert_problem(&client.post("/v1/search", &broken).await.unwrap(), 400, "search.cursor-invalid");
}

#[tokio::test]
async fn the_route_that_applications_know_takes_a_token_and_pages_by_number() {
    let (_service, client) = with_photographs().await;
    let coffee = photographs::Photograph::shipped("coffee.png").unwrap();
    let search = |page: &str| {
        let query = form("image", &coffee.bytes, &[("page", page), ("limit", "2")]);
        let request = client.request(Method::POST, "/api/v1/products/search-by-image").header("authorization", "Bearer token");
        client.send(request.multipart(query))
    };
    let first = ok(&search("1").await.unwrap());
    assert!(first["data"][0]["product"]["id"].as_str().unwrap().ends_with("coffee.png"), "{first}");
    assert_eq!(first["pagination"]["count"], 2);
    let third = ok(&search("3").await.unwrap());
    assert_eq!((&third["pagination"]["count"], &third["pagination"]["has_more"]), (&json!(1), &json!(false)), "{third}");
}

#[tokio::test]
async fn near_duplicates_are_shown_as_one() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let coffee = photographs::Photograph::shipped("coffee.png").unwrap();
    let copies =
        [coffee.bytes.clone(), changed(&coffee.bytes, |picture| picture), changed(&coffee.bytes, |picture| picture.thumbnail(300, 300))];
    for (index, copy) in copies.iter().enumerate() {
        assert_eq!(send(&client, Method::PUT, &format!("/v1/products/copy{index}"), form("image", copy, &[])).await.status, 201);
    }
    let chelsea = photographs::Photograph::shipped("chelsea.png").unwrap();
    assert_eq!(send(&client, Method::PUT, "/v1/products/cat", form("image", &chelsea.bytes, &[])).await.status, 201);
    let folded = ok(&send(&client, Method::POST, "/v1/search", form("image", &coffee.bytes, &[])).await);
    assert_eq!(ids(&folded).len(), 2, "{folded}");
    assert_eq!(folded["items"][0]["duplicates"].as_array().unwrap().len(), 2, "{folded}");
    let all = ok(&send(&client, Method::POST, "/v1/search", form("image", &coffee.bytes, &[("fold_duplicates", "false")])).await);
    assert_eq!(ids(&all).len(), 4, "{all}");
}
