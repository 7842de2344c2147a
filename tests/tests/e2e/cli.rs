//! The command line.

use std::path::Path;
use std::process::{Command, Output};

use breakwater_tests::artifacts::{Artifacts, root};
use breakwater_tests::service::Launch;
use serde_json::Value;

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

fn photograph(name: &str) -> String {
    root().join("tests/images").join(name).to_str().unwrap().to_owned()
}

#[test]
fn detect_says_what_is_in_each_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = breakwater(folder.path(), &["detect", "--json", &photograph("astronaut.png"), &photograph("coffee.png")]);
    let text = succeeded(&output);
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2, "one line per file: {text}");
    let faces = |answer: &Value| answer["detections"].as_array().unwrap().iter().filter(|found| found["kind"] == "face").count();
    assert_eq!((faces(&answers[0]), faces(&answers[1])), (1, 0), "{text}");
}

#[test]
fn crop_writes_a_picture_of_the_ratio_for_each_file() {
    let folder = tempfile::tempdir().unwrap();
    let (astronaut, china) = (photograph("astronaut.png"), photograph("china.jpg"));
    let output =
        breakwater(folder.path(), &["crop", "--ratio", "4:6", "--strategy", "center_faces", "--output", "crops", &astronaut, &china]);
    succeeded(&output);
    let written: Vec<_> = std::fs::read_dir(folder.path().join("crops")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(written.len(), 2, "{written:?}");
    for path in written {
        let picture = image::open(&path).unwrap();
        let exact = f64::from(picture.width()) * 6.0 / 4.0;
        assert!((exact - f64::from(picture.height())).abs() <= 1.5, "{path:?}: {}x{}", picture.width(), picture.height());
    }
}

#[test]
fn parameters_reach_the_strategy_of_a_crop() {
    let folder = tempfile::tempdir().unwrap();
    let astronaut = photograph("astronaut.png");
    let left = |parameters: &str| {
        let arguments = ["crop", "--json", "--ratio", "4:6", "--strategy", "center", "--parameters", parameters, &astronaut];
        let answer: Value = serde_json::from_str(&succeeded(&breakwater(folder.path(), &arguments))).unwrap();
        answer["crop"]["x"].as_u64().unwrap()
    };
    assert_eq!(left(r#"{"x": 0.0}"#), 0);
    assert!(left("{}") > 50, "in the middle without it");
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, named) in [
        (&["crop", "a.jpg"][..], "--ratio <RATIO>"),
        (&["crop", "a.jpg", "--ratio", "4:0"], "--ratio <RATIO>"),
        (&["crop", "a.jpg", "--ratio", "4:6", "--parameters", "{x: 1}"], "--parameters <JSON>"),
        (&["crop", "a.jpg", "--ratio", "4:6", "--format", "gif"], "jpeg, png, webp, avif"),
        (&["crop", "a.jpg", "--ratio", "4:6", "--height", "0"], "--height <HEIGHT>"),
        (&["detect", "a.jpg", "--threshold", "2"], "--threshold <THRESHOLD>"),
        (&["sheet", "a.jpg", "--out", "s.pdf", "--grid", "1x1", "--quality", "101"], "--quality <QUALITY>"),
        (&["search", "a dress", "--min-similarity", "2"], "--min-similarity <NUMBER>"),
    ] {
        let output = breakwater(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(named), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}

#[test]
fn a_file_that_is_no_picture_fails_but_the_others_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.jpg");
    std::fs::write(&text, "not a picture").unwrap();
    let output = breakwater(folder.path(), &["detect", "--json", text.to_str().unwrap(), &photograph("coffee.png")]);
    assert!(!output.status.success());
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("text.jpg") && said.contains("image.unsupported"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("coffee.png"), "{said}");
}

#[test]
fn plugins_are_inspected_and_checked_without_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = Artifacts::locate().unwrap().plugins;
    let plugin = plugins.join("crop-people").to_str().unwrap().to_owned();
    let inspected = succeeded(&breakwater(folder.path(), &["plugin", "inspect", &plugin]));
    assert!(inspected.contains("crop-plugin") && inspected.contains("imaging"), "{inspected}");
    let checked = succeeded(&breakwater(folder.path(), &["plugin", "check", &plugin]));
    assert!(checked.contains("center_faces"), "{checked}");
}

#[test]
fn plugins_of_a_running_service_are_listed_deployed_and_rolled_back() {
    let service = Launch::with_plugins().unwrap().start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::locate().unwrap();
    for (version, guest) in [("1.0.0", "answers-v1"), ("2.0.0", "answers-v2")] {
        let package = folder.path().join(version);
        std::fs::create_dir(&package).unwrap();
        std::fs::write(package.join("plugin.toml"), crate::support::manifest("versioned", version, "")).unwrap();
        std::fs::write(package.join("component.wasm"), artifacts.guest(guest).unwrap()).unwrap();
        succeeded(&breakwater(folder.path(), &["plugin", "deploy", "--server", service.base(), package.to_str().unwrap()]));
    }
    let list = || succeeded(&breakwater(folder.path(), &["plugin", "list", "--server", service.base()]));
    let before = list();
    assert!(before.contains("versioned") && before.contains("crop-people") && before.contains("2.0.0"), "{before}");
    succeeded(&breakwater(folder.path(), &["plugin", "rollback", "--server", service.base(), "versioned"]));
    assert_ne!(list(), before);
}
