//! Which operations there are at one moment, and who answers them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Digest, Failure, FailureKind, OperationSpec};
use breakwater_plugins::{FallbackLevel, Generation, OperationSchema, Snapshot};
use breakwater_upstream::{ServiceSnapshot, ServiceStatus};
use serde_json::{Value, json};

use crate::actions::{self, Action};
use crate::chains::{Caching, ChainConfig, Chains, FALLBACKS, LOCAL, SERVICE, STATIC};
use crate::json;
use crate::operation::{self, Operation};
use crate::providers::is_about_the_input;
use crate::strategies::closest;

/// The longest a call of an operation of a plugin may take when its chain does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// Code of the host that answers an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    DetectObjects,
    ExtractFeatures,
    EmbedText,
    SearchProducts,
    PlanCrop,
    CropImage,
    ComposeSheet,
    ProcessBatch,
}

impl Local {
    const ALL: [Self; 8] = [
        Self::DetectObjects,
        Self::ExtractFeatures,
        Self::EmbedText,
        Self::SearchProducts,
        Self::PlanCrop,
        Self::CropImage,
        Self::ComposeSheet,
        Self::ProcessBatch,
    ];

    fn operation(self) -> Operation {
        match self {
            Self::DetectObjects => operation::DETECT_OBJECTS,
            Self::ExtractFeatures => operation::EXTRACT_FEATURES,
            Self::EmbedText => operation::EMBED_TEXT,
            Self::SearchProducts => operation::SEARCH_PRODUCTS,
            Self::PlanCrop => operation::PLAN_CROP,
            Self::CropImage => operation::CROP_IMAGE,
            Self::ComposeSheet => operation::COMPOSE_SHEET,
            Self::ProcessBatch => operation::PROCESS_BATCH,
        }
    }

    fn spec(self) -> OperationSpec {
        match self {
            Self::DetectObjects => json::detect::spec(),
            Self::ExtractFeatures => json::features::spec(),
            Self::EmbedText => json::features::text_spec(),
            Self::SearchProducts => json::search::spec(),
            Self::PlanCrop => json::plan::spec(),
            Self::CropImage => json::crop::spec(),
            Self::ComposeSheet => json::sheet::spec(),
            Self::ProcessBatch => json::batch::spec(),
        }
    }
}

/// One that answers in full.
#[derive(Debug, Clone)]
pub(crate) enum Live {
    Local(Local),
    /// `named` adapters are asked even if an upstream they ask for is not configured.
    Adapter {
        generation: Arc<Generation>,
        named: bool,
    },
    /// A service that was defined, asked for one of its actions.
    Service(Action),
}

/// Who can answer an operation beside plugins.
#[derive(Debug, Clone)]
enum Own {
    Local(Local),
    Service(Action),
    Nobody,
}

impl Own {
    fn live(&self) -> Option<Live> {
        match self {
            Self::Local(local) => Some(Live::Local(*local)),
            Self::Service(action) => Some(Live::Service(action.clone())),
            Self::Nobody => None,
        }
    }

    fn timeout(&self) -> Duration {
        match self {
            Self::Local(local) => local.operation().timeout,
            Self::Service(action) => action.timeout(),
            Self::Nobody => DEFAULT_TIMEOUT,
        }
    }

    /// What a chain calls it.
    fn word(&self) -> &'static str {
        if matches!(self, Self::Service(_)) { SERVICE } else { LOCAL }
    }
}

/// One operation with everyone who answers it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) schema: Arc<OperationSchema>,
    pub(crate) timeout: Duration,
    pub(crate) provider_timeout: Duration,
    pub(crate) live: Vec<Live>,
    pub(crate) fallbacks: Vec<(FallbackLevel, Arc<Generation>)>,
    pub(crate) static_answer: Option<Value>,
    pub(crate) enabled: bool,
    pub(crate) flag: String,
    pub(crate) caching: Caching,
    /// Changes with the schema: what is kept under another one cannot be read.
    pub(crate) schema_digest: Digest,
    /// Changes with whatever could answer differently.
    pub(crate) revision: Digest,
}

/// Every operation. Part of what a call captures at its root.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<String, Entry>,
}

