//! Compiled components on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use breakwater_plugins::{Compiler, PluginError};

use crate::support::{Detectors, Host, guest, package};

fn files(host: &Host, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.folder.path().join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_noticed_and_made_again() {
    let host = Host::start().await;
    host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1"))).await.unwrap();
    let code = files(&host, "cwasm").pop().unwrap();
    let whole = fs::read(&code).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    for damaged in [flipped(whole.len() / 2), flipped(0), whole[..whole.len() / 2].to_vec(), Vec::new()] {
        // The running process has the old file mapped: a damaged one takes its name, as a bad restore of a backup would.
        fs::remove_file(&code).unwrap();
        fs::write(&code, damaged).unwrap();
        let restarted = host.restarted(|_| ()).await;
        assert!(restarted.plan("versioned").await.is_ok());
        assert_eq!(fs::read(&code).unwrap().len(), whole.len());
    }
    fs::remove_file(files(&host, "sha256").pop().unwrap()).unwrap();
    assert!(host.restarted(|_| ()).await.plan("versioned").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_is_private_and_a_file_is_written_once() {
    let host = Host::start().await;
    host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1"))).await.unwrap();
    let folder = host.folder.path().join("compiled");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let code = files(&host, "cwasm").pop().unwrap();
    let written = fs::metadata(&code).unwrap().modified().unwrap();
    host.catalogue.deploy(package("answers", "1.0.1", guest("answers-v1"))).await.unwrap();
    assert_eq!((files(&host, "cwasm").len(), fs::metadata(&code).unwrap().modified().unwrap()), (1, written));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    host.restarted(|_| ()).await;
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

/// This test binary is the compiling process of the next test: it is started again with the name of this test.
#[test]
fn compiling_process() {
    let mut paths = std::env::args().skip_while(|argument| argument != "--skip").skip(1);
    let (Some(input), Some("--skip"), Some(output)) = (paths.next(), paths.next().as_deref(), paths.next()) else { return };
    breakwater_plugins::compile_component_main(input.as_ref(), output.as_ref()).unwrap();
}

/// A script that calls this binary the way the server calls itself.
fn compiler(host_folder: &std::path::Path, before: &str) -> Compiler {
    let script = host_folder.join("compiler.sh");
    let this = std::env::current_exe().unwrap();
    let call = format!("exec {this:?} --exact cache::compiling_process --skip \"$1\" --skip \"$2\"");
    fs::write(&script, format!("#!/bin/sh\n{before}\n{call}\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    Compiler::Subprocess { program: "/bin/sh".into(), args: vec![script.into()] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_from_a_process_of_its_own_runs_here() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::with(Detectors::Find(Vec::new()), |config| config.compiler = compiler(folder.path(), "")).await;
    host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1"))).await.unwrap();
    assert!(host.plan("versioned").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiler_that_fails_grows_or_hangs_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (before, memory, says) in
        [("echo broken >&2; exit 3", 4 << 30, "broken"), ("exec sleep 600", 4 << 30, "longer than"), ("", 64 << 20, "ended with")]
    {
        let host = Host::with(Detectors::Find(Vec::new()), |config| {
            config.compiler = compiler(folder.path(), before);
            config.compile_limits.memory_bytes = memory;
            config.compile_limits.timeout = std::time::Duration::from_secs(if before.contains("sleep") { 1 } else { 60 });
        })
        .await;
        let error = host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1"))).await.unwrap_err();
        assert!(matches!(&error, PluginError::CompileFailed(said) if said.contains(says)), "{before}: {error}");
        assert!(files(&host, "cwasm").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_over_the_limit_is_not_compiled() {
    let host = Host::with(Detectors::Find(Vec::new()), |config| config.compile_limits.component_bytes = 1000).await;
    let error = host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1"))).await.unwrap_err();
    assert_eq!(error.code(), "plugin.component-invalid");
}
