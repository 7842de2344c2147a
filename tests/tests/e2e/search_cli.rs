//! What a newcomer does: index a folder, search it, look at the page, all without a service and without configuration.

use std::path::Path;
use std::process::{Command, Output};

use breakwater_tests::artifacts::{Artifacts, root};
use breakwater_tests::photographs::Photograph;
use breakwater_tests::service::Launch;
use serde_json::Value;

use crate::search::changed;

fn breakwater(folder: &Path, arguments: &[&str]) -> Output {
    let artifacts = Artifacts::locate().unwrap();
    let mut command = Command::new(artifacts.binary);
    command.current_dir(folder).env("BREAKWATER__DATA__DIR", folder.join("data")).env("BREAKWATER__PLUGINS__DIR", artifacts.plugins);
    command.args(arguments).output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn images() -> String {
    root().join("tests/images").to_str().unwrap().to_owned()
}

#[test]
fn a_newcomer_indexes_a_folder_and_finds_a_changed_photograph_and_sees_it_on_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let said = succeeded(&breakwater(folder.path(), &["index", &images()]));
    assert!(said.contains('5'), "{said}");
    let query = folder.path().join("query.jpg");
    let original = Photograph::shipped("chelsea.png").unwrap();
    std::fs::write(&query, changed(&original.bytes, |picture| picture.fliph().crop_imm(30, 20, 380, 260))).unwrap();
    let page = folder.path().join("out.html");
    let arguments = ["search", query.to_str().unwrap(), "--top", "3", "--json", "--html", page.to_str().unwrap()];
    let found: Value = serde_json::from_str(&succeeded(&breakwater(folder.path(), &arguments))).unwrap();
    let first = found["items"][0]["product"]["id"].as_str().unwrap();
    assert!(first.ends_with("chelsea.png"), "{found}");
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("<html") && page.contains("chelsea.png") && page.contains("data:image/"), "{}", &page[..page.len().min(400)]);
    assert!(page.matches("data:image/").count() >= 3, "the query and what was found are shown");

    // Indexing the same folder once more changes nothing.
    succeeded(&breakwater(folder.path(), &["index", &images()]));
    let again: Value = serde_json::from_str(&succeeded(&breakwater(folder.path(), &arguments))).unwrap();
    assert_eq!(again["items"].as_array().unwrap().len(), 3);
    assert_eq!(again["items"][0]["product"]["id"].as_str(), Some(first));
}

#[test]
fn what_cannot_be_searched_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let missing = breakwater(folder.path(), &["index", "no-such-folder"]);
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-folder"));
    let unindexed = breakwater(folder.path(), &["search", root().join("tests/images/coffee.png").to_str().unwrap()]);
    assert!(!unindexed.status.success());
    assert!(String::from_utf8_lossy(&unindexed.stderr).contains("breakwater index"), "{}", String::from_utf8_lossy(&unindexed.stderr));
    succeeded(&breakwater(folder.path(), &["index", &images()]));
    let text = breakwater(folder.path(), &["search", "a red dress"]);
    assert!(!text.status.success());
    let said = String::from_utf8_lossy(&text.stderr).into_owned();
    assert!(said.contains("embedder.no-text") && said.contains("breakwater models list"), "{said}");
}

#[test]
fn a_model_whose_files_are_missing_is_named_with_the_place_they_belong_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("breakwater.toml");
    std::fs::write(&config, "[models.clip-vit-base-patch32]\nkind = \"clip\"\n").unwrap();
    let listed = succeeded(&breakwater(folder.path(), &["models", "list", "--config", config.to_str().unwrap()]));
    assert!(listed.contains("efficientnet-lite0") && listed.contains("clip-vit-base-patch32"), "{listed}");
    let checked = breakwater(folder.path(), &["models", "check", "--config", config.to_str().unwrap()]);
    assert!(!checked.status.success());
    let said = format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(said.contains("missing") && said.contains("data/models/clip-vit-base-patch32"), "{said}");
}

#[test]
fn indexing_beside_a_running_service_is_safe_and_seen_by_it() {
    let home = tempfile::tempdir().unwrap();
    let service = Launch::with_plugins().unwrap().at(home.path()).start().unwrap();
    let output = Command::new(Artifacts::locate().unwrap().binary).args(["index", &images(), "--server", service.base()]).output().unwrap();
    succeeded(&output);
    let search = Command::new(Artifacts::locate().unwrap().binary)
        .args(["search", root().join("tests/images/coffee.png").to_str().unwrap(), "--json", "--server", service.base()])
        .output()
        .unwrap();
    let found: Value = serde_json::from_str(&succeeded(&search)).unwrap();
    assert!(found["items"][0]["product"]["id"].as_str().unwrap().contains("coffee"), "{found}");
}
