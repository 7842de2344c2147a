//! `breakwater batch`: the pictures of a folder, interrupted, killed, changed, and done again only where that is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use breakwater_tests::artifacts::Artifacts;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::batches::{is_broken, pictures};

struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    fn new(count: u32) -> Self {
        let bed = Self { folder: tempfile::tempdir().unwrap() };
        pictures(&bed.photos(), count);
        bed
    }

    fn photos(&self) -> PathBuf {
        self.folder.path().join("photos")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("done")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let artifacts = Artifacts::locate().unwrap();
        let mut command = Command::new(artifacts.binary);
        command.current_dir(self.folder.path()).args(["batch", "photos", "--out", "done", "--aspect", "4:6", "--strategy", "center"]);
        command.args(["--format", "jpeg", "--recursive", "--data-dir", "data", "--plugins"]).arg(artifacts.plugins).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Results and when each was written.
    fn written(&self) -> BTreeMap<PathBuf, SystemTime> {
        let mut found = BTreeMap::new();
        for folder in [self.out(), self.out().join("sub")] {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.map(|entry| entry.unwrap().path()) {
                let end = entry.extension().unwrap_or_default();
                if end == "jpg" {
                    found.insert(entry.clone(), entry.metadata().unwrap().modified().unwrap());
                }
            }
        }
        found
    }

    fn wait_for(&self, count: usize) {
        let began = Instant::now();
        while self.written().len() < count {
            assert!(began.elapsed() < Duration::from_secs(120), "{count} results in vain");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.out().join("manifest.json")).unwrap()).unwrap()
    }
}

fn kill(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// Results that were there before are the same files as then.
fn untouched(before: &BTreeMap<PathBuf, SystemTime>, after: &BTreeMap<PathBuf, SystemTime>) {
    for (path, modified) in before {
        assert_eq!(after.get(path), Some(modified), "{} was made again", path.display());
    }
}

#[test]
fn a_killed_run_goes_on_and_does_nothing_again() {
    let bed = Bed::new(80);
    for count in [5, 30] {
        let mut child = bed.begin(&["--concurrency", "2"]);
        bed.wait_for(count);
        kill(&child, Signal::KILL);
        child.wait().unwrap();
    }
    // What was written within the last moments may not be in the journal yet.
    let before = bed.written();
    let output = bed.run(&["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_str(text(&output.stdout).trim()).unwrap();
    assert_eq!(
        (&summary["total"], &summary["succeeded"], &summary["failed"], &summary["left"]),
        (&json!(80), &json!(72), &json!(8), &json!(0))
    );
    let after = bed.written();
    assert_eq!(after.len(), 72);
    let again = before.iter().filter(|(path, modified)| after.get(*path) != Some(*modified)).count();
    assert!(again <= 4, "{again} of {} were made again: at most those at work twice", before.len());
    let failures = summary["failures"].as_array().unwrap();
    assert!(failures.len() == 8 && failures.iter().all(|one| one["error"]["code"] == "image.corrupt"), "{failures:?}");
    assert!(text(&output.stderr).contains("p004.png: "), "{}", text(&output.stderr));
    let manifest = bed.manifest();
    let items = manifest["items"].as_array().unwrap();
    assert_eq!(items.len(), 80);
    for item in items.iter().filter(|item| item["status"] == "succeeded") {
        assert!(bed.out().join(item["file"].as_str().unwrap()).is_file(), "{item}");
    }

    // The same again does the broken ones only; a picture that changed and a result that is gone are done, too.
    let broken = bed.photos().join("p004.png");
    std::fs::copy(bed.photos().join("p001.png"), &broken).unwrap();
    std::fs::copy(bed.photos().join("p002.png"), bed.photos().join("p001.png")).unwrap();
    std::fs::remove_file(bed.out().join("p007.jpg")).unwrap();
    let output = bed.run(&[]);
    let last = bed.written();
    assert_eq!(last.len(), 73, "{}", text(&output.stderr));
    let changed: Vec<String> = last
        .iter()
        .filter(|(path, modified)| after.get(*path) != Some(*modified))
        .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(changed, ["p001.jpg", "p004.jpg", "p007.jpg"]);
    assert!(text(&output.stdout).contains("73 of 80 pictures cut, 7 failed"), "{}", text(&output.stdout));

    // Other options are another run.
    let output = bed.run(&["--width", "64"]);
    assert!(text(&output.stdout).contains("73 of 80"), "{}", text(&output.stdout));
    assert!(last.iter().all(|(path, modified)| bed.written()[path] != *modified));
}

#[test]
fn ctrl_c_ends_cleanly_and_only_one_runs_at_a_time() {
    let bed = Bed::new(60);
    let mut child = bed.begin(&["--concurrency", "1"]);
    bed.wait_for(3);
    let second = bed.run(&[]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another `breakwater batch` is writing into"), "{}", text(&second.stderr));
    kill(&child, Signal::INT);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let before = bed.written();
    let manifest = bed.manifest();
    let done = manifest["succeeded"].as_u64().unwrap();
    assert_eq!((usize::try_from(done).unwrap(), manifest["total"].as_u64()), (before.len(), Some(60)), "pictures at work ended");
    let parts =
        std::fs::read_dir(bed.out()).unwrap().filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "part"));
    assert_eq!(parts.count(), 0);
    let output = bed.run(&[]);
    assert!(text(&output.stderr).contains("pictures are done already"), "{}", text(&output.stderr));
    let after = bed.written();
    untouched(&before, &after);
    let expected = (0..60).filter(|index| !is_broken(*index)).count();
    assert_eq!(after.len(), expected);
}

#[test]
fn folders_may_be_empty_unreadable_and_oddly_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let bed = Bed::new(0);
    refused_as_empty(&bed);
    assert!(!bed.out().exists(), "nothing is made for no pictures");
    let good = std::fs::read(breakwater_tests::artifacts::root().join("tests/images/camera.png")).unwrap();
    for name in [&b"o\xff dd.png"[..], b"same.png", b"same.PNG", "w e\u{301}ird \u{1f600}\n.png".as_bytes()] {
        std::fs::write(bed.photos().join(std::ffi::OsStr::from_bytes(name)), &good).unwrap();
    }
    std::fs::create_dir(bed.photos().join("folder.png")).unwrap();
    std::os::unix::fs::symlink("/nowhere", bed.photos().join("dangling.png")).unwrap();
    let output = bed.run(&["--json"]);
    let summary: Value = serde_json::from_str(text(&output.stdout).trim()).unwrap();
    assert_eq!((&summary["total"], &summary["succeeded"]), (&json!(4), &json!(4)), "{summary}");
    assert!(bed.out().join("same.jpg").is_file() && bed.out().join("same-2.jpg").is_file());

    let into = Command::new(Artifacts::locate().unwrap().binary)
        .current_dir(bed.folder.path())
        .args(["batch", "photos", "--out", "photos", "--aspect", "1:1"])
        .output()
        .unwrap();
    assert!(text(&into.stderr).contains("cannot go where the pictures are"), "{}", text(&into.stderr));
    assert_unknown(bed.folder.path());

    let before = bed.manifest();
    std::fs::remove_dir_all(bed.photos()).unwrap();
    std::fs::create_dir(bed.photos()).unwrap();
    refused_as_empty(&bed);
    assert_eq!(bed.manifest(), before, "what an earlier run did stays written down");
}

fn refused_as_empty(bed: &Bed) {
    let output = bed.run(&["--json"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("there is no image to work on in photos (batch.empty)"), "{}", text(&output.stderr));
}

#[test]
fn parameters_reach_the_strategy() {
    let bed = Bed::new(1);
    // A picture of 320x240 has a window of 160x240.
    for (parameters, x) in [(&["--parameters", r#"{"x": 0.0}"#][..], 0), (&[], 80)] {
        let output = bed.run(parameters);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(bed.manifest()["items"][0]["crop"]["x"], x, "{parameters:?}");
    }
}

#[test]
fn what_cannot_be_meant_is_wrong_usage_before_anything_is_made() {
    let bed = Bed::new(1);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(Artifacts::locate().unwrap().binary);
        command.current_dir(bed.folder.path()).args(["batch", "photos", "--out", "done"]).args(arguments).output().unwrap()
    };
    for (arguments, named) in [
        (&["--aspect", "0:1"][..], "--aspect <RATIO>"),
        (&[], "--aspect <RATIO>"),
        (&["--ratio", "0:1"], "--ratio <RATIO>"),
        (&["--aspect", "4:6", "--parameters", "[]"], "--parameters <JSON>"),
        (&["--aspect", "4:6", "--format", "gif"], "jpeg, png, webp, avif"),
        (&["--aspect", "4:6", "--quality", "0"], "--quality <QUALITY>"),
        (&["--aspect", "4:6", "--width", "0"], "--width <WIDTH>"),
    ] {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(named), "{arguments:?}: {said}");
        assert!(!bed.out().exists(), "{arguments:?}");
    }
}

fn assert_unknown(folder: &Path) {
    let artifacts = Artifacts::locate().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&artifacts.binary);
        command.current_dir(folder).args(["batch", "photos", "--out", "other", "--data-dir", "data", "--plugins"]).arg(&artifacts.plugins);
        text(&command.args(arguments).output().unwrap().stderr)
    };
    let said = run(&["--aspect", "1:1", "--strategy", "centre"]);
    assert!(said.contains("strategy.unknown"), "{said}");
}

