//! Clients and guests in JavaScript, against the real binary.

use std::path::{Path, PathBuf};

use breakwater_tests::artifacts::{Artifacts, root};
use breakwater_tests::external::{program, run};
use breakwater_tests::service::Launch;
use bytes::Bytes;
use serde_json::json;

use crate::support::{deploy, eventually, image_service, ok, start, talent_service};

/// Node and npm, or a line that says why the test did not run.
fn node() -> Option<(PathBuf, PathBuf)> {
    let found = program("node").zip(program("npm"));
    if found.is_none() {
        println!("NOT RUN: clients and guests in JavaScript (there is no node with npm)");
    }
    found
}

/// Whether Node is as new as the guests' build needs it (`engines` in its package.json), or a line that says why the test did not run.
fn builds_guests(node: &Path) -> bool {
    let version = run(node, &["--version"], &root(), &[]).unwrap();
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    let is_new = major.is_some_and(|major| major >= 20);
    if !is_new {
        println!("NOT RUN: a guest in JavaScript (building it needs Node 20, here is {})", version.trim());
    }
    is_new
}

/// What npm printed if its packages are there, or a line that says why the test did not run: the registry cannot be reached.
fn fetched(what: &str, said: anyhow::Result<String>) -> Option<String> {
    const UNREACHABLE: [&str; 7] = ["ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH"];
    match said {
        Ok(said) => Some(said),
        Err(error) if UNREACHABLE.iter().any(|code| error.to_string().contains(code)) => {
            println!("NOT RUN: {what} (npm cannot fetch its packages)");
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

fn scratch(name: &str) -> PathBuf {
    let folder = Artifacts::locate().unwrap().guests.with_file_name("breakwater-node").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn copied(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if name == "node_modules" || name == "dist" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(to.join(&name)).unwrap();
            copied(&entry.path(), &to.join(&name));
        } else {
            std::fs::copy(entry.path(), to.join(&name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_for_node_does_what_its_documents_promise() {
    let Some((_, npm)) = node() else { return };
    // Outside of the checkout, so that nothing is left in it.
    let folder = scratch("client");
    copied(&root().join("clients/typescript"), &folder);
    let said = run(&npm, &["ci", "--no-audit", "--no-fund"], &folder, &[]);
    let Some(_) = fetched("the client for Node", said) else { return };

    let Some((images, talent)) = image_service(&[]).zip(talent_service(&[])) else { return };
    let config = format!(
        "[upstreams.image-service]\nendpoints = [\"{}\"]\nretry_delay = \"10ms\"\nhealth_interval = \"100ms\"\nhealth_unhealthy_interval = \"100ms\"\n\
         [upstreams.talent-service]\nendpoints = [\"{}\"]\nretry_delay = \"10ms\"\nhealth_interval = \"100ms\"\nhealth_unhealthy_interval = \"100ms\"\n\
         [chains.generate-resume]\nflag = \"ai-document-generation\"\n[chains.find-matching-jobs]\nflag = \"ai-job-matching\"\n\
         [chains.calculate-analytics]\nflag = \"ai-analytics\"\n",
        images.base(),
        talent.base()
    );
    let (service, _client) = start(Launch::with_plugins().unwrap().config(&config));
    let picture = root().join("tests/images/astronaut.png");
    std::fs::create_dir_all(service.media_root().join("uploads")).unwrap();
    for name in ["image.jpg", "image1.jpg", "image2.jpg"] {
        std::fs::copy(&picture, service.media_root().join("uploads").join(name)).unwrap();
    }
    let environment = [("BREAKWATER_URL", service.base()), ("IMAGE_SERVICE_URL", images.base()), ("TALENT_SERVICE_URL", talent.base())];
    let said = tokio::task::block_in_place(|| run(&npm, &["test"], &folder, &environment)).unwrap();
    let line = |name: &str| {
        let count = said.lines().find_map(|line| line.split_once(name)?.1.trim().parse::<u32>().ok());
        count.unwrap_or_else(|| panic!("no {name} in {said}"))
    };
    assert!(line(" pass ") >= 16 && line(" fail ") == 0, "{said}");
    assert_eq!(line(" skipped "), 0, "{said}");
}

#[tokio::test]
async fn a_guest_that_calls_fetch_gets_retries_and_the_breaker() {
    let Some((node, _)) = node() else { return };
    if !builds_guests(&node) {
        return;
    }
    // Where `cargo xtask test` has built it already: then this only looks.
    let out = Artifacts::locate().unwrap().guests;
    let build = root().join("tests/guests-js/build.mjs");
    let said = run(&node, &[build.as_os_str(), out.as_os_str()], &root(), &[]);
    let Some(_) = fetched("a guest in JavaScript", said) else { return };
    let component = Bytes::from(std::fs::read(out.join("fetch_through.wasm")).unwrap());
    let manifest = std::fs::read_to_string(root().join("tests/guests-js/fetch-through/plugin.toml")).unwrap();

    let Some(remote) = image_service(&[]) else { return };
    let config = format!(
        "[upstreams.image-service]\nendpoints = [\"{}\"]\nretry_delay = \"10ms\"\nhealth_interval = \"1h\"\nbreaker_failures = 2\n\
         breaker_reset = \"1h\"\n[plugins.grants]\nadapter-fetch-through = [\"blobs\", \"http\", \"upstream\", \"logging\", \"config\"]\n",
        remote.base()
    );
    let (_service, client) = start(Launch::without_plugins().config(&config));
    let deployed = deploy(&client, &manifest.replace("fetch_through.wasm", "component.wasm"), &component).await;
    assert!([200, 201].contains(&deployed.status), "{}", deployed.beginning());

    let control = breakwater_tests::client::Client::new(remote.base());
    let input = json!({ "path": "/detect", "method": "GET" });
    let answer = ok(&client.call("fetch-through", &json!({ "path": "/health" })).await.unwrap());
    assert_eq!(answer["output"]["status"], 200, "{answer}");

    // Two refusals, then an answer: the guest's one fetch was three requests.
    control.post("/_control", &json!({ "status": 503, "next": 2 })).await.unwrap();
    let answer = ok(&client.call("fetch-through", &json!({ "path": "/health" })).await.unwrap());
    assert_eq!((&answer["output"]["status"], &answer["upstream_attempts"]), (&json!(200), &json!(3)), "{answer}");

    control.post("/_control", &json!({ "mode": "reset" })).await.unwrap();
    eventually("the breaker opens", || async {
        let _failed = client.call("fetch-through", &input).await.unwrap();
        let status = ok(&client.get("/v1/upstreams/image-service").await.unwrap());
        (status["breaker"] == "open").then_some(())
    })
    .await;
    let before = control.get("/_control").await.unwrap().json().unwrap();
    let _failed = client.call("fetch-through", &input).await.unwrap();
    let after = control.get("/_control").await.unwrap().json().unwrap();
    assert_eq!(before["total"], after["total"], "an open breaker sends nothing");
}
