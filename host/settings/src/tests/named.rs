//! Sections with names, and the variables of older clients.

use super::*;
use crate::section::{FeatureFlag, Upstream};

fn upstream(text: &str, environment: &[(&str, &str)]) -> Upstream {
    with_environment(text, environment).unwrap_or_else(|error| panic!("{error}")).upstreams.remove("image-service").unwrap()
}

fn urls(upstream: &Upstream) -> Vec<&str> {
    upstream.endpoints.iter().map(BaseUrl::as_str).collect()
}

#[test]
fn entries_are_read_by_name_and_what_they_do_not_say_has_its_default() {
    let text = "[upstreams.image-service]\nendpoints = [\"http://localhost:8000/\", \"http://localhost:8001\"]\nweights = [2, 1]\n\
                [upstreams.other]\ntimeout = \"1s\"\n[chains.generate-resume]\nproviders = [\"adapter-talent\", \"fallbacks\"]\n\
                [flags.ai-matching]\nrollout = 25\n";
    let settings = parse(text).unwrap();
    assert_eq!(settings.upstreams.keys().collect::<Vec<_>>(), ["image-service", "other"]);
    let upstream = &settings.upstreams["image-service"];
    assert_eq!(urls(upstream), ["http://localhost:8000", "http://localhost:8001"]);
    assert_eq!(upstream.weights, [2, 1]);
    assert_eq!(settings.upstreams["other"].timeout, Duration::from_secs(1));
    assert!(settings.upstreams["other"].endpoints.is_empty());
    let chain = &settings.chains["generate-resume"];
    assert_eq!(chain.providers.as_deref().unwrap(), ["adapter-talent", "fallbacks"]);
    assert!(chain.enabled && chain.timeout.is_none());
    let flag = FeatureFlag { enabled: true, rollout: 25, description: String::new() };
    assert_eq!(settings.flags["ai-matching"], flag, "a whole number is a number");
    let entries = settings.entries();
    let entry = entries.iter().find(|entry| entry.path() == "upstreams.image-service.weights").unwrap();
    assert_eq!((entry.table().as_str(), entry.value.as_deref()), ("upstreams.image-service", Some("[2, 1]")));
    assert_eq!(entry.origin.to_string(), "b.toml:3:11");
}

/// The defaults of the image-processing client: timeout 30000, maxRetries 3, retryDelay 1000, maxConnections 10, healthCheckInterval
/// 60000; and of the AI-service client's breaker: errorThresholdPercentage 50, resetTimeout 30000, rollingCountTimeout 10000,
/// rollingCountBuckets 10.
#[test]
fn an_upstream_has_the_defaults_of_the_clients_it_replaces() {
    let upstream = upstream("[upstreams.image-service]\n", &[]);
    assert_eq!(upstream.timeout, Duration::from_millis(30_000));
    assert_eq!((upstream.retries, upstream.retry_delay), (3, Duration::from_millis(1000)));
    assert_eq!(upstream.max_connections, 10);
    assert_eq!(upstream.health_interval, Duration::from_millis(60_000));
    assert_eq!((upstream.breaker_error_percentage, upstream.breaker_reset), (50, Duration::from_millis(30_000)));
    assert_eq!((upstream.breaker_window, upstream.breaker_buckets), (Duration::from_millis(10_000), 10));
    assert_eq!((upstream.breaker, upstream.breaker_failures), (BreakerTrip::ConsecutiveFailures, 5));
    assert_eq!((upstream.retry_jitter, upstream.balance, upstream.http), (Jitter::Full, Balance::WeightedRoundRobin, HttpVersion::Auto));
    assert_eq!((upstream.retry_ratio, upstream.retry_floor, upstream.retry_burst), (0.2, 10, 100));
    assert_eq!(upstream.health_path.as_deref(), Some("/health"));
    assert_eq!((upstream.first_byte_timeout, upstream.create_retries, upstream.read_retry_delay), (None, None, None));
}

#[test]
fn a_variable_names_the_entry_and_makes_it() {
    let environment = [
        ("BREAKWATER__UPSTREAMS__IMAGE_SERVICE__TIMEOUT", "5s"),
        ("BREAKWATER__UPSTREAMS__IMAGE_SERVICE__ENDPOINTS", "http://a:1,http://b:2"),
    ];
    let settings = with_environment("[upstreams.image-service]\ntimeout = \"9s\"\nretries = 1\n", &environment).unwrap();
    let upstream = &settings.upstreams["image-service"];
    assert_eq!((upstream.timeout, upstream.retries), (Duration::from_secs(5), 1));
    assert_eq!(urls(upstream), ["http://a:1", "http://b:2"]);
    let settings = with_environment("", &[("BREAKWATER__FLAGS__A_B__ENABLED", "false")]).unwrap();
    assert!(!settings.flags["a-b"].enabled);
    let unset = with_environment("[upstreams.a]\n", &[("BREAKWATER__UPSTREAMS__A__HEALTH_PATH", "")]).unwrap();
    assert_eq!(unset.upstreams["a"].health_path, None);
}