#[test]
fn a_full_disk_ends_the_run_and_room_lets_it_go_on() {
    const SCRIPT: &str = r#"
        mkdir -p small && mount -t tmpfs -o size=1m tmpfs small || exit 77
        timeout 120 "$@"; echo "first: $?"
        mount -o remount,size=64m small
        timeout 120 "$@"; echo "second: $?"
        ls small/out/*.png | wc -l"#;
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for index in 0..8 {
        std::fs::copy(breakwater_tests::artifacts::root().join("tests/images/astronaut.png"), photos.join(format!("{index}.png"))).unwrap();
    }
    let artifacts = Artifacts::locate().unwrap();
    // A file system of our own, which is gone with the process.
    let mut command = Command::new("unshare");
    command.current_dir(folder.path()).args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(&artifacts.binary);
    command.args(["batch", "photos", "--out", "small/out", "--aspect", "4:6", "--strategy", "center", "--data-dir", "data", "--plugins"]);
    let output = match command.arg(&artifacts.plugins).output() {
        Ok(output) if output.status.code() != Some(77) && !text(&output.stderr).starts_with("unshare: ") => output,
        _ => return println!("NOT RUN: a batch on a full disk (no file system may be mounted here)"),
    };
    assert!(output.status.success(), "{}", output.status);
    let (said, wrong) = (text(&output.stdout), text(&output.stderr));
    // Pictures or the journal, whichever comes first.
    assert!(said.contains("first: 1") && wrong.contains("disk is full"), "{said}{wrong}");
    assert!(wrong.contains("the same command goes on with what is left"), "{said}{wrong}");
    assert!(said.contains("second: 0") && said.trim_end().ends_with('8'), "{said}{wrong}");
}
