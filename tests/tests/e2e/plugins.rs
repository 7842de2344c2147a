//! Plugins deployed, exchanged and removed over HTTP, while the service runs.

use breakwater_tests::client::Client;
use breakwater_tests::forged;
use breakwater_tests::service::Launch;
use serde_json::{Value, json};

use crate::support::{assert_problem, deploy, guest, manifest, ok, start};

/// The version that the guest `versioned` says it is.
async fn version(client: &Client) -> f64 {
    let picture = forged::plain_png(60, 40).unwrap();
    let answer = ok(&client.crop(&picture, &[("target_aspect_ratio", &"1:1"), ("crop_strategy", &"versioned")]).await.unwrap());
    let reasons = answer["reasons"].as_array().unwrap();
    reasons.iter().find(|term| term["name"] == "version").unwrap_or_else(|| panic!("{answer}"))["value"].as_f64().unwrap()
}

async fn plugin(client: &Client, id: &str) -> Option<Value> {
    let list = ok(&client.get("/v1/plugins").await.unwrap());
    list["plugins"].as_array().unwrap().iter().find(|plugin| plugin["id"] == id).cloned()
}

#[tokio::test]
async fn a_new_version_serves_a_rollback_undoes_it_and_an_old_one_can_be_chosen_and_removed() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let first = deploy(&client, &manifest("versioned", "1.0.0", ""), &guest("answers-v1")).await;
    assert_eq!(first.status, 201, "{}", first.beginning());
    assert_eq!(version(&client).await, 1.0);
    let second = deploy(&client, &manifest("versioned", "2.0.0", ""), &guest("answers-v2")).await;
    assert_eq!(second.status, 201, "{}", second.beginning());
    assert_eq!(version(&client).await, 2.0);

    let back = ok(&client.post("/v1/plugins/versioned/rollback", &json!({})).await.unwrap());
    assert_eq!((back["version"].as_str(), version(&client).await), (Some("1.0.0"), 1.0));
    let digest = second.json().unwrap()["digest"].as_str().unwrap().to_owned();
    ok(&client.post("/v1/plugins/versioned/activate", &json!({ "digest": digest })).await.unwrap());
    assert_eq!(version(&client).await, 2.0);

    let listed = plugin(&client, "versioned").await.unwrap();
    assert_eq!(listed["active"], digest.as_str());
    assert_eq!(listed["generations"].as_array().unwrap().len(), 2);
    let in_use = client.delete(&format!("/v1/plugins/versioned/generations/{digest}")).await.unwrap();
    assert_problem(&in_use, 409, "plugin.generation-in-use");
    let old = first.json().unwrap()["digest"].as_str().unwrap().to_owned();
    assert_eq!(client.delete(&format!("/v1/plugins/versioned/generations/{old}")).await.unwrap().status, 204);
    assert_eq!(plugin(&client, "versioned").await.unwrap()["generations"].as_array().unwrap().len(), 1);
    let gone = client.post("/v1/plugins/versioned/activate", &json!({ "digest": old })).await.unwrap();
    assert_problem(&gone, 404, "plugin.not-found");
}

#[tokio::test]
async fn a_plugin_that_cannot_serve_never_becomes_visible() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let before = ok(&client.get("/v1/plugins").await.unwrap());
    let whole = guest("answers-v1");
    for (what, manifest, component, code) in [
        ("a manifest without id", "version = \"1.0.0\"\n".to_owned(), whole.clone(), "plugin.manifest-invalid"),
        ("an id with a blank", manifest("not an id", "1.0.0", ""), whole.clone(), "plugin.manifest-invalid"),
        ("half a component", manifest("broken", "1.0.0", ""), guest("corrupt"), "plugin.component-invalid"),
        ("no component at all", manifest("broken", "1.0.0", ""), "not wasm".into(), "plugin.component-invalid"),
        (
            "a world that does not exist",
            manifest("broken", "1.0.0", "").replace("crop-plugin@0.1.0", "crop-plugin@9.9.9"),
            whole.clone(),
            "plugin.",
        ),
        ("a strategy that is taken", manifest("other-basic", "1.0.0", ""), basic(), "plugin.strategy-taken"),
    ] {
        let answer = deploy(&client, &manifest, &component).await;
        assert!((400..500).contains(&answer.status) && answer.code().starts_with(code), "{what}: {} {}", answer.status, answer.beginning());
        assert_problem(&answer, answer.status, &answer.code());
    }
    let after = ok(&client.get("/v1/plugins").await.unwrap());
    let ids = |list: &Value| list["plugins"].as_array().unwrap().iter().map(|plugin| plugin["id"].to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&before), ids(&after));
}

/// The component of `crop-basic`, whose strategies are taken.
fn basic() -> bytes::Bytes {
    let folder = breakwater_tests::artifacts::Artifacts::locate().unwrap().plugins.join("crop-basic");
    std::fs::read(folder.join("crop_basic.wasm")).unwrap().into()
}

#[tokio::test]
async fn a_capability_that_is_not_granted_is_refused() {
    let (_service, client) = start(Launch::with_plugins().unwrap().config("[plugins.grants]\nversioned = []\n"));
    let answer = deploy(&client, &manifest("versioned", "1.0.0", ""), &guest("answers-v1")).await;
    assert_problem(&answer, 403, "plugin.capability-denied");
}

#[tokio::test]
async fn unknown_plugins_and_digests_are_problems() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    assert_problem(&client.post("/v1/plugins/nobody/rollback", &json!({})).await.unwrap(), 404, "plugin.not-found");
    let short = client.post("/v1/plugins/crop-basic/activate", &json!({ "digest": "abc" })).await.unwrap();
    assert_problem(&short, 400, "plugin.digest-invalid");
    assert_problem(&client.delete("/v1/plugins/crop-basic/generations/abc").await.unwrap(), 400, "plugin.digest-invalid");
}
