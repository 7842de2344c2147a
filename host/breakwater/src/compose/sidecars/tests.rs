use std::path::Path;
use std::time::Duration;

use breakwater_settings::{SECTIONS, SidecarErrorKind};
use breakwater_sidecar::{ErrorKind, Runtime};
use semver::Version;

use super::*;

/// What an environment without the variables that matter gives.
fn nothing(_: &str) -> Option<String> {
    None
}

fn parsed(text: &str) -> Settings {
    Settings::parse(Path::new("b.toml"), text, [], &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// The sidecar `flask` of `[sidecars.flask]` with these keys.
fn flask(keys: &str, host: HostVariable<'_>) -> Result<SidecarConfig> {
    configs_with(&parsed(&format!("[sidecars.flask]\n{keys}")), host).map(|mut configs| configs.remove("flask").unwrap())
}

fn script(path: &Path) -> Launch {
    Launch::Script { path: path.to_path_buf(), interpreter: None, arguments: Vec::new() }
}

#[test]
fn the_defaults_of_the_settings_are_those_of_the_part() {
    let config = flask("script = \"python/api_server.py\"\n", &nothing).unwrap();
    let expected = SidecarConfig::new("flask", script(Path::new("python/api_server.py")));
    let expected = SidecarConfig { port_from: "the default".to_owned(), ..expected };
    assert_eq!(format!("{config:?}"), format!("{expected:?}"));
}

#[test]
fn what_is_set_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let env_file = folder.path().join("vars");
    std::fs::write(&env_file, "A=1\n").unwrap();
    let keys = format!(
        "script = \"api.py\"\nargs = [\"--port\", \"{{port}}\"]\ninterpreter = \"python3.11\"\nvirtualenv = \"/venv\"\n\
         minimum_version = \"3.8\"\nimports = [\"flask\", \"flask_cors\"]\nworking_dir = \"/srv\"\nenvironment = {{ A = \"b\" }}\n\
         env_file = \"{}\"\nhost = \"0.0.0.0\"\nport = 6000\ninstances = 2\npass_socket = true\nupstream = \"deepfake\"\n\
         readiness = \"request\"\nrequest_method = \"PUT\"\nrequest_path = \"/score\"\nrequest_body = '{{\"a\": 1}}'\n\
         health_check_timeout = \"15s\"\nhealth_check_interval = \"600ms\"\nhealth_check_factor = 1.5\n\
         health_check_max_interval = \"3s\"\nhealth_check_max_retries = 30\nhealth_attempt_timeout = \"4s\"\nlive_interval = \"6s\"\n\
         live_failures = 4\nshutdown_timeout = \"7s\"\ndrain_timeout = \"8s\"\ndevelopment = \"off\"\nauto_restart = true\n\
         max_restart_attempts = 5\nrestart_delay = \"3s\"\nmax_restart_delay = \"2m\"\nstable_after = \"40s\"\ncrash_loop_limit = 6\n\
         start_limit = 21\nstart_window = \"2m\"\nmemory_limit = \"512MiB\"\ndepends_on = [\"db\"]\nroute_prefix = \"/api/deepfake\"\n\
         strip_prefix = true\nautostart = false\npatterns = {{ \"quota \\\\d+\" = \"NETWORK_ERROR\" }}\n\
         [sidecars.db]\ncommand = [\"/bin/db\", \"-p\", \"{{port}}\"]\nport = 0\n",
        env_file.display()
    );
    let expected = SidecarConfig {
        launch: Launch::Script {
            path: "api.py".into(),
            interpreter: Some("python3.11".to_owned()),
            arguments: vec!["--port".to_owned(), "{port}".to_owned()],
        },
        upstream: "deepfake".to_owned(),
        host: "0.0.0.0".parse().unwrap(),
        port: 6000,
        port_from: "`port` of the configuration".to_owned(),
        instances: 2,
        pass_socket: true,
        working_dir: Some("/srv".into()),
        environment: [("A".to_owned(), "b".to_owned())].into(),
        env_file: Some(env_file.clone()),
        withheld: BTreeSet::new(),
        virtualenv: Some("/venv".into()),
        imports: vec!["flask".to_owned(), "flask_cors".to_owned()],
        minimum_version: Some(Version::new(3, 8, 0)),
        readiness: Readiness::Http(Request { method: Method::Put, path: "/score".to_owned(), body: Some("{\"a\": 1}".to_owned()) }),
        checks: Checks {
            timeout: Duration::from_secs(15),
            interval: Duration::from_millis(600),
            factor: 1.5,
            max_interval: Duration::from_secs(3),
            max_attempts: 30,
            attempt_timeout: Duration::from_secs(4),
            live_interval: Duration::from_secs(6),
            live_failures: 4,
        },
        shutdown_timeout: Duration::from_secs(7),
        drain_timeout: Duration::from_secs(8),
        development: false,
        restart: RestartConfig {
            auto: true,
            max_attempts: 5,
            delay: Duration::from_secs(3),
            max_delay: Duration::from_secs(120),
            stable_after: Duration::from_secs(40),
            loop_limit: 6,
            start_limit: 21,
            start_window: Duration::from_secs(120),
        },
        memory_limit: Some(512 << 20),
        depends_on: vec!["db".to_owned()],
        patterns: vec![(ErrorKind::NetworkError, Regex::new("quota \\d+").unwrap())],
        route_prefix: Some("/api/deepfake".to_owned()),
        strip_prefix: true,
        autostart: false,
    };
    assert_eq!(format!("{:#?}", flask(&keys, &nothing).unwrap()), format!("{expected:#?}"));
    let db = configs_with(&parsed(&format!("[sidecars.flask]\n{keys}")), &nothing).unwrap().remove("db").unwrap();
    assert_eq!(db.launch, Launch::Command(vec!["/bin/db".to_owned(), "-p".to_owned(), "{port}".to_owned()]));
    assert_eq!((db.port, db.port_from.as_str()), (0, "`port` of the configuration"));
}

#[test]
fn each_way_of_becoming_ready_arrives() {
    let readiness = |keys: &str| format!("{:?}", flask(&format!("script = \"a.py\"\n{keys}"), &nothing).unwrap().readiness);
    let http = |method, path: &str| format!("{:?}", Readiness::Http(Request { method, path: path.to_owned(), body: None }));
    assert_eq!(readiness("health_path = \"/up\"\n"), http(Method::Get, "/up"));
    assert_eq!(readiness("readiness = \"tcp\"\n"), format!("{:?}", Readiness::Tcp));
    let line = Readiness::Line(Regex::new("Running on").unwrap());
    assert_eq!(readiness("readiness = \"line\"\nready_line = \"Running on\"\n"), format!("{line:?}"));
    for word in RequestMethod::WORDS {
        let expected = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete, Method::Options];
        let expected = expected.into_iter().find(|method| method.name() == *word).unwrap();
        let keys = format!("readiness = \"request\"\nrequest_path = \"/a\"\nrequest_method = \"{word}\"\n");
        assert_eq!(readiness(&keys), http(expected, "/a"));
    }
}

