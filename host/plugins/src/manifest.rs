//! `plugin.toml`: what a plugin is and what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use semver::Version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::config::GuestLimits;
use crate::error::PluginError;
use crate::plugin_id::PluginId;
use crate::reach::Reach;
use crate::world::World;

mod fixture;

pub use fixture::{AttachmentEntry, CallFixtureEntry, ExchangeEntry, ExpectEntry, FixtureEntries, PlanFixtureEntry, RankFixtureEntry};

/// The longest manifest, in bytes.
pub(crate) const MAX_MANIFEST: usize = 64 << 10;
/// The most settings, and the most bytes of one.
const MAX_SETTINGS: usize = 256;
const MAX_SETTING: usize = 16 << 10;
/// The most fixtures.
const MAX_FIXTURES: usize = 64;

/// A validated manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Names the plugin across versions.
    pub id: PluginId,
    /// Of the plugin, by semantic versioning.
    pub version: Version,
    /// What kind of plugin it is.
    pub world: World,
    /// The component's file, relative to the manifest.
    pub component: String,
    /// What it asks for.
    pub capabilities: BTreeSet<Capability>,
    /// Which upstreams, hosts, flags and models it wants to name.
    pub reach: Reach,
    /// What it wants tightened.
    pub limits: LimitRequest,
    /// Its settings, as `wasi:config` serves them.
    pub config: BTreeMap<String, String>,
    /// How it is probed when it is deployed.
    pub fixtures: FixtureEntries,
    /// How it is built from its source, where the folder is a source folder.
    pub build: Option<BuildEntry>,
}

/// Limits that a manifest asks for. They can only be tighter than the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRequest {
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// Own processor time in milliseconds.
    pub cpu_ms: Option<u32>,
    /// Wall time in milliseconds.
    pub timeout_ms: Option<u32>,
    /// Host calls.
    pub host_calls: Option<u32>,
}

impl LimitRequest {
    /// The operator's limits, tightened.
    #[must_use]
    pub fn tighten(&self, operator: &GuestLimits) -> GuestLimits {
        let millis = |asked: Option<u32>, limit: Duration| asked.map_or(limit, |asked| limit.min(Duration::from_millis(asked.into())));
        let memory = self.memory_mib.map_or(usize::MAX, |mib| (mib as usize).saturating_mul(1 << 20));
        GuestLimits {
            memory_bytes: operator.memory_bytes.min(memory),
            cpu: millis(self.cpu_ms, operator.cpu),
            timeout: millis(self.timeout_ms, operator.timeout),
            host_calls: operator.host_calls.min(self.host_calls.unwrap_or(u32::MAX)),
            ..*operator
        }
    }
}

/// How a source folder is built.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildEntry {
    /// The program and its arguments, run in the plugin's folder.
    pub command: Vec<String>,
}

/// Read first: which fixtures there may be depends on it.
#[derive(Deserialize)]
struct WorldOnly {
    world: World,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<F> {
    id: PluginId,
    version: Version,
    #[serde(rename = "world")]
    _world: World,
    #[serde(default = "default_component")]
    component: String,
    #[serde(default)]
    capabilities: BTreeSet<Capability>,
    #[serde(default)]
    upstreams: BTreeSet<String>,
    #[serde(default)]
    hosts: BTreeSet<String>,
    #[serde(default)]
    flags: BTreeSet<String>,
    #[serde(default)]
    models: BTreeSet<String>,
    #[serde(default)]
    limits: LimitRequest,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default = "Vec::new")]
    fixtures: Vec<F>,
    build: Option<BuildEntry>,
}

