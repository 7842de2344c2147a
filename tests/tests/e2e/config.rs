//! `breakwater config check`: what is wrong is named with its place and what was meant.

use std::process::{Command, Output};

use breakwater_tests::artifacts::Artifacts;

fn check(text: &str, environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("breakwater.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(Artifacts::locate().unwrap().binary);
    command.args(["config", "check"]).arg(file).envs(environment.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_sound_configuration_is_said_to_be_sound() {
    let output = check("[server]\nlisten = [\"127.0.0.1:9000\"]\n", &[]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn an_unknown_key_is_named_with_line_and_suggestion() {
    let output = check("[server]\n# a comment\nlisten_on = [\"127.0.0.1:9000\"]\n[inference]\nmax_bach = 4\n", &[]);
    assert!(!output.status.success());
    let said = said(&output);
    for part in ["breakwater.toml:3", "listen_on", "breakwater.toml:5", "max_bach", "max_batch"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[test]
fn a_wrong_value_is_named_wherever_it_comes_from() {
    let output = check("[server]\nmax_body = \"lots\"\n", &[("BREAKWATER__INFERENCE__MAX_BATCH", "0")]);
    assert!(!output.status.success());
    let said = said(&output);
    for part in ["breakwater.toml:2", "max_body", "BREAKWATER__INFERENCE__MAX_BATCH"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}