#[test]
fn the_kinds_of_errors_have_the_same_names_in_both() {
    assert_eq!(SidecarErrorKind::WORDS, ErrorKind::ALL.map(ErrorKind::name));
}

#[test]
fn the_port_comes_from_the_strongest_that_says_one() {
    let folder = tempfile::tempdir().unwrap();
    let dotenv = folder.path().join(".env");
    std::fs::write(&dotenv, "# of the application\nexport FLASK_PORT='5003'\nOTHER=1\n").unwrap();
    let host = |name: &str| (name == "FLASK_PORT").then(|| "5004".to_owned());
    let empty = |name: &str| (name == "FLASK_PORT").then(String::new);
    let inside = format!("script = \"{}\"\n", folder.path().join("api.py").display());
    let elsewhere = "script = \"/nowhere/api.py\"\n";
    let from_file = format!("FLASK_PORT in {}", dotenv.display());
    let cases: [(String, HostVariable<'_>, u16, &str); 8] = [
        (format!("{inside}port = 5002\nenvironment = {{ FLASK_PORT = \"5005\" }}\n"), &host, 5002, "`port` of the configuration"),
        (format!("{inside}environment = {{ FLASK_PORT = \"5005\" }}\n"), &host, 5005, "FLASK_PORT in `environment`"),
        (inside.clone(), &host, 5003, &from_file),
        (format!("{inside}environment = {{ FLASK_PORT = \" \" }}\n"), &host, 5003, &from_file),
        (format!("{elsewhere}working_dir = \"{}\"\n", folder.path().display()), &nothing, 5003, &from_file),
        (elsewhere.to_owned(), &host, 5004, "FLASK_PORT in the environment"),
        (elsewhere.to_owned(), &empty, 5001, "the default"),
        (format!("{inside}port = 0\n"), &host, 0, "`port` of the configuration"),
    ];
    for (keys, host, port, from) in cases {
        let config = flask(&keys, host).unwrap();
        assert_eq!((config.port, config.port_from.as_str()), (port, from), "{keys}");
    }
    let other = folder.path().join("other.env");
    std::fs::write(&other, "FLASK_PORT=5006\n").unwrap();
    let config = flask(&format!("{inside}env_file = \"{}\"\n", other.display()), &host).unwrap();
    assert_eq!((config.port, config.port_from), (5006, format!("FLASK_PORT in {}", other.display())));
}

#[test]
fn a_port_that_is_none_is_refused_with_where_it_stands() {
    for text in ["65536", "-1", "http"] {
        let host = |name: &str| (name == "FLASK_PORT").then(|| text.to_owned());
        let error = format!("{:#}", flask("script = \"/nowhere/a.py\"\n", &host).unwrap_err());
        let expected = format!("FLASK_PORT in the environment is no port: expected a whole number, 0 to 65535, got \"{text}\"");
        assert_eq!(error, format!("cannot set up the sidecar `flask`: {expected}"));
    }
    let host = |name: &str| (name == "FLASK_PORT").then(|| "65535".to_owned());
    let error = flask("script = \"/nowhere/a.py\"\ninstances = 2\n", &host).unwrap_err().to_string();
    assert!(error.contains("there are no 2 ports from 65535 on"), "{error}");
}

#[test]
fn a_broken_file_of_variables_is_its_own_sidecars_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let host = |name: &str| (name == "FLASK_PORT").then(|| "5004".to_owned());
    let script = format!("script = \"{}\"\n", path("api.py"));
    let named = format!("{script}env_file = \"{}\"\n", path("absent.env"));
    let port = |keys: &str, host: HostVariable<'_>| flask(keys, host).unwrap().port;
    assert_eq!((port(&named, &host), port(&named, &nothing)), (5004, 5001), "the file is not there");
    for broken in [&b"FLASK_PORT=5003\nKEY=\"without end\n"[..], &b"FLASK_PORT=5003\nA=\xff\n"[..]] {
        std::fs::write(path(".env"), broken).unwrap();
        assert_eq!((port(&script, &host), port(&script, &nothing)), (5004, 5001));
        assert_eq!(port(&format!("{script}environment = {{ FLASK_PORT = \"5005\" }}\n"), &host), 5005);
        assert_eq!(port(&format!("{script}port = 5006\n"), &host), 5006);
    }
    // Which port it would have nobody knows, so that it is in nobody's way.
    let other = "[sidecars.other]\nscript = \"/nowhere/b.py\"\n";
    assert_eq!(configs_with(&parsed(&format!("{other}[sidecars.flask]\n{script}")), &nothing).unwrap().len(), 2);
    for known in ["environment = { FLASK_PORT = \"5001\" }\n", "port = 5001\n"] {
        let error = configs_with(&parsed(&format!("{other}[sidecars.flask]\n{script}{known}")), &nothing).unwrap_err().to_string();
        assert!(error.contains("would both listen on port 5001"), "{error}");
    }
    let bad = |name: &str| (name == "FLASK_PORT").then(|| "many".to_owned());
    assert!(flask(&script, &bad).is_err(), "no port can be told");
}

