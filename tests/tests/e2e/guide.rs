//! docs/write-a-plugin.md takes a newcomer from an empty folder to a strategy that serves: its commands are run as they stand.

use std::env;
use std::process::Command;

use breakwater_tests::artifacts::{Artifacts, root};

/// The text of every block marked `sh`, in order.
fn commands(guide: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in guide.lines() {
        match &mut block {
            None if line.trim() == "```sh" => block = Some(String::new()),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    blocks
}

#[test]
fn the_commands_of_the_guide_work_as_they_stand() {
    let guide = std::fs::read_to_string(root().join("docs/write-a-plugin.md")).unwrap();
    let blocks = commands(&guide);
    assert!(!blocks.is_empty(), "the guide has no commands");
    let folder = tempfile::tempdir().unwrap();
    let script = format!("set -eu\n{}", blocks.concat());
    let artifacts = Artifacts::locate().unwrap();
    let binaries = artifacts.binary.parent().unwrap();
    let path = format!("{}:{}", binaries.display(), env::var("PATH").unwrap_or_default());
    // What is built already is not built again.
    let target = binaries.parent().unwrap();
    let mut shell = Command::new("bash");
    shell.current_dir(folder.path()).args(["-c", &script]).env("PATH", path).env("BREAKWATER", root()).env("CARGO_TARGET_DIR", target);
    let output = shell.output().unwrap();
    let log = std::fs::read_to_string(folder.path().join("service.log")).unwrap_or_default();
    let said = format!("{}{}{log}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n---\n{script}\n---\n{said}", output.status);
}

#[test]
fn only_blocks_marked_as_commands_are_commands() {
    let guide = "```toml\nid = 1\n```\ntext\n```sh\necho 1\n```\n```\nx\n```\n```sh\necho 2\n```\n";
    assert_eq!(commands(guide), ["echo 1\n", "echo 2\n"]);
}
