//! Values that contradict each other.

pub(crate) mod sidecar;

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;

use crate::place::is_kebab;
use crate::reader::Reader;
use crate::section::{
    Cache, Chain, Cors, Data, Embeddings, FeatureFlag, Image, Inference, Media, Model, ModelAlias, Operations, Plugins, Search,
    SearchIndex, Server, Telemetry, Upstream, Urls, Workflow, WorkflowStore,
};

/// Endpoints of one upstream at most.
const MAX_ENDPOINTS: usize = 256;

/// The greatest weight of an endpoint; the registry's too.
const MAX_WEIGHT: u32 = 1000;

/// The longest name of a service in the registry, in bytes.
const MAX_SERVICE: usize = 128;

/// Providers of one chain at most.
const MAX_PROVIDERS: usize = 16;

/// Looks for contradictions in a section whose keys are all right by themselves.
pub(crate) trait Check {
    /// Notes what contradicts; `name` is given for named sections.
    fn check(&self, _reader: &mut Reader<'_>, _name: Option<&str>) {}

    /// Notes what the entries of a named section contradict each other in.
    fn check_all(_entries: &BTreeMap<String, Self>, _reader: &mut Reader<'_>)
    where
        Self: Sized,
    {
    }
}

impl Check for Data {}
impl Check for Image {}
impl Check for Inference {}
impl Check for Operations {}
impl Check for Cache {}
impl Check for Urls {}
impl Check for FeatureFlag {}

/// The longest id of a model, in bytes.
const MAX_MODEL: usize = 64;

fn is_model(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_MODEL).contains(&id.len()) && id.bytes().all(allowed)
}

fn no_model(id: &str) -> String {
    let id: String = id.chars().take(MAX_MODEL + 1).collect();
    format!("\"{id}\" is no id of a model: 1 to {MAX_MODEL} lower-case letters, digits, `-`, `_` and `.`")
}

impl Check for Embeddings {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        if !is_model(&self.model) {
            reader.blame("embeddings", None, "model", no_model(&self.model));
        }
    }
}

impl Check for Model {
    fn check(&self, reader: &mut Reader<'_>, name: Option<&str>) {
        if let Some(id) = self.plugins.iter().flatten().find(|id| !is_kebab(id)) {
            reader.blame("models", name, "plugins", no_plugin_id(id));
        }
    }
}

impl Check for ModelAlias {
    fn check(&self, reader: &mut Reader<'_>, name: Option<&str>) {
        for (key, model) in [("model", Some(&self.model)), ("other", self.other.as_ref())] {
            if let Some(model) = model.filter(|model| !is_model(model)) {
                reader.blame("model_aliases", name, key, no_model(model));
            }
        }
        if self.other.as_ref() == Some(&self.model) {
            reader.blame("model_aliases", name, "other", "is the same as `model`");
        }
    }
}

impl Check for Search {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        if self.index == SearchIndex::Pgvector && self.postgres_url.is_none() {
            reader.blame("search", None, "postgres_url", "is needed for the index \"pgvector\"");
        }
        if let Some(model) = self.models.iter().find(|model| !is_model(model)) {
            reader.blame("search", None, "models", no_model(model));
        }
        check_schema(reader, "search", &self.postgres_schema);
        if self.ranker.as_deref().is_some_and(|id| !is_kebab(id)) {
            reader.blame("search", None, "ranker", no_plugin_id(self.ranker.as_deref().unwrap_or_default()));
        }
    }
}

fn check_schema(reader: &mut Reader<'_>, section: &'static str, schema: &str) {
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=63).contains(&schema.len()) || !schema.bytes().all(named) {
        reader.blame(section, None, "postgres_schema", "expected 1 to 63 lower-case letters, digits and `_`");
    }
}

