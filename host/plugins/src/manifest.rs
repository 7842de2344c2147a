//! `plugin.toml`: what a plugin is and what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use breakwater_core::{AspectRatio, Rect};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::config::GuestLimits;
use crate::contract::WORLD;
use crate::error::PluginError;
use crate::plugin_id::PluginId;

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
    /// The component's file, relative to the manifest.
    pub component: String,
    /// What it asks for.
    pub capabilities: BTreeSet<Capability>,
    /// What it wants tightened.
    pub limits: LimitRequest,
    /// Its settings, as `wasi:config` serves them.
    pub config: BTreeMap<String, String>,
    /// How it is probed when it is deployed.
    pub fixtures: Vec<FixtureEntry>,
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

/// One probe, as the manifest names it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureEntry {
    /// The picture, relative to the manifest.
    pub image: String,
    /// The strategy asked for.
    pub strategy: String,
    /// The ratio asked for, such as `4:6`.
    #[serde(deserialize_with = "ratio")]
    pub ratio: AspectRatio,
    /// Parameters; an empty object when absent.
    #[serde(default = "no_parameters")]
    pub parameters: serde_json::Value,
    /// A file with detections to give along: a JSON array. Absent: the host's detectors are asked.
    pub detections: Option<String>,
    /// What the plan must be.
    pub expect: Option<ExpectEntry>,
}

/// What a probe's plan must be.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectEntry {
    /// The rectangle.
    pub crop: Rect,
    /// How many pixels each edge may be off.
    #[serde(default)]
    pub tolerance: u32,
}

/// How a source folder is built.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildEntry {
    /// The program and its arguments, run in the plugin's folder.
    pub command: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: PluginId,
    version: Version,
    world: String,
    #[serde(default = "default_component")]
    component: String,
    #[serde(default)]
    capabilities: BTreeSet<Capability>,
    #[serde(default)]
    limits: LimitRequest,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    fixtures: Vec<FixtureEntry>,
    build: Option<BuildEntry>,
}

fn default_component() -> String {
    "component.wasm".to_owned()
}

fn no_parameters() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn ratio<'de, D: serde::Deserializer<'de>>(from: D) -> Result<AspectRatio, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
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
        let file: File = toml::from_str(text).map_err(|error| PluginError::ManifestInvalid(error.to_string().trim().to_owned()))?;
        if file.world != WORLD {
            return wrong(format!("world: this host runs `{WORLD}`, not `{}`", file.world));
        }
        if file.config.len() > MAX_SETTINGS || file.config.iter().any(|(key, value)| key.len() + value.len() > MAX_SETTING) {
            return wrong(format!("config: at most {MAX_SETTINGS} settings of at most {MAX_SETTING} bytes"));
        }
        if file.fixtures.len() > MAX_FIXTURES {
            return wrong(format!("fixtures: at most {MAX_FIXTURES}"));
        }
        if let Some(fixture) = file.fixtures.iter().find(|fixture| !fixture.parameters.is_object()) {
            return wrong(format!("fixtures: the parameters for `{}` are not a table", fixture.strategy));
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
            component: file.component,
            capabilities: file.capabilities,
            limits: file.limits,
            config: file.config,
            fixtures: file.fixtures,
            build: file.build,
        })
    }
}

#[cfg(test)]
mod tests {
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
        let fixture = manifest.fixtures.first().unwrap();
        assert_eq!(fixture.ratio, AspectRatio::new(4, 6).unwrap());
        assert_eq!(fixture.parameters, serde_json::json!({ "top": 0.5 }));
        assert_eq!(fixture.expect.unwrap().crop, Rect::new(1, 2, 3, 4));
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
            (format!("{MINIMAL}[limits]\ncpu_ms = 0"), "limits"),
            (format!("{MINIMAL}[build]\ncommand = []"), "build"),
            (format!("{MINIMAL}#{}", "x".repeat(MAX_MANIFEST)), "bytes"),
            (String::new(), "id"),
        ] {
            let error = Manifest::parse(&text).unwrap_err();
            assert_eq!(error.code(), "plugin.manifest-invalid");
            assert!(error.to_string().contains(names), "{error}");
        }
    }
}
