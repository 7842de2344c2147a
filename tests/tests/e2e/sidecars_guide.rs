//! docs/sidecars.md: its example runs as it stands, and its configurations are valid.

use std::os::unix::fs::symlink;

use breakwater_tests::artifacts::root;
use breakwater_tests::service::Launch;
use serde_json::json;

use crate::sidecar_service::{Host, breakwater, flask_or_say, said};
use crate::support::ok;

/// The blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let guide = std::fs::read_to_string(root().join("docs/sidecars.md")).unwrap();
    let opening = format!("```{language}\n");
    guide.split(&opening).skip(1).map(|rest| rest.split("```\n").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_example_of_the_guide_works_as_it_stands() {
    let Some(flask) = flask_or_say("the example of docs/sidecars.md") else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("python")).unwrap();
    symlink(flask, folder.path().join("python/.venv")).unwrap();
    std::fs::write(folder.path().join("python/api_server.py"), &blocks("python")[0]).unwrap();
    let example = &blocks("toml")[0];
    assert!(example.contains("port = 5001"), "{example}");
    // Somebody may have that port on this machine.
    let host = Host::launch(Launch::without_plugins().at(folder.path()), &[], &example.replace("port = 5001", "port = 0   "));
    let status = host.ready("flask").await;
    let answer = ok(&host.client.post("/api/text/analyse", &json!({ "text": "two words" })).await.unwrap());
    assert_eq!((&answer["words"], &answer["worker"]), (&json!(2), &status["instances"][0]["pid"]));
    assert_eq!(host.get("/api/health/python").await["healthy"], true);
}

#[test]
fn every_configuration_of_the_guide_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let examples = blocks("toml");
    assert!(examples.len() >= 5, "{examples:?}");
    for example in examples {
        let file = folder.path().join("breakwater.toml");
        // One that only adds to a sidecar needs one.
        let sidecar = if example.contains("[sidecars.flask]") { "" } else { "[sidecars.flask]\nscript = \"a.py\"\n" };
        std::fs::write(&file, format!("{sidecar}{example}")).unwrap();
        let checked = breakwater(folder.path(), &["config", "check", file.to_str().unwrap()]);
        assert!(checked.status.success(), "{example}\n{}", said(&checked));
    }
}