impl Check for Workflow {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        if self.records == WorkflowStore::Postgres && self.postgres_url.is_none() {
            reader.blame("workflow", None, "postgres_url", "is needed for the records \"postgres\"");
        }
        check_schema(reader, "workflow", &self.postgres_schema);
        if self.poll > self.lease {
            reader.blame("workflow", None, "poll", "is longer than workflow.lease");
        }
        for (key, value) in [("temporal_namespace", &self.temporal_namespace), ("temporal_task_queue", &self.temporal_task_queue)] {
            if !(1..=200).contains(&value.len()) || value.chars().any(char::is_control) {
                reader.blame("workflow", None, key, "expected 1 to 200 printable characters");
            }
        }
        if self.temporal_certificate.is_some() != self.temporal_key.is_some() {
            reader.blame("workflow", None, "temporal_certificate", "is needed with workflow.temporal_key, and the other way round");
        }
        let is_plain = self.temporal_url.as_str().starts_with("http://");
        let has_tls = [&self.temporal_ca, &self.temporal_certificate, &self.temporal_api_key_file].into_iter().any(Option::is_some);
        if is_plain && has_tls {
            reader.blame("workflow", None, "temporal_url", "must begin with https: a key or a certificate is given");
        }
    }
}

impl Check for Cors {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        let any = self.allowed_origins.iter().any(|origin| origin == "*");
        if any && self.allow_credentials {
            reader.blame("cors", None, "allow_credentials", "cannot be used with the origin `*`: name the origins");
        }
        if any && self.allowed_origins.len() > 1 {
            reader.blame("cors", None, "allowed_origins", "`*` already stands for every origin");
        }
        let scheme = |origin: &&String| !origin.starts_with("http://") && !origin.starts_with("https://");
        if let Some(origin) = self.allowed_origins.iter().filter(|origin| *origin != "*").find(scheme) {
            reader.blame(
                "cors",
                None,
                "allowed_origins",
                format!("{} is no origin such as \"https://shop.example\"", crate::value::quoted(origin)),
            );
        }
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

impl Check for Server {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        if self.listen.is_empty() {
            reader.blame("server", None, "listen", "at least one address is needed");
        }
        if let Some(twice) = twice(self.listen.iter().filter(|address| address.port() != 0)) {
            reader.blame("server", None, "listen", format!("{twice} is there twice"));
        }
    }
}

impl Check for Media {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        let name = &self.output_folder;
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            reader.blame("media", None, "output_folder", "expected one plain folder name, without slashes and not starting with a dot");
        }
    }
}

fn is_service(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_SERVICE).contains(&name.len()) && name.bytes().all(allowed)
}

fn no_plugin_id(id: &str) -> String {
    format!("\"{id}\" is no plugin id: lower-case letters, digits and hyphens")
}

impl Check for Plugins {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        if let Some(twice) = twice(&self.order) {
            reader.blame("plugins", None, "order", format!("\"{twice}\" is there twice"));
        }
        let not_kebab =
            |id: &&String| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        for (key, ids) in [("order", self.order.iter().collect::<Vec<_>>()), ("grants", self.grants.keys().collect())] {
            if let Some(id) = ids.into_iter().find(not_kebab) {
                reader.blame("plugins", None, key, no_plugin_id(id));
            }
        }
        if self.cpu_time > self.timeout {
            reader.blame("plugins", None, "cpu_time", "is longer than plugins.timeout, which would end the call first");
        }
        if self.max_concurrent_per_generation > self.max_concurrent {
            reader.blame("plugins", None, "max_concurrent_per_generation", "is more than plugins.max_concurrent");
        }
        if self.host_call_bytes > self.host_bytes {
            reader.blame("plugins", None, "host_call_bytes", "is more than plugins.host_bytes");
        }
    }
}