fn default_component() -> String {
    "component.wasm".to_owned()
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, PluginError> {
    toml::from_str(text).map_err(|error| PluginError::ManifestInvalid(error.to_string().trim().to_owned()))
}

impl Manifest {
    /// Reads and validates a manifest.
    ///
    /// # Errors
    /// [`PluginError::ManifestInvalid`] with the line and the key.
    pub fn parse(text: &str) -> Result<Self, PluginError> {
        let wrong = |what: String| Err(PluginError::ManifestInvalid(what));
        if text.len() > MAX_MANIFEST {
            return wrong(format!("it has {} bytes; at most {MAX_MANIFEST} are read", text.len()));
        }
        match read::<WorldOnly>(text)?.world {
            World::Crop => Self::checked(read(text)?, World::Crop, FixtureEntries::Plans),
            World::Ranker => Self::checked(read(text)?, World::Ranker, FixtureEntries::Rankings),
            world @ (World::Adapter | World::AdapterWasi | World::Fallback) => Self::checked(read(text)?, world, FixtureEntries::Calls),
        }
    }

    fn checked<F>(file: File<F>, world: World, fixtures: impl FnOnce(Vec<F>) -> FixtureEntries) -> Result<Self, PluginError> {
        let wrong = |what: String| Err(PluginError::ManifestInvalid(what));
        if file.config.len() > MAX_SETTINGS || file.config.iter().any(|(key, value)| key.len() + value.len() > MAX_SETTING) {
            return wrong(format!("config: at most {MAX_SETTINGS} settings of at most {MAX_SETTING} bytes"));
        }
        if file.fixtures.len() > MAX_FIXTURES {
            return wrong(format!("fixtures: at most {MAX_FIXTURES}"));
        }
        let fixtures = fixtures(file.fixtures);
        if let Err(what) = fixtures.check(world) {
            return wrong(format!("fixtures: {what}"));
        }
        let reach = Reach { upstreams: file.upstreams, hosts: file.hosts, flags: file.flags, models: file.models };
        if let Err(what) = reach.check() {
            return wrong(what);
        }
        if file.build.as_ref().is_some_and(|build| build.command.is_empty()) {
            return wrong("build: the command is empty".to_owned());
        }
        let zero = |asked: Option<u32>| asked == Some(0);
        let LimitRequest { memory_mib, cpu_ms, timeout_ms, host_calls: _ } = file.limits;
        if zero(memory_mib) || zero(cpu_ms) || zero(timeout_ms) {
            return wrong("limits: a limit of zero lets nothing run".to_owned());
        }
        Ok(Self {
            id: file.id,
            version: file.version,
            world,
            component: file.component,
            capabilities: file.capabilities,
            reach,
            limits: file.limits,
            config: file.config,
            fixtures,
            build: file.build,
        })
    }
}

#[cfg(test)]
mod tests {
    use breakwater_core::{AspectRatio, Rect};

    use super::*;

    const MINIMAL: &str = "id = \"crop\"\nversion = \"0.1.0\"\nworld = \"breakwater:plugin/crop-plugin@0.1.0\"\n";

    #[test]
    fn a_full_manifest_is_read() {
        let manifest = Manifest::parse(&format!(
            "{MINIMAL}capabilities = [\"imaging\"]\n[limits]\ncpu_ms = 20\n[config]\nheadroom = \"0.4\"\n\
             [[fixtures]]\nimage = \"fixtures/a.png\"\nstrategy = \"center\"\nratio = \"4:6\"\nparameters = {{ top = 0.5 }}\n\
             expect = {{ crop = {{ x = 1, y = 2, width = 3, height = 4 }}, tolerance = 2 }}\n"
        ))
        .unwrap();
        assert_eq!(manifest.component, "component.wasm");
        let limits = manifest.limits.tighten(&GuestLimits::default());
        assert_eq!((limits.cpu, limits.timeout), (Duration::from_millis(20), Duration::from_secs(5)));
        assert_eq!(manifest.world, World::Crop);
        let FixtureEntries::Plans(fixtures) = &manifest.fixtures else { panic!("{:?}", manifest.fixtures) };
        let fixture = fixtures.first().unwrap();
        assert_eq!(fixture.ratio, AspectRatio::new(4, 6).unwrap());
        assert_eq!(fixture.parameters, serde_json::json!({ "top": 0.5 }));
        assert_eq!(fixture.expect.unwrap().crop, Rect::new(1, 2, 3, 4));
    }

    const ADAPTER: &str = "id = \"talent\"\nversion = \"0.1.0\"\nworld = \"breakwater:plugin/adapter-plugin@0.1.0\"\n";

    #[test]
    fn a_manifest_of_an_adapter_is_read() {
        let manifest = Manifest::parse(&format!(
            "{ADAPTER}capabilities = [\"upstream\", \"feature-flags\"]\nupstreams = [\"talent\"]\nflags = [\"new\"]\n\
             [[fixtures]]\noperation = \"resume\"\ninput = \"in.json\"\nexpect = \"out.json\"\nflags = [\"new\"]\n\
             [[fixtures.upstream]]\nupstream = \"talent\"\nmethod = \"POST\"\npath = \"/resume\"\nstatus = 201\nanswer = \"answer.json\"\n"
        ))
        .unwrap();
        assert_eq!(manifest.world, World::Adapter);
        assert_eq!(manifest.reach.upstreams, ["talent".to_owned()].into());
        let FixtureEntries::Calls(fixtures) = &manifest.fixtures else { panic!("{:?}", manifest.fixtures) };
        let exchange = fixtures.first().unwrap().upstream.first().unwrap();
        assert_eq!((exchange.status, exchange.path.as_deref()), (201, Some("/resume")));
    }

    #[test]
    fn fixtures_are_those_of_the_world() {
        let call = "[[fixtures]]\noperation = \"a\"\ninput = \"in.json\"\n";
        let plan = "[[fixtures]]\nimage = \"a.png\"\nstrategy = \"s\"\nratio = \"1:1\"\n";
        for (text, names) in [
            (format!("{MINIMAL}{call}"), "unknown field"),
            (format!("{ADAPTER}{plan}"), "unknown field"),
            (format!("{ADAPTER}{call}level = \"basic\"\n"), "level"),
            (format!("{ADAPTER}{call}expect = \"a\"\nfails = \"b\"\n"), "expect"),
            (format!("{ADAPTER}{call}[[fixtures.upstream]]\nmethod = \"GET\"\nurl = \"https://a\"\nupstream = \"a\"\n"), "url"),
            (format!("{ADAPTER}{call}[[fixtures.upstream]]\nmethod = \"FETCH\"\nurl = \"https://a\"\n"), "FETCH"),
            (format!("{ADAPTER}{call}[[fixtures.upstream]]\nmethod = \"GET\"\nurl = \"https://a\"\nstatus = 99\n"), "status"),
            (format!("{}{call}", ADAPTER.replace("adapter", "fallback")), "level"),
        ] {
            let error = Manifest::parse(&text).unwrap_err();
            assert_eq!(error.code(), "plugin.manifest-invalid");
            assert!(error.to_string().contains(names), "{names}: {error}");
        }
    }

    #[test]
    fn a_manifest_cannot_loosen_a_limit() {
        let asked = LimitRequest { memory_mib: Some(4000), cpu_ms: Some(u32::MAX), timeout_ms: None, host_calls: Some(9999) };
        let operator = GuestLimits::default();
        assert_eq!(asked.tighten(&operator), operator);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, names) in [
            (MINIMAL.replace("crop-plugin@0.1.0", "crop-plugin@0.2.0"), "world"),
            (MINIMAL.replace("\"crop\"", "\"Crop\""), "lower-case"),
            (MINIMAL.replace("0.1.0\"\nworld", "one\"\nworld"), "version"),
            (format!("{MINIMAL}capabilities = [\"root\"]"), "root"),
            (format!("{MINIMAL}colour = 1"), "colour"),
            (format!("{MINIMAL}hosts = [\"*\"]"), "hosts"),
            (format!("{MINIMAL}upstreams = [\"A b\"]"), "upstreams"),
            (format!("{MINIMAL}[limits]\ncpu_ms = 0"), "limits"),
            (format!("{MINIMAL}[build]\ncommand = []"), "build"),
            (format!("{MINIMAL}#{}", "x".repeat(MAX_MANIFEST)), "bytes"),
            (String::new(), "world"),
            (MINIMAL.replace("id = \"crop\"\n", ""), "id"),
        ] {
            let error = Manifest::parse(&text).unwrap_err();
            assert_eq!(error.code(), "plugin.manifest-invalid");
            assert!(error.to_string().contains(names), "{error}");
        }
    }
}
