//! Five hundred photographs on a sheet: memory does not grow with them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use breakwater_tests::artifacts::Artifacts;
use breakwater_tests::forged;

use crate::contact_sheets::tool;

/// The most memory that the kernel saw a process use until it ended, in bytes.
fn peak_of(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let until = Instant::now() + Duration::from_secs(300);
    while Instant::now() < until {
        // The mark only rises, so the last look before the end misses no more than a moment.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.split_whitespace().next());
        peak = peak.max(line.map_or(0, |number| number.parse::<u64>().unwrap() * 1024));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the sheet takes too long");
}

/// Files of different content that are each a picture of 1600 by 1200 pixels.
pub(crate) fn photographs(folder: &Path, count: usize) -> Vec<String> {
    let jpeg = forged::jpeg(1600, 1200).unwrap();
    // A table of quantisation that nothing uses is no metadata, and makes each file another one.
    let name = |index: usize| {
        let table = [&[0xff, 0xdb, 0, 67, 3][..], &[1 + (index % 250) as u8; 32], &[1 + (index / 250) as u8; 32]].concat();
        let name = format!("{index:04}.jpg");
        std::fs::write(folder.join(&name), [&jpeg[..2], &table, &jpeg[2..]].concat()).unwrap();
        name
    };
    (0..count).map(name).collect()
}

fn compose(folder: &Path, files: &[String], out: &str) -> (u64, u64, Duration) {
    let artifacts = Artifacts::locate().unwrap();
    let mut command = Command::new(artifacts.binary);
    command.current_dir(folder).env("BREAKWATER__DATA__DIR", folder.join("data")).env("BREAKWATER__PLUGINS__DIR", artifacts.plugins);
    command.arg("sheet").args(files).args(["--grid", "4x5", "--captions", "--out", out]).stdout(Stdio::null());
    let started = Instant::now();
    let peak = peak_of(command.spawn().unwrap());
    let elapsed = started.elapsed();
    (peak, std::fs::metadata(folder.join(out)).unwrap().len(), elapsed)
}

#[test]
fn five_hundred_photographs_take_the_memory_of_twenty() {
    let folder = tempfile::tempdir().unwrap();
    let files = photographs(folder.path(), 500);
    let (few, _, _) = compose(folder.path(), &files[..20], "few.pdf");
    let (many, bytes, elapsed) = compose(folder.path(), &files, "many.pdf");
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "500 photographs: {:.1} s, {:.0} MiB on disk, peak {:.0} MiB; 20: {:.0} MiB",
        elapsed.as_secs_f64(),
        mib(bytes),
        mib(many),
        mib(few)
    );
    assert!(bytes > 64 << 20, "every photograph is in the file: {bytes} bytes");
    assert!(many < few + (16 << 20), "{:.0} MiB for 500, {:.0} MiB for 20", mib(many), mib(few));
    if let Some(pages) = tool("qpdf", folder.path(), &["--show-npages", "many.pdf"]) {
        assert_eq!(pages.trim(), "25");
    }
}