impl Table {
    /// From the active plugins, the services and the operator's chains. What cannot be used is left out and logged: one bad line must not
    /// take the other operations along. What `before` compiled is not compiled again.
    pub(crate) fn build(plugins: &Snapshot, services: &ServiceSnapshot, chains: &Chains, before: Option<&Self>) -> Self {
        let mut found: BTreeMap<String, (Schema, Own)> = BTreeMap::new();
        for local in Local::ALL {
            found.insert(local.operation().name.to_owned(), (Schema::Spec(local.spec()), Own::Local(local)));
        }
        for spec in plugins.operations() {
            found.entry(spec.name.clone()).or_insert_with(|| (Schema::Spec(spec.clone()), Own::Nobody));
        }
        for action in services.services().flat_map(actions::actions) {
            let name = action.schema.spec().name.clone();
            let of_service = || (Schema::Compiled(Arc::clone(&action.schema), action.schema_digest), Own::Service(action.clone()));
            found.entry(name).or_insert_with(of_service);
        }
        for name in chains.keys().filter(|name| !found.contains_key(*name)) {
            tracing::warn!(operation = name, "a chain is configured for an operation that nobody offers");
        }
        let default = ChainConfig::default();
        let entries = found.into_iter().filter_map(|(name, (schema, own))| {
            let kept = before.and_then(|before| before.entries.get(&name));
            match Entry::of(schema.compiled(kept), &own, plugins, chains.get(&name).unwrap_or(&default)) {
                Ok(entry) => Some((name, entry)),
                Err(problem) => {
                    tracing::error!(operation = name, problem, "the operation cannot be used");
                    None
                }
            }
        });
        Self { entries: entries.collect() }
    }

    /// An operation by its name.
    ///
    /// # Errors
    /// `operation.unknown` (not found), with the known names and the closest one.
    pub(crate) fn get(&self, name: &str) -> Result<&Entry, Failure> {
        self.entries.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.entries.keys().map(String::as_str).collect();
            let name: String = name.chars().take(64).collect();
            let closest = closest(&name, known.iter().copied());
            let suggestion = closest.map(|known| format!(" did you mean {known:?}?")).unwrap_or_default();
            let message = format!("there is no operation {name:?};{suggestion} known are {}", known.join(", "));
            let failure = Failure::new(FailureKind::NotFound, "operation.unknown", message);
            failure.with_detail(json!({ "known": known, "closest": closest }))
        })
    }

    /// Every operation, by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}

/// The schemas of an operation.
enum Schema {
    Spec(OperationSpec),
    Compiled(Arc<OperationSchema>, Digest),
}

impl Schema {
    /// Compiled, if `kept` is not of the same operation.
    fn compiled(self, kept: Option<&Entry>) -> Result<(Arc<OperationSchema>, Digest), String> {
        match (self, kept) {
            (Self::Compiled(schema, digest), _) => Ok((schema, digest)),
            (Self::Spec(spec), Some(kept)) if *kept.spec() == spec => Ok((Arc::clone(&kept.schema), kept.schema_digest)),
            (Self::Spec(spec), _) => {
                let digest = actions::schema_digest(&spec);
                let schema = OperationSchema::compile(spec).map_err(|error| error.to_string())?;
                Ok((Arc::new(schema), digest))
            }
        }
    }
}

impl Entry {
    fn of(
        schema: Result<(Arc<OperationSchema>, Digest), String>,
        own: &Own,
        plugins: &Snapshot,
        config: &ChainConfig,
    ) -> Result<Self, String> {
        let (schema, schema_digest) = schema?;
        let spec = schema.spec();
        let (live, fallbacks, has_static) = providers(&spec.name, own, plugins, config);
        let static_answer = config.static_answer.clone().filter(|_| has_static);
        if let Some(answer) = &static_answer {
            schema.check_output(answer).map_err(|failure| format!("static_answer: {}", failure.message))?;
        }
        let timeout = config.timeout.unwrap_or_else(|| own.timeout());
        let mut parts: Vec<Vec<u8>> = vec![schema_digest.as_bytes().to_vec()];
        parts.extend(live.iter().map(|live| match live {
            Live::Local(local) => format!("{local:?} {}", env!("CARGO_PKG_VERSION")).into_bytes(),
            Live::Adapter { generation, .. } => generation.digest().as_bytes().to_vec(),
            Live::Service(action) => action.revision().into_bytes(),
        }));
        let revision = Digest::of_parts(parts.iter().map(Vec::as_slice));
        Ok(Self {
            timeout,
            provider_timeout: config.provider_timeout.unwrap_or(timeout),
            live,
            fallbacks,
            static_answer,
            enabled: config.enabled,
            // A flag's name has no dots.
            flag: config.flag.clone().unwrap_or_else(|| spec.name.replace('.', "-")),
            caching: config.caching,
            schema_digest,
            revision,
            schema,
        })
    }