#[test]
fn variables_that_hold_the_hosts_secrets_are_withheld() {
    let text = "[sidecars.flask]\nscript = \"a.py\"\n[upstreams.a]\nendpoints = [\"http://a\"]\napi_key_env = \"A_KEY\"\nbearer_env = \"A_TOKEN\"\n\
                [upstreams.b]\nendpoints = [\"http://b\"]\nbasic_user = \"u\"\nbasic_env = \"B_PASSWORD\"\n";
    let configs = configs_with(&parsed(text), &nothing).unwrap();
    assert_eq!(configs["flask"].withheld.iter().collect::<Vec<_>>(), ["A_KEY", "A_TOKEN", "B_PASSWORD"]);
    // Whoever adds a key that names a variable adds it to those that are withheld, and here.
    let naming = SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| format!("{}.{}", section.name, key.name)));
    let naming: Vec<_> = naming.filter(|key| key.ends_with("_env")).collect();
    assert_eq!(naming, ["upstreams.api_key_env", "upstreams.bearer_env", "upstreams.basic_env"]);
}

#[test]
fn what_the_settings_know_as_an_interpreter_is_one() {
    for program in ["python3.11", "/usr/bin/python", "pypy3", "node", "nodejs", "ruby3.2", "java", "gunicorn", "/opt/server-2"] {
        let text = format!("[sidecars.flask]\ncommand = [\"{program}\"]\nminimum_version = \"3\"\n");
        let is_taken = Settings::parse(Path::new("b.toml"), &text, [], &[]).is_ok();
        assert_eq!(is_taken, Runtime::of_program(Path::new(program)) != Runtime::Binary, "{program}");
    }
}