impl Check for Upstream {
    fn check(&self, reader: &mut Reader<'_>, name: Option<&str>) {
        let mut blame = |key, message: String| reader.blame("upstreams", name, key, message);
        let (endpoints, weights) = (&self.endpoints, &self.weights);
        if endpoints.len() > MAX_ENDPOINTS {
            blame("endpoints", format!("there are {}; at most {MAX_ENDPOINTS} are possible", endpoints.len()));
        }
        if let Some(twice) = twice(endpoints) {
            blame("endpoints", format!("{twice} is there twice; give it a weight instead"));
        }
        if !weights.is_empty() && weights.len() != endpoints.len() {
            blame("weights", format!("there are {} weights for {} endpoints", weights.len(), endpoints.len()));
        }
        if let Some(weight) = weights.iter().find(|weight| !(1..=MAX_WEIGHT).contains(*weight)) {
            blame("weights", format!("expected 1 to {MAX_WEIGHT} for each, got {weight}"));
        }
        if self.service.as_deref().is_some_and(|service| !is_service(service)) {
            blame("service", format!("expected a name in the registry: 1 to {MAX_SERVICE} lower-case letters, digits, `-`, `_` and `.`"));
        }
        if let Some(id) = self.plugins.iter().flatten().find(|id| !is_kebab(id)) {
            blame("plugins", no_plugin_id(id));
        }
        let delays = [
            ("retry_delay", Some(self.retry_delay), None),
            ("create_retry_delay", self.create_retry_delay, self.create_max_retry_delay),
            ("update_retry_delay", self.update_retry_delay, self.update_max_retry_delay),
            ("delete_retry_delay", self.delete_retry_delay, self.delete_max_retry_delay),
            ("read_retry_delay", self.read_retry_delay, self.read_max_retry_delay),
        ];
        for (key, delay, most) in delays {
            if delay.is_some_and(|delay| delay > most.unwrap_or(self.max_retry_delay)) {
                blame(key, "is longer than the longest wait before a retry".to_owned());
            }
        }
        if let Some(path) = self.health_path.as_deref().filter(|path| !path.starts_with('/') || path.parse::<http::Uri>().is_err()) {
            blame("health_path", format!("expected a path such as \"/health\", got {}", crate::value::quoted(path)));
        }
        if HeaderName::from_bytes(self.api_key_header.as_bytes()).is_err() {
            blame("api_key_header", format!("{} is no name of a header", crate::value::quoted(&self.api_key_header)));
        }
        let sources = [
            ("api_key_file", "api_key_env", self.api_key_file.is_some(), self.api_key_env.is_some()),
            ("bearer_file", "bearer_env", self.bearer_file.is_some(), self.bearer_env.is_some()),
            ("basic_file", "basic_env", self.basic_file.is_some(), self.basic_env.is_some()),
        ];
        for (file, variable, has_file, has_variable) in sources {
            if has_file && has_variable {
                blame(file, format!("is set beside {variable}; one of the two must go"));
            }
        }
        let has_password = self.basic_file.is_some() || self.basic_env.is_some();
        match &self.basic_user {
            None if has_password => blame("basic_user", "is not set, but its password is".to_owned()),
            Some(_) if !has_password => blame("basic_user", "is set without basic_env or basic_file for its password".to_owned()),
            Some(user) if user.contains(':') => blame("basic_user", "holds a colon, which ends a name".to_owned()),
            _ => {}
        }
        let bearer = self.bearer_file.is_some() || self.bearer_env.is_some();
        let basic = [("basic_file", self.basic_file.is_some()), ("basic_env", self.basic_env.is_some())];
        if let Some((key, _)) = basic.into_iter().find(|(_, set)| bearer && *set) {
            blame(key, "is set beside a bearer token, and both are sent in the same header".to_owned());
        }
    }
}

impl Check for Chain {
    fn check(&self, reader: &mut Reader<'_>, name: Option<&str>) {
        let mut blame = |key, message: String| reader.blame("chains", name, key, message);
        if let Some(providers) = &self.providers {
            if providers.is_empty() || providers.len() > MAX_PROVIDERS {
                blame("providers", format!("expected 1 to {MAX_PROVIDERS} providers, got {}", providers.len()));
            }
            if let Some(twice) = twice(providers) {
                blame("providers", format!("\"{twice}\" is there twice"));
            }
            if let Some(provider) = providers.iter().find(|provider| !is_kebab(provider)) {
                blame(
                    "providers",
                    format!(
                        "expected \"local\", \"service\", a plugin id, \"fallbacks\" or \"static\", got {}",
                        crate::value::quoted(provider)
                    ),
                );
            }
            if providers.iter().any(|provider| provider == "static") && self.static_answer.is_none() {
                blame("providers", "\"static\" needs a static_answer".to_owned());
            }
        }
        if let Some(flag) = self.flag.as_deref().filter(|flag| !is_kebab(flag)) {
            blame("flag", crate::place::no_name(flag));
        }
    }
}

impl Check for Telemetry {
    fn check(&self, reader: &mut Reader<'_>, _name: Option<&str>) {
        if self.service_name.trim().is_empty() {
            reader.blame("telemetry", None, "service_name", "a service in a trace needs a name");
        }
    }
}