#[test]
fn what_is_wrong_with_an_entry_is_named_with_its_place_and_what_was_meant() {
    let cases = [
        ("[upstreams.a]\ntimout = \"1s\"\n", "b.toml:2:1: upstreams.a.timout: unknown key; did you mean timeout?"),
        ("[upstreams.a]\nlog_filter = 1\n", "b.toml:2:1: upstreams.a.log_filter: unknown key; did you mean log_filter in [telemetry]?"),
        ("[image]\nendpoints = 1\n", "b.toml:2:1: image.endpoints: unknown key; did you mean endpoints in [upstreams.NAME]?"),
        ("[upstream.a]\n", "b.toml:1:2: upstream: unknown section; did you mean [upstreams.NAME]?"),
        (
            "[upstreams.Image_Service]\n",
            "b.toml:1:12: upstreams.Image_Service: \"Image_Service\" is no name: lower-case letters and digits, joined by single hyphens, \
             at most 64",
        ),
        (
            "[upstreams]\ntimeout = \"1s\"\n",
            "b.toml:2:11: upstreams.timeout: expected a table: write [upstreams.NAME] on a line of its own",
        ),
        ("upstreams = 1\n", "b.toml:1:13: upstreams: expected a table: write [upstreams.NAME] on a line of its own"),
        ("[upstreams.a]\nretries = 101\n", "b.toml:2:11: upstreams.a.retries: expected 0 to 100, got 101"),
        ("[upstreams.a]\ncreate_retries = 101\n", "b.toml:2:18: upstreams.a.create_retries: expected 0 to 100, got 101"),
        (
            "[upstreams.a]\nendpoints = [\"localhost:1\"]\n",
            "b.toml:2:13: upstreams.a.endpoints: item 1: expected a URL such as \"http://localhost:8000\", without credentials and query, \
             got \"localhost:1\"",
        ),
        ("[flags.a]\nrollout = 101\n", "b.toml:2:11: flags.a.rollout: expected 0 to 100, got 101"),
        (
            "[chains.a]\nstatic_answer = \"{\"\n",
            "b.toml:2:17: chains.a.static_answer: expected JSON in a text, such as '{\"items\": []}', got \"{\"",
        ),
        (
            "[urls]\nallow_addresses = [\"10.0.0.0/33\"]\n",
            "b.toml:2:19: urls.allow_addresses: item 1: expected a network such as \"10.0.0.0/8\" or an address, got \"10.0.0.0/33\"",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(problems(parse(text)), message);
    }
}

#[test]
fn an_unknown_variable_of_an_entry_says_which_was_meant() {
    let cases = [
        ("BREAKWATER__UPSTREAMS__IMAGE_SERVICE__TIMOUT", "; did you mean BREAKWATER__UPSTREAMS__IMAGE_SERVICE__TIMEOUT?"),
        ("BREAKWATER__UPSTREAM__IMAGE_SERVICE__TIMEOUT", "; did you mean BREAKWATER__UPSTREAMS__NAME__TIMEOUT?"),
        ("BREAKWATER__UPSTREAMS__TIMEOUT", ""),
    ];
    for (variable, suggestion) in cases {
        assert_eq!(problems(with_environment("", &[(variable, "1s")])), format!("{variable}: unknown setting{suggestion}"));
    }
    let message = problems(with_environment("", &[("BREAKWATER__UPSTREAMS___A__TIMEOUT", "1s")]));
    assert!(message.contains("is no name"), "{message}");
}

#[test]
fn values_of_an_entry_that_contradict_each_other_are_refused() {
    let long = format!("endpoints = [{}]\n", (0..257).map(|port| format!("\"http://a:{port}\"")).collect::<Vec<_>>().join(","));
    let cases = [
        ("endpoints = [\"http://a\"]\nweights = [1, 2]\n", "upstreams.a.weights: there are 2 weights for 1 endpoints"),
        ("endpoints = [\"http://a\"]\nweights = [0]\n", "upstreams.a.weights: expected 1 to 1000 for each, got 0"),
        ("endpoints = [\"http://a\", \"http://a/\"]\n", "upstreams.a.endpoints: http://a is there twice"),
        (&long, "upstreams.a.endpoints: there are 257; at most 256"),
        ("plugins = [\"Adapter\"]\n", "\"Adapter\" is no plugin id"),
        ("service = \"A b\"\n", "upstreams.a.service: expected a name in the registry"),
        ("retry_delay = \"1m\"\n", "upstreams.a.retry_delay: is longer than"),
        ("read_retry_delay = \"1m\"\n", "upstreams.a.read_retry_delay: is longer than"),
        ("health_path = \"health\"\n", "expected a path such as \"/health\""),
        ("api_key_header = \"x api\"\n", "is no name of a header"),
        ("bearer_env = \"A\"\nbearer_file = \"/a\"\n", "upstreams.a.bearer_file: is set beside bearer_env"),
        ("bearer_env = \"A\"\nbasic_user = \"u\"\nbasic_env = \"B\"\n", "upstreams.a.basic_env: is set beside a bearer token"),
        ("basic_env = \"B\"\n", "upstreams.a.basic_user: is not set, but its password is"),
        ("basic_user = \"u\"\n", "upstreams.a.basic_user: is set without basic_env"),
        ("basic_user = \"a:b\"\nbasic_env = \"B\"\n", "upstreams.a.basic_user: holds a colon"),
    ];
    for (text, message) in cases {
        let shown = problems(parse(&format!("[upstreams.a]\n{text}")));
        assert!(shown.contains(message), "{text}: {shown}");
    }
    let chains = [
        ("providers = []\n", "chains.a.providers: expected 1 to 16"),
        ("providers = [\"local\", \"local\"]\n", "\"local\" is there twice"),
        ("providers = [\"Local\"]\n", "expected \"local\", \"service\", a plugin id"),
        ("providers = [\"static\"]\n", "\"static\" needs a static_answer"),
        ("flag = \"A\"\n", "chains.a.flag: \"A\" is no name"),
    ];
    for (text, message) in chains {
        let shown = problems(parse(&format!("[chains.a]\n{text}")));
        assert!(shown.contains(message), "{text}: {shown}");
    }
    parse("[upstreams.a]\ncreate_retry_delay = \"1m\"\ncreate_max_retry_delay = \"2m\"\n").unwrap();
}

#[test]
fn a_name_and_the_number_of_names_have_limits() {
    let name = "a".repeat(64);
    parse(&format!("[flags.{name}]\n")).unwrap();
    assert!(problems(parse(&format!("[flags.{name}a]\n"))).contains("is no name"));
    for name in ["-a", "a-", "a--b", "ä"] {
        assert!(problems(parse(&format!("[flags.\"{name}\"]\n"))).contains("is no name"), "{name}");
    }
    let many = |count: usize| (0..count).map(|index| format!("[flags.f{index}]\n")).collect::<String>();
    assert_eq!(parse(&many(MAX_ENTRIES)).unwrap().flags.len(), MAX_ENTRIES);
    assert!(problems(parse(&many(MAX_ENTRIES + 1))).contains("flags: there are 1001; at most 1000"));
}

#[test]
fn entries_that_come_go_or_change_are_told() {
    let old = parse("[upstreams.a]\ntimeout = \"1s\"\n[upstreams.b]\n").unwrap();
    let new = parse("[upstreams.a]\ntimeout = \"2s\"\n[upstreams.c]\n[flags.f]\n").unwrap();
    assert_eq!(old.changed(&new, Reload::Restart), ["flags.f", "upstreams.a.timeout", "upstreams.b", "upstreams.c"]);
    assert_eq!(old.changed(&old.clone(), Reload::Restart), [""; 0]);
}

/// Of the image-processing client: PYTHON_SERVICE_URL, PYTHON_SERVICE_TIMEOUT, PYTHON_SERVICE_MAX_RETRIES, PYTHON_SERVICE_RETRY_DELAY,
/// PYTHON_SERVICE_MAX_CONNECTIONS, HEALTH_CHECK_INTERVAL, times in milliseconds.
#[test]
fn the_variables_of_the_image_processing_client_set_up_its_upstream() {
    let environment = [
        ("PYTHON_SERVICE_TIMEOUT", "1500"),
        ("PYTHON_SERVICE_URL", "http://python:8000/"),
        ("PYTHON_SERVICE_MAX_RETRIES", "5"),
        ("PYTHON_SERVICE_RETRY_DELAY", "250"),
        ("PYTHON_SERVICE_MAX_CONNECTIONS", "20"),
        ("HEALTH_CHECK_INTERVAL", "1000"),
    ];
    let settings = with_environment("", &environment).unwrap();
    let upstream = &settings.upstreams["image-service"];
    assert_eq!(urls(upstream), ["http://python:8000"]);
    assert_eq!((upstream.timeout, upstream.retry_delay), (Duration::from_millis(1500), Duration::from_millis(250)));
    assert_eq!((upstream.retries, upstream.max_connections), (5, 20));
    assert_eq!(upstream.health_interval, Duration::from_secs(1));
    assert_eq!(settings.upstreams.len(), 1);
    let entries = settings.entries();
    let timeout = entries.iter().find(|entry| entry.path() == "upstreams.image-service.timeout").unwrap();
    assert_eq!(timeout.origin.to_string(), "PYTHON_SERVICE_TIMEOUT");
    assert!(environment.iter().all(|(variable, _)| sets_a_key(variable)) && !sets_a_key("PATH"));
}

#[test]
fn the_variable_of_the_image_search_client_sets_up_its_upstream() {
    let settings = with_environment("", &[("PYTHON_IMAGE_SERVICE_URL", "http://python:8001")]).unwrap();
    assert_eq!(urls(&settings.upstreams["clip-service"]), ["http://python:8001"]);
}

#[test]
fn an_older_variable_is_stronger_than_the_file_and_weaker_than_ours_in_any_order() {
    let text = "[upstreams.image-service]\ntimeout = \"9s\"\nretries = 9\nretry_delay = \"9s\"\n";
    let mut environment = vec![
        ("BREAKWATER__UPSTREAMS__IMAGE_SERVICE__TIMEOUT", "1s"),
        ("PYTHON_SERVICE_TIMEOUT", "2000"),
        ("PYTHON_SERVICE_MAX_RETRIES", "2"),
        ("PYTHON_SERVICE_RETRY_DELAY", " "),
    ];
    for _ in 0..2 {
        let upstream = upstream(text, &environment);
        assert_eq!((upstream.timeout, upstream.retries), (Duration::from_secs(1), 2));
        assert_eq!(upstream.retry_delay, Duration::from_secs(9), "an empty variable is not set");
        environment.reverse();
    }
}

#[test]
fn an_older_variable_that_only_tunes_makes_no_upstream() {
    let environment = [("PYTHON_SERVICE_TIMEOUT", "soon"), ("HEALTH_CHECK_INTERVAL", "1000")];
    assert!(with_environment("", &environment).unwrap().upstreams.is_empty());
}

#[test]
fn a_bad_older_variable_is_a_problem_that_names_it() {
    let environment = [
        ("PYTHON_SERVICE_URL", "localhost"),
        ("PYTHON_SERVICE_TIMEOUT", "30s"),
        ("PYTHON_SERVICE_MAX_RETRIES", "-1"),
        ("PYTHON_SERVICE_RETRY_DELAY", "99999999999999999999"),
        ("PYTHON_SERVICE_MAX_CONNECTIONS", "0"),
        ("HEALTH_CHECK_INTERVAL", "1"),
    ];
    let all = problems(with_environment("", &environment));
    for message in [
        "PYTHON_SERVICE_URL: upstreams.image-service.endpoints: expected a URL such as",
        "PYTHON_SERVICE_TIMEOUT: upstreams.image-service.timeout: expected a whole number of milliseconds, got \"30s\"",
        "PYTHON_SERVICE_MAX_RETRIES: upstreams.image-service.retries: expected a whole number, got \"-1\"",
        "PYTHON_SERVICE_RETRY_DELAY: upstreams.image-service.retry_delay: expected a duration",
        "PYTHON_SERVICE_MAX_CONNECTIONS: upstreams.image-service.max_connections: expected 1 to 100000, got 0",
        "HEALTH_CHECK_INTERVAL: upstreams.image-service.health_interval: expected \"10ms\" to \"24h\", got \"1ms\"",
    ] {
        assert!(all.contains(message), "{message}\nis not in\n{all}");
    }
    assert_eq!(all.lines().count(), 6, "{all}");
}

#[test]
fn a_password_of_redis_is_not_shown() {
    let settings = parse("[cache]\nredis_url = \"redis://:secret@localhost:6379\"\n").unwrap();
    assert_eq!(settings.cache.redis_url.as_ref().unwrap().reveal(), "redis://:secret@localhost:6379");
    assert!(!format!("{settings:?}{:?}", settings.entries()).contains("secret"));
}

#[test]
fn a_chain_may_be_named_like_the_action_of_a_service_and_nothing_else_may() {
    let settings = parse("[chains.\"text_v2.x-extraction.Extract_it\"]\nenabled = false\n").unwrap();
    assert!(!settings.chains["text_v2.x-extraction.Extract_it"].enabled);
    let long = format!("{}.a", "a".repeat(129));
    for name in ["Text.extract", "text.", ".extract", "text.ex tract", "text", &long] {
        let kebab = name == "text";
        assert_eq!(parse(&format!("[chains.\"{name}\"]\nenabled = false\n")).is_ok(), kebab, "{name}");
    }
    assert!(problems(parse("[flags.\"text.extract\"]\n")).contains("is no name"));
}
