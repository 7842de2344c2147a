//! All settings, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::problem::{Origin, SettingsError};
use crate::reader::{Flag, Reader, Source, read_file};
use crate::section::{Data, Image, Inference, Key, Media, Operations, Plugins, Reload, SECTIONS, Section, Server, Telemetry};

/// Validated settings. They never change; a reload makes new ones.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[media]`
    pub media: Media,
    /// `[data]`
    pub data: Data,
    /// `[image]`
    pub image: Image,
    /// `[inference]`
    pub inference: Inference,
    /// `[plugins]`
    pub plugins: Plugins,
    /// `[operations]`
    pub operations: Operations,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    origins: BTreeMap<(&'static str, &'static str), Origin>,
}

/// One key with its value in force.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Its section.
    pub section: &'static Section,
    /// The key.
    pub key: &'static Key,
    /// The value as TOML; nothing when it is not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: &'a Origin,
}

impl Settings {
    /// Reads the file, if one is given, and lets variables `BREAKWATER__SECTION__KEY` of `environment` override it.
    ///
    /// # Errors
    /// When the file cannot be read, or with everything that is wrong in it and in the environment.
    pub fn load(path: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        Self::load_with_flags(path, environment, &[])
    }

    /// As [`Self::load`]; `flags` override both.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with_flags(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, SettingsError> {
        let shown = path.unwrap_or(Path::new("breakwater.toml")).to_owned();
        let text = read_file(path).map_err(|source| SettingsError::Unreadable { path: shown.clone(), source })?;
        Self::read(Reader::new(Source { path: shown, text: &text }, environment, flags))
    }

    /// As [`Self::load_with_flags`], from text; `path` is only shown.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, SettingsError> {
        Self::read(Reader::new(Source { path: path.to_owned(), text }, environment, flags))
    }

    fn read(mut reader: Reader<'_>) -> Result<Self, SettingsError> {
        let server = Server::read(&mut reader);
        let media = Media::read(&mut reader);
        let data = Data::read(&mut reader);
        let image = Image::read(&mut reader);
        let inference = Inference::read(&mut reader);
        let plugins = Plugins::read(&mut reader);
        let operations = Operations::read(&mut reader);
        let telemetry = Telemetry::read(&mut reader);
        if let Some(server) = &server {
            check_server(&mut reader, server);
        }
        if let Some(media) = &media {
            check_media(&mut reader, media);
        }
        if let Some(plugins) = &plugins {
            check_plugins(&mut reader, plugins);
        }
        let (origins, mut problems) = (std::mem::take(&mut reader.origins), std::mem::take(&mut reader.problems));
        problems.sort_by_key(|problem| match problem.origin {
            Origin::File { line, column, .. } => (0, line, column),
            _ => (1, 0, 0),
        });
        let settings = (|| {
            let (server, media, data, image) = (server?, media?, data?, image?);
            let (inference, plugins, operations, telemetry) = (inference?, plugins?, operations?, telemetry?);
            Some(Self { server, media, data, image, inference, plugins, operations, telemetry, origins })
        })();
        settings.filter(|_| problems.is_empty()).ok_or(SettingsError::Invalid(problems))
    }

    /// Every key with its value in force and where that comes from.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let values = [
            self.server.values(),
            self.media.values(),
            self.data.values(),
            self.image.values(),
            self.inference.values(),
            self.plugins.values(),
            self.operations.values(),
            self.telemetry.values(),
        ];
        let sections = SECTIONS.iter().zip(values);
        let entries =
            sections.flat_map(|(section, values)| section.keys.iter().zip(values).map(move |(key, value)| (*section, key, value)));
        let origin = |section: &Section, key: &Key| self.origins.get(&(section.name, key.name)).unwrap_or(&Origin::Default);
        entries.map(|(section, key, value)| Entry { section, key, value, origin: origin(section, key) }).collect()
    }

    /// The keys, such as `server.listen`, whose value in `other` differs, of those that take effect as `reload` says.
    #[must_use]
    pub fn changed(&self, other: &Self, reload: Reload) -> Vec<String> {
        let both = self.entries().into_iter().zip(other.entries());
        let changed = both.filter(|(old, new)| old.key.reload == reload && old.value != new.value);
        changed.map(|(old, _)| format!("{}.{}", old.section.name, old.key.name)).collect()
    }
}

fn check_server(reader: &mut Reader<'_>, server: &Server) {
    if server.listen.is_empty() {
        reader.blame("server", "listen", "at least one address is needed");
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = server.listen.iter().find(|address| address.port() != 0 && !seen.insert(**address)) {
        reader.blame("server", "listen", format!("{twice} is there twice"));
    }
}

fn check_media(reader: &mut Reader<'_>, media: &Media) {
    let name = &media.output_folder;
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        reader.blame("media", "output_folder", "expected one plain folder name, without slashes and not starting with a dot");
    }
}

fn check_plugins(reader: &mut Reader<'_>, plugins: &Plugins) {
    let mut seen = BTreeSet::new();
    if let Some(twice) = plugins.order.iter().find(|id| !seen.insert(*id)) {
        reader.blame("plugins", "order", format!("\"{twice}\" is there twice"));
    }
    let not_kebab =
        |id: &&String| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    for (key, ids) in [("order", plugins.order.iter().collect::<Vec<_>>()), ("grants", plugins.grants.keys().collect())] {
        if let Some(id) = ids.into_iter().find(not_kebab) {
            reader.blame("plugins", key, format!("\"{id}\" is no plugin id: lower-case letters, digits and hyphens"));
        }
    }
    if plugins.cpu_time > plugins.timeout {
        reader.blame("plugins", "cpu_time", "is longer than plugins.timeout, which would end the call first");
    }
    if plugins.max_concurrent_per_generation > plugins.max_concurrent {
        reader.blame("plugins", "max_concurrent_per_generation", "is more than plugins.max_concurrent");
    }
    if plugins.host_call_bytes > plugins.host_bytes {
        reader.blame("plugins", "host_call_bytes", "is more than plugins.host_bytes");
    }
}
