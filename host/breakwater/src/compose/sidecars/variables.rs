//! The variables that a sidecar's settings are looked up in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use breakwater_sidecar::{Launch, SidecarConfig};

/// The file of variables when none is named.
const DEFAULT_FILE: &str = ".env";

/// Gives a variable of the environment of this process.
pub(super) type HostVariable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of a sidecar, as its process will have them.
pub(super) struct Variables<'a> {
    environment: &'a BTreeMap<String, String>,
    file: Option<(PathBuf, BTreeMap<String, String>)>,
    host: HostVariable<'a>,
}

impl<'a> Variables<'a> {
    /// Reads the sidecar's file: the one that is named, which must be there, or `.env` in its working directory, which need not. One that
    /// somebody else runs has none.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub(super) fn of(config: &'a SidecarConfig, host: HostVariable<'a>) -> Result<Self> {
        let folder = config.folder().unwrap_or_default();
        let file = match (&config.launch, &config.env_file) {
            (Launch::External(_), _) => None,
            (_, Some(named)) => Some((named.clone(), read(named)?.ok_or_else(|| unreadable(named, "there is no such file"))?)),
            (_, None) => {
                let path = folder.join(DEFAULT_FILE);
                read(&path)?.map(|variables| (path, variables))
            }
        };
        Ok(Self { environment: &config.environment, file, host })
    }

    /// A variable that is set to something, and where: the settings are the strongest, then the file, then the environment of this process.
    pub(super) fn find(&self, name: &str) -> Option<(String, String)> {
        let set = |value: Option<String>| value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let in_settings = || set(self.environment.get(name).cloned()).map(|value| (value, format!("{name} in `environment`")));
        let in_file = || {
            let (path, variables) = self.file.as_ref()?;
            set(variables.get(name).cloned()).map(|value| (value, format!("{name} in {}", path.display())))
        };
        let in_host = || set((self.host)(name)).map(|value| (value, format!("{name} in the environment")));
        in_settings().or_else(in_file).or_else(in_host)
    }
}

/// The variables of a file; nothing when there is none.
fn read(path: &Path) -> Result<Option<BTreeMap<String, String>>> {
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return Ok(None),
        Err(error) => return Err(unreadable(path, &error.to_string())),
    };
    let variables = lines.collect::<Result<_, _>>().map_err(|error| match error {
        // What stands behind the name may be a secret.
        dotenvy::Error::LineParse(line, _) => {
            let name: String = line.trim().split('=').next().unwrap_or_default().chars().take(60).collect();
            unreadable(path, &format!("the line that begins with `{name}` is not NAME=value"))
        }
        error => unreadable(path, &error.to_string()),
    })?;
    Ok(Some(variables))
}

fn unreadable(path: &Path, why: &str) -> anyhow::Error {
    anyhow!("cannot read its variables from {}: {why}", path.display())
}
