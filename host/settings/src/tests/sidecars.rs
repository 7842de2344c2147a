//! `[sidecars.NAME]`.

use super::*;
use crate::check::sidecar::{OWN_ROUTES, is_below};

fn sidecar(text: &str) -> Sidecar {
    parse(&format!("[sidecars.a]\n{text}")).unwrap_or_else(|error| panic!("{error}")).sidecars.remove("a").unwrap()
}

/// The defaults of the process bridge: port 5001, healthCheckTimeout 10000, healthCheckInterval 500 (× 1.2 up to 2000),
/// healthCheckMaxRetries 20, shutdownTimeout 5000, maxRestartAttempts 3, restartDelay 2000; but the loopback address alone.
#[test]
fn a_sidecar_has_the_defaults_of_the_process_bridge() {
    let sidecar = sidecar("script = \"python/api_server.py\"\n");
    assert_eq!(sidecar.script.as_deref(), Some(Path::new("python/api_server.py")));
    assert_eq!((sidecar.host.to_string().as_str(), sidecar.port, sidecar.instances), ("127.0.0.1", None, 1));
    assert_eq!(sidecar.health_check_timeout, Duration::from_millis(10_000));
    assert_eq!((sidecar.health_check_interval, sidecar.health_check_factor), (Duration::from_millis(500), 1.2));
    assert_eq!((sidecar.health_check_max_interval, sidecar.health_check_max_retries), (Duration::from_millis(2000), 20));
    assert_eq!((sidecar.readiness, sidecar.health_path.as_str()), (SidecarReadiness::Http, "/health"));
    assert_eq!(sidecar.shutdown_timeout, Duration::from_millis(5000));
    assert_eq!((sidecar.development, sidecar.auto_restart), (Development::Auto, None));
    assert_eq!((sidecar.max_restart_attempts, sidecar.restart_delay), (3, Duration::from_millis(2000)));
    assert_eq!((sidecar.upstream, sidecar.external_url, sidecar.env_file, sidecar.memory_limit), (None, None, None, None));
    assert!(sidecar.autostart && !sidecar.pass_socket && !sidecar.strip_prefix);
}

#[test]
fn every_kind_of_value_is_read() {
    let sidecar = sidecar(
        "script = \"a.py\"\nargs = [\"--port\", \"{port}\"]\nminimum_version = \"3.8\"\nimports = [\"flask\", \"@scope/a.b\"]\n\
         environment = { FLASK_PORT = \"5005\", EMPTY = \"\" }\nhost = \"::1\"\nport = 0\nreadiness = \"request\"\n\
         request_method = \"PUT\"\nrequest_path = \"/score?warm=1\"\nrequest_body = '{\"a\": 1}'\nmemory_limit = \"512MiB\"\n\
         route_prefix = \"/api/deepfake\"\nstrip_prefix = true\n[sidecars.a.patterns]\n'rate limit \\d+' = \"NETWORK_ERROR\"\n",
    );
    assert_eq!(sidecar.minimum_version.unwrap(), semver::Version::new(3, 8, 0));
    assert_eq!((sidecar.args.len(), sidecar.imports.len(), sidecar.environment["FLASK_PORT"].as_str()), (2, 2, "5005"));
    assert_eq!((sidecar.host.to_string().as_str(), sidecar.port), ("::1", Some(0)));
    assert_eq!((sidecar.request_method, sidecar.request_path.as_deref()), (RequestMethod::Put, Some("/score?warm=1")));
    assert_eq!(sidecar.request_body.unwrap().as_str(), "{\"a\": 1}");
    assert_eq!(sidecar.memory_limit, Some(ByteSize(512 << 20)));
    assert_eq!(sidecar.patterns, BTreeMap::from([("rate limit \\d+".to_owned(), SidecarErrorKind::NetworkError)]));
    assert_eq!((sidecar.route_prefix.as_deref(), sidecar.strip_prefix), (Some("/api/deepfake"), true));
    let variables = [
        ("BREAKWATER__SIDECARS__MY_FLASK__COMMAND", "[\"gunicorn\", \"-b\", \"{host}:{port},x\"]"),
        ("BREAKWATER__SIDECARS__MY_FLASK__PORT", "5002"),
        ("BREAKWATER__SIDECARS__MY_FLASK__MINIMUM_VERSION", "3"),
        ("BREAKWATER__SIDECARS__MY_FLASK__VIRTUALENV", "/venv"),
        ("BREAKWATER__SIDECARS__MY_FLASK__ENVIRONMENT", "{ A = \"b\" }"),
    ];
    let settings = with_environment("", &variables).unwrap();
    let sidecar = &settings.sidecars["my-flask"];
    assert_eq!((sidecar.command[2].as_str(), sidecar.port, sidecar.environment["A"].as_str()), ("{host}:{port},x", Some(5002), "b"));
    assert_eq!(sidecar.minimum_version, Some(semver::Version::new(3, 0, 0)));
}

