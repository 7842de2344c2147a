use super::*;

fn python(script: &Path) -> SidecarConfig {
    let launch = Launch::Script { path: script.to_path_buf(), interpreter: None, arguments: vec!["--port={port}".to_owned()] };
    SidecarConfig { port: 0, ..SidecarConfig::new("flask", launch) }
}

/// A folder with an empty script.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("api.py");
    std::fs::write(&script, "").unwrap();
    (folder, script)
}

fn kind(findings: &Findings) -> Option<ErrorKind> {
    findings.fault.as_ref().map(|fault| fault.kind)
}

#[tokio::test]
async fn a_script_with_all_it_needs_has_a_plan() {
    let (_folder, script) = folder();
    let config = SidecarConfig { imports: vec!["json".to_owned(), "os.path".to_owned()], ..python(&script) };
    let findings = examine(&config, 1, 0, Depth::Whole, None).await;
    assert_eq!(findings.fault, None, "{:?}", findings.probes);
    assert!(findings.probes.iter().all(|probe| probe.ok));
    let plan = findings.plan.unwrap();
    assert_eq!(plan.command[1..], [script.into_os_string(), "--port=0".into()]);
    assert!(findings.probes.iter().any(|probe| probe.what == "Python version" && probe.found.starts_with("Python 3")));
}

#[tokio::test]
async fn whatever_is_missing_is_found_at_once() {
    let (_folder, script) = folder();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = SidecarConfig { imports: vec!["json".to_owned(), "no_such_package".to_owned()], ..python(&script) };
    let findings = examine(&config, 0, port, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::DependencyError));
    let fault = findings.fault.unwrap();
    assert_eq!(fault.message, "Python dependencies not installed: ModuleNotFoundError: No module named 'no_such_package'");
    assert!(fault.stderr.iter().any(|line| line.contains("no_such_package")));
    let bad: Vec<_> = findings.probes.iter().filter(|probe| !probe.ok).map(|probe| probe.what.as_str()).collect();
    assert_eq!(bad, ["imports json, no_such_package", &format!("port {port}")]);
    assert!(findings.plan.is_none());
}

#[tokio::test]
async fn a_quick_look_leaves_out_what_takes_a_process() {
    let (_folder, script) = folder();
    let config = SidecarConfig { imports: vec!["no_such_package".to_owned()], ..python(&script) };
    let findings = examine(&config, 0, 0, Depth::Quick, None).await;
    assert_eq!(findings.fault, None);
    assert!(findings.plan.is_some());
    std::fs::remove_file(&script).unwrap();
    assert_eq!(kind(&examine(&config, 0, 0, Depth::Quick, None).await), Some(ErrorKind::ScriptNotFound));
}

#[tokio::test]
async fn a_port_in_use_names_who_has_it() {
    let (_folder, script) = folder();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let findings = examine(&python(&script), 0, port, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::PortInUse));
    let message = findings.fault.unwrap().message;
    assert!(
        message.starts_with(&format!("Port {port} is already in use: ")) && message.contains(&std::process::id().to_string()),
        "{message}"
    );
}

#[tokio::test]
async fn an_interpreter_that_is_not_there_is_named_with_where_it_was_sought() {
    let (_folder, script) = folder();
    let mut config = python(&script);
    config.environment.insert("PATH".to_owned(), "/nonexistent".to_owned());
    let findings = examine(&config, 0, 0, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::PythonNotFound));
    let message = findings.fault.unwrap().message;
    let expected =
        "Python environment validation failed: Python executable not found: neither `python3` nor `python` in the PATH (/nonexistent)";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn an_interpreter_that_is_too_old_or_broken_is_not_found_either() {
    let (folder, script) = folder();
    let config = SidecarConfig { minimum_version: Some(Version::new(99, 0, 0)), ..python(&script) };
    let findings = examine(&config, 0, 0, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::PythonNotFound));
    assert!(findings.fault.unwrap().message.contains("is too old: 99.0.0 or newer is needed"));
    let broken = folder.path().join("python");
    std::fs::write(&broken, "#!/nonexistent/python\n").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut config = python(&script);
    if let Launch::Script { interpreter, .. } = &mut config.launch {
        *interpreter = Some(broken.display().to_string());
    }
    let findings = examine(&config, 0, 0, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::PythonNotFound));
    assert!(findings.fault.unwrap().message.contains("cannot be run"));
}

#[tokio::test]
async fn a_script_or_program_that_is_not_there_is_a_script_not_found() {
    let (folder, script) = folder();
    std::fs::remove_file(&script).unwrap();
    assert_eq!(kind(&examine(&python(&script), 0, 0, Depth::Whole, None).await), Some(ErrorKind::ScriptNotFound));
    let config = SidecarConfig { port: 0, ..SidecarConfig::new("x", Launch::Command(vec!["no-such-program-at-all".to_owned()])) };
    let findings = examine(&config, 0, 0, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::ScriptNotFound));
    let plain = folder.path().join("server");
    std::fs::write(&plain, "").unwrap();
    assert_eq!(
        kind(&examine(&python(&plain), 0, 0, Depth::Whole, None).await),
        Some(ErrorKind::ProcessSpawnError),
        "it may not be executed"
    );
    let config = SidecarConfig { working_dir: Some(folder.path().join("absent")), ..python(&script) };
    assert_eq!(kind(&examine(&config, 0, 0, Depth::Whole, None).await), Some(ErrorKind::ProcessSpawnError));
}

#[tokio::test]
async fn a_virtual_environment_must_hold_a_python() {
    let (folder, script) = folder();
    let config = SidecarConfig { virtualenv: Some(folder.path().join("venv")), ..python(&script) };
    let findings = examine(&config, 0, 0, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::PythonNotFound));
    assert!(findings.fault.unwrap().message.contains("holds no Python"));
}

#[tokio::test]
async fn what_runs_by_itself_in_a_virtual_environment_has_its_imports_tried_there() {
    let (folder, _) = folder();
    let bin = folder.path().join("venv/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let system = environment::find_program("python3", &std::env::vars_os().collect(), None).unwrap();
    std::fs::write(bin.join("python3"), format!("#!/bin/sh\nexec {} \"$@\"\n", system.display())).unwrap();
    std::fs::write(bin.join("gunicorn"), "#!/bin/sh\nexit 0\n").unwrap();
    for program in ["python3", "gunicorn"] {
        std::fs::set_permissions(bin.join(program), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let config = SidecarConfig {
        port: 0,
        virtualenv: Some(folder.path().join("venv")),
        imports: vec!["no_such_package".to_owned()],
        ..SidecarConfig::new("x", Launch::Command(vec!["gunicorn".to_owned()]))
    };
    assert_eq!(config.runtime(), Runtime::Python);
    let findings = examine(&config, 0, 0, Depth::Whole, None).await;
    assert_eq!(kind(&findings), Some(ErrorKind::DependencyError), "{:?}", findings.probes);
    assert!(findings.probes.iter().any(|probe| probe.what == "program gunicorn" && probe.ok));
}

#[test]
fn versions_are_read_as_programs_say_them() {
    for (text, version) in [
        ("Python 3.11.2", Some((3, 11, 2))),
        ("v20.1.0", Some((20, 1, 0))),
        ("openjdk version \"17.0.9\" 2023-10-17", Some((17, 0, 9))),
        ("ruby 3.1.2p20 (2022-04-12)", Some((3, 1, 2))),
        ("PyPy 7.3", Some((7, 3, 0))),
        ("no version", None),
    ] {
        assert_eq!(read_version(text), version.map(|(major, minor, patch)| Version::new(major, minor, patch)), "{text}");
    }
}
