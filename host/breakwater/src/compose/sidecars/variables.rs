//! The variables that a sidecar's settings are looked up in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use breakwater_sidecar::{Launch, SidecarConfig};

/// The file of variables when none is named.
const DEFAULT_FILE: &str = ".env";

/// Gives a variable of the environment of this process.
pub(super) type HostVariable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of a sidecar, as its process will have them.
pub(super) struct Variables<'a> {
    environment: &'a BTreeMap<String, String>,
    file: File,
    host: HostVariable<'a>,
}

/// The sidecar's file of variables.
enum File {
    /// There is none.
    Absent,
    /// One that cannot be read or understood. The sidecar cannot start with it and says why when it tries; the host starts.
    Broken,
    /// One with these variables.
    Read(PathBuf, BTreeMap<String, String>),
}

impl<'a> Variables<'a> {
    /// Reads the sidecar's file: the one that is named, which must be there, or `.env` in its working directory, which need not. One that
    /// somebody else runs has none.
    pub(super) fn of(config: &'a SidecarConfig, host: HostVariable<'a>) -> Self {
        let file = match (&config.launch, &config.env_file) {
            (Launch::External(_), _) => File::Absent,
            (_, Some(named)) => File::read(named),
            (_, None) => {
                let path = config.folder().unwrap_or_default().join(DEFAULT_FILE);
                if path.is_file() { File::read(&path) } else { File::Absent }
            }
        };
        Self { environment: &config.environment, file, host }
    }

    /// A variable that is set to something, and where: the settings are the strongest, then the file, then the environment of this process.
    pub(super) fn find(&self, name: &str) -> Option<(String, String)> {
        let in_settings = || self.in_settings(name).map(|value| (value, format!("{name} in `environment`")));
        let in_file = || match &self.file {
            File::Read(path, variables) => set(variables.get(name).cloned()).map(|value| (value, format!("{name} in {}", path.display()))),
            File::Absent | File::Broken => None,
        };
        let in_host = || set((self.host)(name)).map(|value| (value, format!("{name} in the environment")));
        in_settings().or_else(in_file).or_else(in_host)
    }

    /// Whether a variable may stand in a file that cannot be read, so that what is found elsewhere says nothing.
    pub(super) fn may_hide(&self, name: &str) -> bool {
        matches!(self.file, File::Broken) && self.in_settings(name).is_none()
    }

    fn in_settings(&self, name: &str) -> Option<String> {
        set(self.environment.get(name).cloned())
    }
}

impl File {
    fn read(path: &Path) -> Self {
        let variables = dotenvy::from_path_iter(path).and_then(Iterator::collect);
        variables.map_or(Self::Broken, |variables| Self::Read(path.to_owned(), variables))
    }
}

fn set(value: Option<String>) -> Option<String> {
    value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
