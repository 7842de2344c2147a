//! The service is killed while products come in; nothing that was answered is lost, and the index agrees with the records.

use breakwater_tests::client::Client;
use breakwater_tests::photographs::{self, Photograph};
use breakwater_tests::postgres::{PostgresServer, Setup};
use breakwater_tests::service::{Launch, Service};
use bytes::Bytes;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::search::{changed, ids, imported};
use crate::support::{assert_problem, eventually, ok, start};

/// A direction that only `index` has.
fn direction(index: usize) -> Vec<f32> {
    let mut values = vec![0.0; 1280];
    values[index % 1280] = 1.0;
    values[(index * 7 + 3) % 1280] += 0.5;
    values
}

async fn put(client: &Client, index: usize) -> Option<Value> {
    let body = json!({ "title": format!("product {index}"), "category": format!("c{}", index % 3), "vector": direction(index) });
    let request = client.request(Method::PUT, &format!("/v1/products/p{index}")).json(&body);
    let answer = client.send(request).await.ok()?;
    [200, 201].contains(&answer.status).then(|| answer.json().unwrap())
}

/// Every product of 0..count is stored, found by its vector, and counted once.
async fn assert_complete(client: &Client, count: usize) {
    for index in 0..count {
        let stored = ok(&client.get(&format!("/v1/products/p{index}")).await.unwrap());
        assert_eq!(stored["title"], format!("product {index}"));
        let query = json!({ "vector": direction(index), "limit": 1, "category": format!("c{}", index % 3) });
        let found = ok(&client.post("/v1/search", &query).await.unwrap());
        assert_eq!(ids(&found), [format!("p{index}")], "{found}");
    }
}

fn again(home: &std::path::Path, config: &str) -> (Service, Client) {
    start(Launch::without_plugins().at(home).config(config))
}

#[tokio::test]
async fn what_was_answered_before_a_kill_is_there_and_found_after_it() {
    let home = tempfile::tempdir().unwrap();
    let (service, client) = again(home.path(), "");
    let answered = std::sync::atomic::AtomicUsize::new(0);
    let writing = async {
        for index in 0..100_000 {
            if put(&client, index).await.is_none() {
                break;
            }
            answered.store(index + 1, std::sync::atomic::Ordering::SeqCst);
        }
    };
    let killing = async {
        eventually("enough is written", || async { (answered.load(std::sync::atomic::Ordering::SeqCst) >= 60).then_some(()) }).await;
        service.signal(Signal::KILL).unwrap();
    };
    tokio::join!(writing, killing);
    let answered = answered.into_inner();
    assert!(answered >= 60, "{answered}");
    drop(service);

    let (_service, client) = again(home.path(), "");
    assert_complete(&client, answered).await;
    let total = ok(&client.get("/v1/products").await.unwrap())["total"].as_u64().unwrap();
    assert!((answered as u64..=answered as u64 + 1).contains(&total), "{total} of {answered}");
}

/// Many different pictures, made of those that are shipped.
fn pictures(folder: &std::path::Path, count: u32) {
    std::fs::create_dir_all(folder).unwrap();
    let coffee = Photograph::shipped("coffee.png").unwrap();
    let picture = image::load_from_memory(&coffee.bytes).unwrap().thumbnail(240, 240);
    for index in 0..count {
        let piece: Bytes = {
            let (left, top) = (index % 20 * 4, index / 20 * 5);
            let small = picture.crop_imm(left, top, 120, 90);
            let mut png = std::io::Cursor::new(Vec::new());
            small.write_to(&mut png, image::ImageFormat::Png).unwrap();
            changed(&png.into_inner().into(), |picture| picture)
        };
        std::fs::write(folder.join(format!("{index:04}.jpg")), &piece).unwrap();
    }
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_and_neither_loses_nor_doubles_a_product() {
    const COUNT: u32 = 150;
    let home = tempfile::tempdir().unwrap();
    let (service, client) = again(home.path(), "");
    pictures(&service.media_root().join("many"), COUNT);
    let import = json!({ "name": "many", "folder": "/many" });
    assert!([200, 202].contains(&client.post("/v1/products/import", &import).await.unwrap().status));
    eventually("some are imported", || async {
        let status = client.get("/v1/imports/many").await.unwrap().json().unwrap();
        (status["stored"].as_u64() >= Some(10)).then_some(())
    })
    .await;
    service.signal(Signal::KILL).unwrap();
    drop(service);

    let (_service, client) = again(home.path(), "");
    let status = client.get("/v1/imports/many").await.unwrap().json().unwrap();
    if status["state"] != "running" && status["state"] != "finished" {
        assert!([200, 202].contains(&client.post("/v1/products/import", &import).await.unwrap().status));
    }
    let status = imported(&client, "many").await;
    assert_eq!((&status["state"], &status["failed"]), (&json!("finished"), &json!(0)), "{status}");
    assert_eq!(status["position"], COUNT, "{status}");
    let listed = ok(&client.get("/v1/products?limit=1000").await.unwrap());
    assert_eq!((listed["total"].as_u64(), listed["items"].as_array().unwrap().len()), (Some(150), 150));
    let search = ok(&client.get("/v1/search/status").await.unwrap());
    assert_eq!(search["spaces"][0]["vectors"], COUNT, "the index agrees with the records: {search}");
}

#[tokio::test]
async fn postgresql_is_killed_in_mid_load_and_everything_recovers_by_itself() {
    let Some(mut postgres) = PostgresServer::start(Setup { durable: true, ..Setup::default() }).unwrap() else { return };
    let home = tempfile::tempdir().unwrap();
    let config = format!("[search]\nindex = \"pgvector\"\npostgres_url = \"{}\"\n", postgres.url());
    let (service, client) = again(home.path(), &config);
    for index in 0..20 {
        assert_eq!(put(&client, index).await.unwrap()["indexed"], true);
    }
    assert_complete(&client, 20).await;

    postgres.kill();
    // The records take products all the same, and say that they cannot be found yet; a search fails with a type.
    for index in 20..30 {
        assert_eq!(put(&client, index).await.unwrap()["indexed"], false, "{index}");
    }
    let refused = client.post("/v1/search", &json!({ "vector": direction(3), "limit": 1 })).await.unwrap();
    assert_problem(&refused, 503, "search.index-unavailable");
    assert!(!refused.beginning().contains(postgres.password()));

    postgres.restart().unwrap();
    eventually("the index is back", || async {
        let answer = client.post("/v1/search", &json!({ "vector": direction(29), "limit": 1 })).await.unwrap();
        (answer.status == 200 && ids(&answer.json().unwrap()) == ["p29"]).then_some(())
    })
    .await;
    assert_complete(&client, 30).await;
    assert!(!service.log().contains(postgres.password()), "a password is in the log");
    let photographs = photographs::shipped().unwrap();
    let picture = crate::search::form("image", &photographs[0].bytes, &[]);
    let found = ok(&crate::search::send(&client, Method::POST, "/v1/search", picture).await);
    assert_eq!(found["items"].as_array().unwrap().len(), 20, "{found}");
}