#[test]
fn what_is_wrong_has_its_line_and_column() {
    let cases = [
        ("port = 70000\n", "b.toml:3:8: sidecars.a.port: expected a whole number, 0 to 65535, got 70000"),
        ("port = -1\n", "b.toml:3:8: sidecars.a.port: expected a whole number, 0 to 65535, got -1"),
        ("host = \"localhost\"\n", "b.toml:3:8: sidecars.a.host: expected an address such as \"127.0.0.1\" or \"::1\", got \"localhost\""),
        ("minimum_version = 3.8\n", "b.toml:3:19: sidecars.a.minimum_version: expected a version such as \"3.8\" or \"20.11.1\", got 3.8"),
        ("instances = 65\n", "b.toml:3:13: sidecars.a.instances: expected 1 to 64, got 65"),
        ("instances = 0\n", "b.toml:3:13: sidecars.a.instances: expected 1 to 64, got 0"),
        ("health_check_factor = 0.9\n", "b.toml:3:23: sidecars.a.health_check_factor: expected 1.0 to 10.0, got 0.9"),
        ("health_check_max_retries = 0\n", "b.toml:3:28: sidecars.a.health_check_max_retries: expected 1 to 100000, got 0"),
        ("live_interval = \"9ms\"\n", "b.toml:3:17: sidecars.a.live_interval: expected \"10ms\" to \"24h\", got \"9ms\""),
        ("memory_limit = \"1023KiB\"\n", "b.toml:3:16: sidecars.a.memory_limit: expected \"1MiB\" to \"4096GiB\", got \"1023KiB\""),
        ("environment = { PORT = 5 }\n", "b.toml:3:15: sidecars.a.environment: PORT: expected text, got 5"),
        (
            "development = \"of\"\n",
            "b.toml:3:15: sidecars.a.development: expected \"auto\" or \"on\" or \"off\", got \"of\"; did you mean \"off\"?",
        ),
        ("pythonScript = \"a.py\"\n", "b.toml:3:1: sidecars.a.pythonScript: unknown key"),
        (
            "health_check_time_out = \"1s\"\n",
            "b.toml:3:1: sidecars.a.health_check_time_out: unknown key; did you mean health_check_timeout?",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(problems(parse(&format!("[sidecars.a]\nscript = \"a.py\"\n{text}"))), message);
    }
    let shown = problems(parse("[sidecars.a]\nscript = \"a.py\"\nrequest_method = \"post\"\n"));
    assert!(shown.ends_with("got \"post\"; did you mean \"POST\"?"), "{shown}");
    let shown = problems(parse("[sidecars.a]\nscript = \"a.py\"\npatterns = { x = \"PORT_IN_US\" }\n"));
    assert!(shown.starts_with("b.toml:3:12: sidecars.a.patterns: x: expected \"PYTHON_NOT_FOUND\" or"), "{shown}");
    assert!(shown.ends_with("got \"PORT_IN_US\"; did you mean \"PORT_IN_USE\"?"), "{shown}");
}

#[test]
fn one_of_three_says_what_runs() {
    let missing = "sidecars.a.script: is not set, nor is command or external_url: one of the three says what runs";
    assert_eq!(problems(parse("\n[sidecars.a]\nport = 1\n")), format!("b.toml:2:11: {missing}"));
    let variable = [("BREAKWATER__SIDECARS__A__PORT", "1")];
    assert_eq!(problems(with_environment("", &variable)), format!("BREAKWATER__SIDECARS__A__PORT: {missing}"));
    let all = "[sidecars.a]\nscript = \"a.py\"\ncommand = [\"a\"]\nexternal_url = \"http://a\"\n";
    assert_eq!(
        problems(parse(all)),
        "b.toml:3:11: sidecars.a.command: is set beside script; one of the two must go\n\
         b.toml:4:16: sidecars.a.external_url: is set beside script; one of the two must go"
    );
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let cases = [
        ("command = [\" \"]\n", "a.command: item 1 names no program"),
        ("command = [\"a\"]\nargs = [\"b\"]\n", "a.args: belong to a script"),
        ("command = [\"a\"]\ninterpreter = \"python3\"\n", "a.interpreter: belongs to a script"),
        ("command = [\"a\", \"b\\u0000\"]\n", "a.command: holds a NUL"),
        ("script = \"a.py\"\nargs = [\"\\u0000\"]\n", "a.args: holds a NUL"),
        ("external_url = \"http://a\"\ninstances = 2\n", "a.instances: one that somebody else runs"),
        ("external_url = \"http://a\"\npass_socket = true\n", "a.pass_socket: one that somebody else runs"),
        ("external_url = \"http://a\"\nreadiness = \"line\"\nready_line = \"x\"\n", "a.readiness: what one writes"),
        ("script = \"a.py\"\nreadiness = \"line\"\n", "a.ready_line: is needed for the readiness \"line\""),
        ("script = \"a.py\"\nready_line = \"x\"\n", "a.ready_line: is only looked for with"),
        ("script = \"a.py\"\nreadiness = \"line\"\nready_line = \"(\"\n", "a.ready_line: \"(\" is no regular expression: unclosed group"),
        ("script = \"a.py\"\npatterns = { \"[\" = \"PORT_IN_USE\" }\n", "a.patterns: \"[\" is no regular expression: unclosed"),
        ("script = \"a.py\"\nreadiness = \"request\"\n", "a.request_path: is needed for the readiness \"request\""),
        ("script = \"a.py\"\nrequest_path = \"/a\"\n", "a.request_path: is only used with the readiness \"request\""),
        ("script = \"a.py\"\nrequest_body = \"1\"\n", "a.request_body: is only used with the readiness \"request\""),
        ("script = \"a.py\"\nreadiness = \"request\"\nrequest_path = \"a\"\n", "a.request_path: expected a path"),
        ("script = \"a.py\"\nhealth_path = \"health\"\n", "a.health_path: expected a path such as \"/health\", got \"health\""),
        ("script = \"a.py\"\nhealth_path = \"/a b\"\n", "a.health_path: expected a path"),
        ("script = \"a.py\"\nenvironment = { \"A=B\" = \"c\" }\n", "a.environment: \"A=B\" is no name of a variable"),
        ("script = \"a.py\"\nenvironment = { \"\" = \"c\" }\n", "a.environment: \"\" is no name of a variable"),
        ("script = \"a.py\"\nenvironment = { A = \"secret\\u0000\" }\n", "a.environment: the value of \"A\" holds a NUL"),
        ("script = \"a.py\"\nimports = [\"flask; import os\"]\n", "a.imports: expected names such as \"flask\""),
        ("script = \"a.py\"\nimports = [\"\"]\n", "a.imports: expected names"),
        ("script = \"a.py\"\nport = 65530\ninstances = 7\n", "a.port: there are no 7 ports from 65530 on"),
        ("script = \"a.py\"\nupstream = \"A b\"\n", "a.upstream: \"A b\" is no name"),
        ("script = \"a.py\"\nhealth_check_interval = \"3s\"\n", "a.health_check_interval: is longer than health_check_max_interval"),
        ("script = \"a.py\"\nrestart_delay = \"2m\"\n", "a.restart_delay: is longer than max_restart_delay"),
        ("script = \"a.py\"\nstrip_prefix = true\n", "a.strip_prefix: is set without route_prefix"),
    ];
    for (text, message) in cases {
        let shown = problems(parse(&format!("[sidecars.a]\n{text}")));
        assert!(shown.starts_with("b.toml:") && shown.contains(&format!("sidecars.{message}")), "{text}: {shown}");
        assert_eq!(shown.lines().count(), 1, "{text}: {shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
    sidecar("script = \"a.py\"\nport = 65530\ninstances = 6\n");
    // What concerns a process does not matter when somebody else runs it: one variable turns the process into an address.
    sidecar("external_url = \"http://a:5001\"\nvirtualenv = \"venv\"\nimports = [\"flask\"]\nargs = [\"x\"]\n");
}

#[test]
fn only_an_interpreter_is_asked_for_its_version_and_imports() {
    let text = |program: &str, more: &str| format!("[sidecars.a]\ncommand = [\"{program}\", \"-x\"]\n{more}\n");
    let (version, imports) = ("minimum_version = \"3.8\"", "imports = [\"flask\"]");
    for program in ["python3", "/usr/bin/python3.11", "pypy", "node", "nodejs", "ruby3.2"] {
        parse(&text(program, &format!("{version}\n{imports}"))).unwrap();
    }
    parse(&text("java", version)).unwrap();
    let advice = "set virtualenv for that of its Python, or leave this out";
    for program in ["gunicorn", "/opt/python/bin/server", "pythonic"] {
        assert_eq!(
            problems(parse(&text(program, &format!("{version}\n{imports}")))),
            format!(
                "b.toml:3:19: sidecars.a.minimum_version: is that of an interpreter, and \"{program}\" is none that is known; {advice}\n\
                 b.toml:4:11: sidecars.a.imports: are tried by an interpreter, and \"{program}\" is none that is known to do so; {advice}"
            )
        );
        parse(&text(program, &format!("{version}\n{imports}\nvirtualenv = \".venv\""))).unwrap();
        parse(&text(program, "")).unwrap();
    }
    assert!(problems(parse(&text("java", imports))).contains("sidecars.a.imports: are tried by an interpreter"));
}

#[test]
fn a_prefix_leaves_breakwaters_own_routes_alone() {
    let prefix = |prefix: &str| parse(&format!("[sidecars.a]\nscript = \"a.py\"\nroute_prefix = \"{prefix}\"\n"));
    for good in ["/api", "/api/deepfake", "/v1x", "/v3", "/api/v1/deepfake", "/healthy", "/a-b_c.d~e"] {
        prefix(good).unwrap();
    }
    for own in ["/v1", "/v1/sidecars", "/v2/models", "/healthz", "/readyz", "/metrics", "/api/health/python", "/api/services"] {
        let shown = problems(prefix(own));
        assert!(shown.starts_with("b.toml:3:16: sidecars.a.route_prefix: /"), "{shown}");
        assert!(shown.ends_with(" is answered by Breakwater itself"), "{shown}");
    }
    for bad in ["/", "api", "/api/", "/a//b", "/a/../v1", "/./v1", "/v%31", "/{a}", "/a b", "/a?b", "/*", "/é"] {
        assert!(problems(prefix(bad)).contains("sidecars.a.route_prefix: expected a path such as"), "{bad}");
    }
}

#[test]
fn every_route_of_the_service_is_kept_from_prefixes() {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        assert!(OWN_ROUTES.iter().any(|own| is_below(path, own)), "{path} is not in OWN_ROUTES");
    }
}

#[test]
fn sidecars_that_contradict_each_other_are_refused() {
    let all = |parts: &[(&str, &str)]| {
        let text = parts.iter().map(|(name, keys)| format!("[sidecars.{name}]\nscript = \"{name}.py\"\n{keys}\n"));
        parse(&text.collect::<String>())
    };
    let shown = problems(all(&[("flask", ""), ("b", "depends_on = [\"flsk\", \"zz\"]")]));
    assert_eq!(
        shown,
        "b.toml:6:14: sidecars.b.depends_on: there is no sidecar \"flsk\"; did you mean \"flask\"?\n\
         b.toml:6:14: sidecars.b.depends_on: there is no sidecar \"zz\""
    );
    let shown =
        problems(all(&[("a", "depends_on = [\"a\"]"), ("b", "depends_on = [\"c\"]"), ("c", ""), ("d", "depends_on = [\"c\", \"c\"]")]));
    assert_eq!(
        shown,
        "b.toml:3:14: sidecars.a.depends_on: waits for itself: a needs a\nb.toml:12:14: sidecars.d.depends_on: \"c\" is there twice"
    );
    // `a` is not in the cycle that it waits for.
    let shown = problems(all(&[
        ("a", "depends_on = [\"b\"]"),
        ("b", "depends_on = [\"free\", \"c\"]"),
        ("c", "depends_on = [\"d\"]"),
        ("d", "depends_on = [\"b\"]"),
        ("free", ""),
    ]));
    assert_eq!(shown, "b.toml:6:14: sidecars.b.depends_on: waits for itself: b needs c needs d needs b");
    all(&[("a", "depends_on = [\"b\", \"c\"]"), ("b", "depends_on = [\"c\"]"), ("c", "")]).unwrap();

    let shown = problems(all(&[("a", "port = 5001\ninstances = 3"), ("b", "port = 5003"), ("c", "port = 5004")]));
    assert_eq!(shown, "b.toml:7:8: sidecars.b.port: 5003 is also taken by the sidecar \"a\"");
    let shown = problems(all(&[("a", "port = 5003\nhost = \"0.0.0.0\""), ("b", "port = 5001\ninstances = 3")]));
    assert_eq!(shown, "b.toml:7:8: sidecars.b.port: 5001 to 5003 is also taken by the sidecar \"a\"");
    all(&[("a", "port = 5001\nhost = \"127.0.0.2\""), ("b", "port = 5001"), ("c", "port = 0"), ("d", "port = 0")]).unwrap();

    for (one, other, shared) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("0.0.0.0", "127.0.0.1", true),
        ("::", "127.0.0.1", true),
        ("::1", "0.0.0.0", false),
        ("::1", "::", true),
    ] {
        let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
        assert_eq!((share_ports(one, other), share_ports(other, one)), (shared, shared), "{one} {other}");
    }

    let shown = problems(all(&[("a", "route_prefix = \"/api\""), ("b", "route_prefix = \"/api\"")]));
    assert_eq!(shown, "b.toml:6:16: sidecars.b.route_prefix: is also that of the sidecar \"a\"");
    all(&[("a", "route_prefix = \"/api\""), ("b", "route_prefix = \"/api/b\"")]).unwrap();
}

#[test]
fn what_a_sidecar_contradicts_is_found_beside_what_is_wrong_elsewhere() {
    let text = "[server]\nlisten = 1\n[sidecars.a]\nscript = \"a.py\"\ndepends_on = [\"b\"]\n";
    let shown = problems(parse(text));
    assert!(shown.contains("b.toml:2:10: server.listen") && shown.contains("b.toml:5:14: sidecars.a.depends_on"), "{shown}");
}
