//! Values that contradict each other.

use std::collections::BTreeSet;

use http::HeaderName;

use crate::place::is_kebab;
use crate::reader::Reader;
use crate::section::{Chain, Media, Plugins, Server, Upstream};
use crate::settings::Settings;

/// Endpoints of one upstream at most.
pub(crate) const MAX_ENDPOINTS: usize = 256;

/// Providers of one chain at most.
pub(crate) const MAX_PROVIDERS: usize = 16;

pub(crate) fn check(reader: &mut Reader<'_>, settings: &Settings) {
    server(reader, &settings.server);
    media(reader, &settings.media);
    plugins(reader, &settings.plugins);
    for (name, settings) in &settings.upstreams {
        upstream(reader, name, settings);
    }
    for (name, settings) in &settings.chains {
        chain(reader, name, settings);
    }
    if settings.telemetry.service_name.trim().is_empty() {
        reader.blame("telemetry", None, "service_name", "a service in a trace needs a name");
    }
}

/// The first that was there before.
fn twice<T: Ord>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().find_map(|item| match seen.get(&item) {
        Some(_) => Some(item),
        None => {
            seen.insert(item);
            None
        }
    })
}

fn server(reader: &mut Reader<'_>, server: &Server) {
    if server.listen.is_empty() {
        reader.blame("server", None, "listen", "at least one address is needed");
    }
    if let Some(twice) = twice(server.listen.iter().filter(|address| address.port() != 0)) {
        reader.blame("server", None, "listen", format!("{twice} is there twice"));
    }
}

fn media(reader: &mut Reader<'_>, media: &Media) {
    let name = &media.output_folder;
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        reader.blame("media", None, "output_folder", "expected one plain folder name, without slashes and not starting with a dot");
    }
}

fn no_plugin_id(id: &str) -> String {
    format!("\"{id}\" is no plugin id: lower-case letters, digits and hyphens")
}

fn plugins(reader: &mut Reader<'_>, plugins: &Plugins) {
    if let Some(twice) = twice(&plugins.order) {
        reader.blame("plugins", None, "order", format!("\"{twice}\" is there twice"));
    }
    let not_kebab =
        |id: &&String| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    for (key, ids) in [("order", plugins.order.iter().collect::<Vec<_>>()), ("grants", plugins.grants.keys().collect())] {
        if let Some(id) = ids.into_iter().find(not_kebab) {
            reader.blame("plugins", None, key, no_plugin_id(id));
        }
    }
    if plugins.cpu_time > plugins.timeout {
        reader.blame("plugins", None, "cpu_time", "is longer than plugins.timeout, which would end the call first");
    }
    if plugins.max_concurrent_per_generation > plugins.max_concurrent {
        reader.blame("plugins", None, "max_concurrent_per_generation", "is more than plugins.max_concurrent");
    }
    if plugins.host_call_bytes > plugins.host_bytes {
        reader.blame("plugins", None, "host_call_bytes", "is more than plugins.host_bytes");
    }
}

fn upstream(reader: &mut Reader<'_>, name: &str, upstream: &Upstream) {
    let mut blame = |key, message: String| reader.blame("upstreams", Some(name), key, message);
    let (endpoints, weights) = (&upstream.endpoints, &upstream.weights);
    if endpoints.len() > MAX_ENDPOINTS {
        blame("endpoints", format!("there are {}; at most {MAX_ENDPOINTS} are possible", endpoints.len()));
    }
    if let Some(twice) = twice(endpoints) {
        blame("endpoints", format!("{twice} is there twice; give it a weight instead"));
    }
    if !weights.is_empty() && weights.len() != endpoints.len() {
        blame("weights", format!("there are {} weights for {} endpoints", weights.len(), endpoints.len()));
    }
    if let Some(weight) = weights.iter().find(|weight| !(1..=65_535).contains(*weight)) {
        blame("weights", format!("expected 1 to 65535 for each, got {weight}"));
    }
    if let Some(service) = upstream.service.as_deref().filter(|service| !is_kebab(service)) {
        blame("service", crate::place::no_name(service));
    }
    if let Some(id) = upstream.plugins.iter().flatten().find(|id| !is_kebab(id)) {
        blame("plugins", no_plugin_id(id));
    }
    let delays = [
        ("retry_delay", Some(upstream.retry_delay), None),
        ("create_retry_delay", upstream.create_retry_delay, upstream.create_max_retry_delay),
        ("update_retry_delay", upstream.update_retry_delay, upstream.update_max_retry_delay),
        ("delete_retry_delay", upstream.delete_retry_delay, upstream.delete_max_retry_delay),
        ("read_retry_delay", upstream.read_retry_delay, upstream.read_max_retry_delay),
    ];
    for (key, delay, most) in delays {
        if delay.is_some_and(|delay| delay > most.unwrap_or(upstream.max_retry_delay)) {
            blame(key, "is longer than the longest wait before a retry".to_owned());
        }
    }
    if let Some(path) = upstream.health_path.as_deref().filter(|path| !path.starts_with('/') || path.parse::<http::Uri>().is_err()) {
        blame("health_path", format!("expected a path such as \"/health\", got {}", crate::value::quoted(path)));
    }
    if HeaderName::from_bytes(upstream.api_key_header.as_bytes()).is_err() {
        blame("api_key_header", format!("{} is no name of a header", crate::value::quoted(&upstream.api_key_header)));
    }
    let sources = [
        ("api_key_file", "api_key_env", upstream.api_key_file.is_some(), upstream.api_key_env.is_some()),
        ("bearer_file", "bearer_env", upstream.bearer_file.is_some(), upstream.bearer_env.is_some()),
        ("basic_file", "basic_env", upstream.basic_file.is_some(), upstream.basic_env.is_some()),
    ];
    for (file, variable, has_file, has_variable) in sources {
        if has_file && has_variable {
            blame(file, format!("is set beside {variable}; one of the two must go"));
        }
    }
    let bearer = upstream.bearer_file.is_some() || upstream.bearer_env.is_some();
    let basic = [("basic_file", upstream.basic_file.is_some()), ("basic_env", upstream.basic_env.is_some())];
    if let Some((key, _)) = basic.into_iter().find(|(_, set)| bearer && *set) {
        blame(key, "is set beside a bearer token, and both are sent in the same header".to_owned());
    }
}

fn chain(reader: &mut Reader<'_>, name: &str, chain: &Chain) {
    let mut blame = |key, message: String| reader.blame("chains", Some(name), key, message);
    if let Some(providers) = &chain.providers {
        if providers.is_empty() || providers.len() > MAX_PROVIDERS {
            blame("providers", format!("expected 1 to {MAX_PROVIDERS} providers, got {}", providers.len()));
        }
        if let Some(twice) = twice(providers) {
            blame("providers", format!("\"{twice}\" is there twice"));
        }
        if let Some(provider) = providers.iter().find(|provider| !is_kebab(provider)) {
            blame(
                "providers",
                format!("expected \"local\", a plugin id, \"fallbacks\" or \"static\", got {}", crate::value::quoted(provider)),
            );
        }
        if providers.iter().any(|provider| provider == "static") && chain.static_answer.is_none() {
            blame("providers", "\"static\" needs a static_answer".to_owned());
        }
    }
    if let Some(flag) = chain.flag.as_deref().filter(|flag| !is_kebab(flag)) {
        blame("flag", crate::place::no_name(flag));
    }
}