#[test]
fn production_is_quieter_and_starts_nothing_again_unless_told_to() {
    for variable in STAGE_VARIABLES {
        let host = |stage: &'static str| move |name: &str| (name == variable).then(|| stage.to_owned());
        let (production, development) = (host("production"), host("development"));
        let of = |keys: &str, host: HostVariable<'_>| {
            let config = flask(&format!("script = \"/nowhere/a.py\"\n{keys}"), host).unwrap();
            (config.development, config.restart.auto)
        };
        assert_eq!(of("", &production), (false, false), "{variable}");
        assert_eq!(of("", &development), (true, true), "{variable}");
        assert_eq!(of("auto_restart = true\n", &production), (false, true));
        assert_eq!(of("auto_restart = false\n", &development), (true, false));
        assert_eq!(of("development = \"on\"\n", &production), (true, true));
        assert_eq!(of("development = \"off\"\n", &development), (false, false));
        assert_eq!(of(&format!("environment = {{ {variable} = \"production\" }}\n"), &nothing), (false, false));
        assert_eq!(of(&format!("environment = {{ {variable} = \"development\" }}\n"), &production), (true, true));
    }
}

#[test]
fn two_that_would_listen_on_one_port_are_refused() {
    let error = |text: &str, host: HostVariable<'_>| configs_with(&parsed(text), host).unwrap_err().to_string();
    let host = |name: &str| (name == "FLASK_PORT").then(|| "8080".to_owned());
    let two = "[sidecars.a]\nscript = \"/nowhere/a.py\"\n[sidecars.b]\nscript = \"/nowhere/b.py\"\n";
    assert_eq!(
        error(two, &nothing),
        "the sidecars `a` and `b` would both listen on port 5001 (the default; the default): give one another `port`"
    );
    let more = "[sidecars.a]\nscript = \"/nowhere/a.py\"\nport = 5000\ninstances = 2\n[sidecars.b]\nscript = \"/nowhere/b.py\"\n";
    let shown = error(more, &nothing);
    assert!(shown.contains("port 5001 (`port` of the configuration; the default)"), "{shown}");
    let shown = error("[sidecars.a]\nscript = \"/nowhere/a.py\"\n", &host);
    assert_eq!(shown, "the sidecar `a` cannot have port 8080 (FLASK_PORT in the environment): Breakwater listens there itself");
    let apart = "[sidecars.a]\nscript = \"/nowhere/a.py\"\n[sidecars.b]\nscript = \"/nowhere/b.py\"\nhost = \"127.0.0.2\"\n\
                 [sidecars.c]\nscript = \"/nowhere/c.py\"\nport = 0\n[sidecars.d]\nexternal_url = \"http://a:5001\"\n";
    assert_eq!(configs_with(&parsed(apart), &nothing).unwrap().len(), 4);
}
