//! A remote CLIP service in front of the host's own model: asked first, backed up by what is here, and never mixed with it.

use breakwater_tests::client::Client;
use breakwater_tests::external::ExternalService;
use breakwater_tests::photographs::{self, Photograph};
use breakwater_tests::service::Launch;
use reqwest::Method;
use serde_json::{Value, json};

use crate::search::{form, ids, imported, photographs_into, send};
use crate::support::{assert_problem, clip_service, eventually, ok, start};

/// Short waits, so that a test of failures does not take minutes; everything else as it comes.
const QUICK: &str = "[upstreams.clip-service]\nretry_delay = \"10ms\"\ntimeout = \"2s\"\nhealth_interval = \"100ms\"\n";

fn launch(remote: &ExternalService) -> Launch {
    Launch::with_plugins().unwrap().config(QUICK).environment("PYTHON_IMAGE_SERVICE_URL", remote.base())
}

async fn features(client: &Client, name: &str) -> Value {
    let photograph = Photograph::shipped(name).unwrap();
    ok(&send(client, Method::POST, "/extract-features", form("file", &photograph.bytes, &[])).await)
}

async fn misbehave(remote: &ExternalService, behaviour: &Value) {
    let answer = Client::new(remote.base()).post("/_control", behaviour).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.beginning());
}

#[tokio::test]
async fn the_variable_of_the_image_search_puts_the_service_first_and_the_host_backs_it_up() {
    let Some(remote) = clip_service(&[]) else { return };
    let (_service, client) = start(launch(&remote));
    let first = features(&client, "coffee.png").await;
    assert!(first["served_by"].as_str().unwrap().starts_with("plugin:adapter-clip-service@"), "{first}");
    assert_eq!((&first["dimension"], &first["degraded"], &first["normalized"]), (&json!(512), &json!(false), &json!(true)));

    // Whatever it answers that is no 512 finite numbers is not passed on.
    for behaviour in [json!({ "mode": "html" }), json!({ "mode": "invalid-json" }), json!({ "status": 500 })] {
        misbehave(&remote, &behaviour).await;
        let other = features(&client, "chelsea.png").await;
        assert_eq!((&other["dimension"], &other["degraded"]), (&json!(1280), &json!(true)), "{behaviour}: {other}");
        assert!(!other["served_by"].as_str().unwrap().starts_with("plugin:"), "{other}");
        assert_ne!(other["space"], first["space"]);
    }
    remote.kill();
    let other = features(&client, "camera.png").await;
    assert_eq!((&other["dimension"], &other["degraded"]), (&json!(1280), &json!(true)), "{other}");
}

#[tokio::test]
async fn features_of_a_wrong_dimension_are_refused() {
    let Some(remote) = clip_service(&["--dimension", "511"]) else { return };
    let (_service, client) = start(launch(&remote));
    let answer = features(&client, "coffee.png").await;
    assert_eq!((&answer["dimension"], &answer["degraded"]), (&json!(1280), &json!(true)), "{answer}");
    assert_eq!(answer["degraded_reasons"][0]["code"], "upstream.response-invalid", "{answer}");
}

#[tokio::test]
async fn a_search_goes_on_without_the_service_among_vectors_of_another_space() {
    let Some(remote) = clip_service(&[]) else { return };
    let (service, client) = start(launch(&remote));
    photographs_into(&service, "shop");
    let import = client.post("/v1/products/import", &json!({ "name": "shop", "folder": "/shop" })).await.unwrap();
    assert!([200, 202].contains(&import.status), "{}", import.beginning());
    let status = imported(&client, "shop").await;
    assert_eq!(status["stored"], 5, "{status}");
    for photograph in photographs::shipped().unwrap() {
        let found = ok(&send(&client, Method::POST, "/v1/search", form("image", &photograph.bytes, &[("limit", "1")])).await);
        assert!(ids(&found)[0].ends_with(&photograph.name), "{found}");
        assert!(found["space"].as_str().unwrap().ends_with("-512"), "{found}");
    }
    remote.kill();
    // Other bytes than before, so that no kept answer helps.
    let coffee = crate::search::changed(&Photograph::shipped("coffee.png").unwrap().bytes, |picture| picture.fliph());
    let found = ok(&send(&client, Method::POST, "/v1/search", form("image", &coffee, &[("limit", "1")])).await);
    assert_eq!(found["degraded"], true, "{found}");
    assert!(!found["space"].as_str().unwrap().ends_with("-512"), "{found}");
    assert!(ids(&found)[0].ends_with("coffee.png"), "{found}");
}

#[tokio::test]
async fn without_any_model_the_classical_descriptor_answers_in_its_own_space() {
    let config = "[chains.extract-features]\nproviders = [\"fallbacks\"]\n";
    let (service, client) = start(Launch::with_plugins().unwrap().config(config));
    let answer = features(&client, "coffee.png").await;
    assert_eq!((&answer["degraded"], &answer["level"]), (&json!(true), &json!("classical-descriptor")), "{answer}");
    assert_eq!(answer["model"], "classical-descriptor-v1");
    photographs_into(&service, "shop");
    client.post("/v1/products/import", &json!({ "name": "shop", "folder": "/shop" })).await.unwrap();
    assert_eq!(imported(&client, "shop").await["stored"], 5);
    let coffee = crate::search::changed(&Photograph::shipped("coffee.png").unwrap().bytes, |picture| picture);
    let found = ok(&send(&client, Method::POST, "/v1/search", form("image", &coffee, &[("limit", "1")])).await);
    assert!(ids(&found)[0].ends_with("coffee.png"), "{found}");
    assert_eq!((&found["model"], &found["degraded"]), (&json!("classical-descriptor-v1"), &json!(true)));
}

#[tokio::test]
async fn a_space_without_products_is_said_and_not_searched() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let coffee = Photograph::shipped("coffee.png").unwrap();
    let answer = send(&client, Method::POST, "/v1/search", form("image", &coffee.bytes, &[])).await;
    assert_problem(&answer, 404, "search.space-not-indexed");
    eventually("the service is well", || async { (client.get("/readyz").await.unwrap().status == 200).then_some(()) }).await;
}
