//! Settings from what was typed, the environment and the file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use breakwater_settings::{Flag, Origin, Settings, sets_a_key};

use crate::cli::{Places, ServeArguments};

/// Where settings come from; kept, so that they can be read again.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    file: Option<PathBuf>,
    flags: Vec<Flag>,
}

impl Sources {
    /// A file, or none.
    pub(crate) fn of_file(file: Option<PathBuf>) -> Self {
        Self { file, flags: Vec::new() }
    }

    /// What the commands without a server take.
    pub(crate) fn of_places(places: &Places) -> Result<Self> {
        let mut sources = Self::of_file(places.config.clone());
        sources.path("--data-dir", "data", "dir", places.data_dir.as_deref())?;
        sources.path("--plugins", "plugins", "dir", places.plugins.as_deref())?;
        Ok(sources)
    }

    /// Takes another media root than the one that is configured.
    pub(crate) fn set_media_root(&mut self, root: &Path) -> Result<()> {
        self.path("FOLDER", "media", "root", Some(root))
    }

    /// What `serve` takes.
    pub(crate) fn of_serve(arguments: &ServeArguments) -> Result<Self> {
        let mut sources = Self::of_places(&arguments.places)?;
        sources.path("--media-root", "media", "root", arguments.media_root.as_deref())?;
        if !arguments.listen.is_empty() {
            let addresses: Vec<_> = arguments.listen.iter().map(ToString::to_string).collect();
            sources.flags.push(Flag { flag: "--listen", section: "server", key: "listen", text: addresses.join(",") });
        }
        if arguments.watch {
            sources.flags.push(Flag { flag: "--watch", section: "plugins", key: "watch", text: "true".to_owned() });
        }
        Ok(sources)
    }

    fn path(&mut self, flag: &'static str, section: &'static str, key: &'static str, path: Option<&Path>) -> Result<()> {
        if let Some(path) = path {
            let text = path.to_str().with_context(|| format!("{flag}: {} is not UTF-8", path.display()))?.to_owned();
            self.flags.push(Flag { flag, section, key, text });
        }
        Ok(())
    }

    /// Reads them now.
    ///
    /// # Errors
    /// With everything that is wrong, one problem a line.
    pub(crate) fn read(&self) -> Result<Settings> {
        let settings = Settings::load_with_flags(self.file.as_deref(), environment(), &self.flags)?;
        breakwater_telemetry::logs::check_filter(&settings.telemetry.log_filter).with_context(|| {
            let entries = settings.entries();
            let origin = entries.iter().find(|entry| entry.key.name == "log_filter").map_or(&Origin::Default, |entry| entry.origin);
            format!("{origin}: telemetry.log_filter")
        })?;
        Ok(settings)
    }
}

/// The variables that set keys.
fn environment() -> impl Iterator<Item = (String, String)> {
    let ours = std::env::vars_os().filter(|(name, _)| sets_a_key(&name.to_string_lossy()));
    ours.map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}