    /// What everyone agrees on.
    pub(crate) fn spec(&self) -> &OperationSpec {
        self.schema.spec()
    }

    /// Why nobody answers in full, if that is because a service is kept and not called.
    pub(crate) fn inactive(&self) -> Option<Failure> {
        self.live.iter().find_map(|live| match live {
            Live::Service(action) if action.service().status != ServiceStatus::Active => Some(actions::inactive(action.service())),
            _ => None,
        })
    }

    /// Whether somebody may still answer after this failure of the host's own code.
    pub(crate) fn can_degrade(&self, failure: &Failure) -> bool {
        !is_about_the_input(failure) && (!self.fallbacks.is_empty() || self.static_answer.is_some())
    }
}

type Providers = (Vec<Live>, Vec<(FallbackLevel, Arc<Generation>)>, bool);

fn providers(operation: &str, own: &Own, plugins: &Snapshot, config: &ChainConfig) -> Providers {
    let adapters = plugins.adapters(operation);
    let levels = plugins.fallbacks(operation);
    let every_level = || levels.iter().map(|(level, generation)| ((*level).clone(), Arc::clone(generation)));
    let Some(named) = &config.providers else {
        let adapters = adapters.into_iter().map(|generation| Live::Adapter { generation: Arc::clone(generation), named: false });
        let live = adapters.chain(own.live()).collect();
        return (live, every_level().collect(), true);
    };
    let (mut live, mut fallbacks, mut has_static) = (Vec::new(), Vec::new(), false);
    for name in named {
        match name.as_str() {
            word if [LOCAL, SERVICE].contains(&word) => live.extend(own.live().filter(|_| word == own.word())),
            FALLBACKS => fallbacks.extend(every_level()),
            STATIC => has_static = true,
            id => {
                let adapter = adapters.iter().find(|generation| generation.id().as_str() == id);
                live.extend(adapter.map(|generation| Live::Adapter { generation: Arc::clone(generation), named: true }));
                let of_plugin = every_level().filter(|(_, generation)| generation.id().as_str() == id);
                let before = fallbacks.len();
                fallbacks.extend(of_plugin);
                if adapter.is_none() && fallbacks.len() == before {
                    tracing::warn!(operation, provider = id, "a chain names a provider that does not offer the operation");
                }
            }
        }
    }
    (live, fallbacks, has_static)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(chains: &Chains) -> Table {
        Table::build(&Snapshot::default(), &ServiceSnapshot::default(), chains, None)
    }

    #[test]
    fn the_operations_of_the_host_are_there_without_configuration() {
        let table = table(&Chains::new());
        let names: Vec<_> = table.entries().map(|entry| entry.spec().name.as_str()).collect();
        assert_eq!(
            names,
            [
                "compose-sheet",
                "crop-image",
                "detect-objects",
                "embed-text",
                "extract-features",
                "plan-crop",
                "process-batch",
                "search-products"
            ]
        );
        assert!(matches!(table.get("detect-objects").unwrap().live.as_slice(), [Live::Local(Local::DetectObjects)]));
    }

    #[test]
    fn an_unknown_operation_is_answered_with_the_name_that_was_meant() {
        let failure = table(&Chains::new()).get("detect-object").unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::NotFound, "operation.unknown"));
        assert_eq!(failure.detail.unwrap()["closest"], "detect-objects");
    }

    #[test]
    fn a_configured_answer_must_fit_the_operation() {
        let chain = |answer: Value| {
            let chain = ChainConfig { static_answer: Some(answer), ..ChainConfig::default() };
            table(&[("detect-objects".to_owned(), chain)].into())
        };
        let good = json!({ "detections": [], "image": { "width": 1, "height": 1 } });
        assert!(chain(good).get("detect-objects").unwrap().static_answer.is_some());
        assert!(chain(json!({ "detections": 3 })).get("detect-objects").is_err());
    }

    #[test]
    fn the_revision_changes_with_the_providers() {
        let named = ChainConfig { providers: Some(vec![FALLBACKS.to_owned()]), ..ChainConfig::default() };
        let (all, none) = (table(&Chains::new()), table(&[("plan-crop".to_owned(), named)].into()));
        let (all, none) = (all.get("plan-crop").unwrap(), none.get("plan-crop").unwrap());
        assert_ne!(all.revision, none.revision);
        assert_eq!(all.schema_digest, none.schema_digest);
        assert!(none.live.is_empty());
    }
}
