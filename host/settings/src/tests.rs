use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use crate::*;

fn parse(text: &str) -> Result<Settings, SettingsError> {
    with_environment(text, &[])
}

fn with_environment(text: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::parse(Path::new("b.toml"), text, environment, &[])
}

/// The messages of what is wrong, one a line.
fn problems(result: Result<Settings, SettingsError>) -> String {
    result.map(drop).expect_err("this must not be accepted").to_string()
}

#[test]
fn each_layer_overrides_the_one_below() {
    let text = "[server]\nmax_body = \"1MiB\"\nheader_timeout = \"1s\"\nlisten = [\"127.0.0.1:1\"]\n";
    let environment = [("BREAKWATER__SERVER__HEADER_TIMEOUT", "2s"), ("BREAKWATER__SERVER__LISTEN", "127.0.0.1:2, [::1]:2"), ("PATH", "x")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flag = Flag { flag: "--listen", section: "server", key: "listen", text: "127.0.0.1:3".into() };
    let settings = Settings::parse(Path::new("b.toml"), text, environment, &[flag]).unwrap();
    assert_eq!(settings.server.max_body, ByteSize(1 << 20));
    assert_eq!(settings.server.header_timeout, Duration::from_secs(2));
    assert_eq!(settings.server.listen, ["127.0.0.1:3".parse().unwrap()]);
    assert_eq!(settings.server.body_idle_timeout, Duration::from_secs(10));
    let origins: BTreeMap<_, _> = settings.entries().into_iter().map(|entry| (entry.key.name, entry.origin.to_string())).collect();
    assert_eq!(origins["listen"], "--listen");
    assert_eq!(origins["header_timeout"], "BREAKWATER__SERVER__HEADER_TIMEOUT");
    assert_eq!(origins["max_body"], "b.toml:2:12");
    assert_eq!(origins["body_idle_timeout"], "default");
}

#[test]
fn an_unknown_key_is_named_with_line_column_and_suggestion() {
    assert_eq!(
        problems(parse("\n[server]\nlisten = []\n  lisen = 1\n")).lines().last().unwrap(),
        "b.toml:4:3: server.lisen: unknown key; did you mean listen?"
    );
    assert_eq!(problems(parse("[serer]\n")), "b.toml:1:2: serer: unknown section; did you mean [server]?");
    assert_eq!(problems(parse("[image]\nmax_body = 1\n")), "b.toml:2:1: image.max_body: unknown key; did you mean max_bytes?");
    assert_eq!(
        problems(parse("[image]\nlog_filter = 1\n")),
        "b.toml:2:1: image.log_filter: unknown key; did you mean log_filter in [telemetry]?"
    );
    assert_eq!(problems(parse("listen = []\n")), "b.toml:1:1: listen: unknown key outside any section; did you mean listen in [server]?");
    assert_eq!(problems(parse("[image]\nzzz = 1\n")), "b.toml:2:1: image.zzz: unknown key");
    assert!(problems(parse("server = 1\n")).starts_with("b.toml:1:10: server: expected a table"));
}

#[test]
fn a_wrong_value_says_what_is_expected_and_what_was_found() {
    let cases = [
        ("[server]\nmax_body = 5\n", "b.toml:2:12: server.max_body: expected a size such as \"64KiB\" or \"50MiB\", got 5"),
        ("[server]\nmax_body = \"2GiB\"\n", "b.toml:2:12: server.max_body: expected \"1KiB\" to \"1GiB\", got \"2GiB\""),
        ("[image]\nmax_edge = -1\n", "b.toml:2:12: image.max_edge: expected a whole number, got -1"),
        ("[image]\nmax_edge = 70000\n", "b.toml:2:12: image.max_edge: expected 1 to 65535, got 70000"),
        (
            "[inference]\ndevice = \"gpuu\"\n",
            "b.toml:2:10: inference.device: expected \"auto\" or \"gpu\" or \"cpu\", got \"gpuu\"; did you mean \"gpu\"?",
        ),
        ("[plugins]\nwatch = \"yes\"\n", "b.toml:2:9: plugins.watch: expected true or false, got \"yes\""),
        (
            "[server]\nlisten = [\"127.0.0.1:1\", \"host\"]\n",
            "b.toml:2:10: server.listen: item 2: expected an address such as \"127.0.0.1:8080\" or \"[::]:8080\", got \"host\"",
        ),
        (
            "[plugins.grants]\nx = [\"net\"]\n",
            "b.toml:1:1: plugins.grants: x: item 1: expected \"blobs\" or \"config\" or \"imaging\" or \"logging\" or \"upstream\" \
             or \"feature-flags\" or \"http\" or \"embedder\" or \"nn\", got \"net\"",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(problems(parse(text)), message);
    }
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let text = "[server]\nlisten = 1\nlisn = 2\n[image]\nmax_edge = 0\n[media]\noutput_folder = \"../x\"\n";
    let environment =
        [("BREAKWATER__INFERENCE__DEVICE", "tpu"), ("BREAKWATER__SERVR__LISTEN", "x"), ("BREAKWATER__SERVER__HEADER_TIME_OUT", "1s")];
    let all = problems(with_environment(text, &environment));
    let lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 7, "{all}");
    assert!(lines[0].starts_with("b.toml:2:10: server.listen: expected a list"), "{all}");
    assert!(lines[1].starts_with("b.toml:3:1: server.lisn: unknown key"), "{all}");
    assert!(lines[2].starts_with("b.toml:5:12: image.max_edge"), "{all}");
    assert!(lines[3].starts_with("b.toml:7:17: media.output_folder: expected one plain folder name"), "{all}");
    assert!(all.contains("BREAKWATER__SERVR__LISTEN: unknown setting; did you mean BREAKWATER__SERVER__LISTEN?"), "{all}");
    assert!(
        all.contains("BREAKWATER__SERVER__HEADER_TIME_OUT: unknown setting; did you mean BREAKWATER__SERVER__HEADER_TIMEOUT?"),
        "{all}"
    );
    assert!(all.contains("BREAKWATER__INFERENCE__DEVICE: inference.device: expected \"auto\""), "{all}");
}

#[test]
fn broken_toml_is_reported_with_its_place() {
    let all = problems(parse("[server]\nlisten = [\"127.0.0.1:1\"\nmax_body = \n"));
    assert!(all.lines().all(|line| line.starts_with("b.toml:")), "{all}");
    assert!(problems(parse("[server]\nmax_body = \"1MiB\"\nmax_body = \"2MiB\"\n")).contains("b.toml:3:1"));
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let cases = [
        ("[server]\nlisten = []\n", "server.listen: at least one"),
        ("[server]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n", "server.listen: 127.0.0.1:1 is there twice"),
        ("[plugins]\ncpu_time = \"6s\"\n", "plugins.cpu_time: is longer than plugins.timeout"),
        ("[plugins]\nmax_concurrent = 4\n", "is more than plugins.max_concurrent"),
        ("[plugins]\nhost_bytes = \"1KiB\"\n", "is more than plugins.host_bytes"),
        ("[plugins]\norder = [\"a\", \"a\"]\n", "plugins.order: \"a\" is there twice"),
        ("[plugins]\norder = [\"Crop\"]\n", "\"Crop\" is no plugin id"),
        ("[search]\nindex = \"pgvector\"\n", "search.postgres_url: is needed for the index \"pgvector\""),
        ("[search]\npostgres_schema = \"a; drop\"\n", "search.postgres_schema: expected 1 to 63"),
        ("[workflow]\nrecords = \"postgres\"\n", "workflow.postgres_url: is needed for the records \"postgres\""),
        ("[workflow]\npostgres_schema = \"Work\"\n", "workflow.postgres_schema: expected 1 to 63"),
        ("[workflow]\nlease = \"1s\"\npoll = \"2s\"\n", "b.toml:3:8: workflow.poll: is longer than workflow.lease"),
        ("[workflow]\nexecutor = \"cadence\"\n", "b.toml:2:12: workflow.executor: expected"),
        ("[workflow]\ntemporal_namespace = \"\"\n", "workflow.temporal_namespace: expected 1 to 200"),
        ("[workflow]\ntemporal_key = \"k.pem\"\n", "workflow.temporal_certificate: is needed with workflow.temporal_key"),
        ("[workflow]\ntemporal_ca = \"ca.pem\"\n", "workflow.temporal_url: must begin with https"),
        ("[workflow]\nmax_steps = 0\n", "b.toml:2:13: workflow.max_steps: expected 1 to 65536, got 0"),
        ("[workflow]\nmax_running = 1000001\n", "workflow.max_running: expected 1 to 1000000"),
        ("[workflow]\nlease = \"999ms\"\n", "workflow.lease: expected \"1s\" to \"10m\""),
        ("[workflow]\nkeep = \"30 days\"\n", "b.toml:2:8: workflow.keep: expected"),
        ("[workflow]\npostgres_url = \"mysql://u:secret@db/x\"\n", "b.toml:2:16: workflow.postgres_url: expected a URL such as"),
        ("[search]\nranker = \"Rank\"\n", "search.ranker: \"Rank\" is no plugin id"),
        ("[search]\nmodels = [\"a\", \"A/../b\"]\n", "search.models: \"A/../b\" is no id of a model"),
        ("[search]\nmin_similarity = 1.5\n", "search.min_similarity: expected -1.0 to 1.0"),
        ("[embeddings]\nmodel = \"\"\n", "embeddings.model: \"\" is no id of a model"),
        ("[model_aliases.photos]\nmodel = \"a\"\nother = \"a\"\n", "model_aliases.photos.other: is the same as"),
        ("[cors]\nallowed_origins = [\"*\"]\nallow_credentials = true\n", "cors.allow_credentials: cannot be used with the origin `*`"),
        ("[cors]\nallowed_origins = [\"shop.example\"]\n", "cors.allowed_origins: \"shop.example\" is no origin"),
    ];
    for (text, message) in cases {
        assert!(problems(parse(text)).contains(message), "{text}: {}", problems(parse(text)));
    }
    parse("[server]\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n").unwrap();
}

#[test]
fn tables_are_read_from_the_file_and_from_the_environment() {
    let expected = BTreeMap::from([("crop-people".to_owned(), vec![Capability::Imaging])]);
    assert_eq!(parse("[plugins.grants]\ncrop-people = [\"imaging\"]\n").unwrap().plugins.grants, expected);
    let environment = [("BREAKWATER__PLUGINS__GRANTS", "{ crop-people = [\"imaging\"] }"), ("BREAKWATER__PLUGINS__DIR", "")];
    let settings = with_environment("[plugins]\ndir = \"/x\"\n", &environment).unwrap();
    assert_eq!((settings.plugins.grants, settings.plugins.dir), (expected, None));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("none.toml");
    let error = Settings::load(Some(&path), []).unwrap_err();
    assert!(error.to_string().contains("none.toml") && error.problems().is_empty());
}

#[test]
fn changes_are_told_apart_by_when_they_take_effect() {
    let old = parse("").unwrap();
    let new = parse("[telemetry]\nlog_filter = \"debug\"\n[server]\nmax_body = \"1MiB\"\nbody_idle_timeout = \"10s\"\n").unwrap();
    assert_eq!(old.changed(&new, Reload::Live), ["telemetry.log_filter"]);
    assert_eq!(old.changed(&new, Reload::Restart), ["server.max_body"], "a key written with its default has not changed");
}

#[test]
fn every_range_can_be_read_and_holds_its_default() {
    // Reading the defaults checks each against its range; a range that cannot be read is a problem too.
    parse("").unwrap();
    for section in SECTIONS {
        assert!(!section.about.is_empty() && section.keys.iter().all(|key| !key.about.is_empty()), "{}", section.name);
    }
}

proptest! {
    #[test]
    fn any_text_gives_settings_or_problems_with_places(text in "(\\[[a-z.]{1,10}\\]\n|[a-z_]{1,12} = [^\n]{0,12}\n|[^\n]{0,20}\n){0,8}") {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn any_variable_is_taken_or_refused_by_name(name in "((UPSTREAMS|SIDECARS|CHAINS|FLAGS)_{1,3})?[A-Z_]{0,20}", value in ".{0,20}") {
        let variable = format!("BREAKWATER__{name}");
        if let Err(error) = with_environment("", &[(&variable, &value)]) {
            prop_assert!(error.to_string().contains(&variable));
        }
    }
}

mod named;
mod sidecars;
