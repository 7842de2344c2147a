//! The environment of a sidecar.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::{Launch, SidecarConfig};

/// Variables of the host that are not for others: they may hold its secrets.
const OWN: &str = "BREAKWATER__";
/// What whoever started the host told the host alone.
const OF_ITS_STARTER: [&str; 6] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// Why an environment cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// The file is not there, or may not be read.
    #[error("the file of variables {file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A line of it is not `NAME=value`.
    #[error("the file of variables {file} has a mistake: {reason}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong, without what stands behind the name.
        reason: String,
    },
}

/// A file of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariablesFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it sets.
    pub variables: BTreeMap<String, String>,
}

/// Where relative paths begin.
fn below(folder: Option<&Path>, path: &Path) -> PathBuf {
    folder.map_or_else(|| path.to_path_buf(), |folder| folder.join(path))
}

/// All variables of an instance that listens on `port`, the strongest first: those of the configuration; where it listens; the file of
/// variables; the host's own, but for its settings.
pub(crate) fn of(
    config: &SidecarConfig,
    instance: u32,
    port: u16,
    host: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<BTreeMap<OsString, OsString>, EnvironmentError> {
    let is_for_it = |name: &OsString| {
        let name = name.to_string_lossy();
        !name.starts_with(OWN) && !OF_ITS_STARTER.contains(&name.as_ref()) && !config.withheld.contains(name.as_ref())
    };
    let mut variables: BTreeMap<OsString, OsString> = host.into_iter().filter(|(name, _)| is_for_it(name)).collect();
    if let Some(found) = variables_of_file(config)? {
        variables.extend(found.variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
    let folder = config.folder();
    if let Some(virtualenv) = &config.virtualenv {
        let virtualenv = absolute(&below(None, virtualenv));
        let path = variables.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(virtualenv.join("bin")).chain(std::env::split_paths(&path)));
        variables.extend(path.ok().map(|path| ("PATH".into(), path)));
        variables.insert("VIRTUAL_ENV".into(), virtualenv.into());
        variables.remove(OsStr::new("PYTHONHOME"));
    }
    // Else what a Python program prints would come when its buffer is full.
    variables.entry("PYTHONUNBUFFERED".into()).or_insert_with(|| "1".into());
    if let Some(folder) = &folder {
        variables.insert("PWD".into(), absolute(folder).into());
    }
    for (name, value) in [("HOST", config.host.to_string()), ("FLASK_RUN_HOST", config.host.to_string())] {
        variables.insert(name.into(), value.into());
    }
    if port != 0 {
        for name in ["PORT", "FLASK_PORT", "FLASK_RUN_PORT"] {
            variables.insert(name.into(), port.to_string().into());
        }
    }
    variables.insert("SIDECAR_INSTANCE".into(), instance.to_string().into());
    for (name, value) in &config.environment {
        // Where it listens is decided for each instance; a variable for the first would be wrong for the others.
        if !matches!(name.as_str(), "PORT" | "FLASK_PORT" | "FLASK_RUN_PORT") {
            variables.insert(name.into(), value.into());
        }
    }
    Ok(variables)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The file of variables of a sidecar, and what it holds: the one that is named, or `.env` in its working directory, if there is one. One that
/// somebody else runs has none.
///
/// # Errors
/// When the file is named and not there, cannot be read, or holds a line that is not `NAME=value`.
pub fn variables_of_file(config: &SidecarConfig) -> Result<Option<VariablesFile>, EnvironmentError> {
    let file = match (&config.launch, &config.env_file) {
        (Launch::External(_), _) => return Ok(None),
        (_, Some(file)) => file.clone(),
        (_, None) => {
            let file = below(config.folder().as_deref(), Path::new(".env"));
            if !file.is_file() {
                return Ok(None);
            }
            file
        }
    };
    let shown = file.display().to_string();
    let lines =
        dotenvy::from_path_iter(&file).map_err(|error| EnvironmentError::Unreadable { file: shown.clone(), reason: error.to_string() })?;
    let variables = lines.collect::<Result<_, _>>().map_err(|error| EnvironmentError::Invalid { file: shown, reason: told(&error) })?;
    Ok(Some(VariablesFile { path: file, variables }))
}

/// What is wrong with a line. What stands behind its name may be a secret.
fn told(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(line, _) => {
            let name: String = line.trim().split('=').next().unwrap_or_default().chars().take(60).collect();
            format!("the line that begins with `{name}` is not NAME=value")
        }
        error => error.to_string(),
    }
}

/// The program of this name: a path, below the folder, or one in the `PATH` of these variables.
pub(crate) fn find_program(name: &str, variables: &BTreeMap<OsString, OsString>, folder: Option<&Path>) -> Option<PathBuf> {
    if name.contains('/') {
        let path = below(folder, Path::new(name));
        return is_executable(&path).then(|| absolute(&path));
    }
    let path = variables.get(OsStr::new("PATH"))?;
    std::env::split_paths(path).map(|place| place.join(name)).find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(folder: &Path) -> SidecarConfig {
        let launch = Launch::Script { path: folder.join("api.py"), interpreter: None, arguments: Vec::new() };
        SidecarConfig::new("flask", launch)
    }

    fn host() -> Vec<(OsString, OsString)> {
        [("PATH", "/bin"), ("SHELL", "/bin/sh"), ("BREAKWATER__CACHE__REDIS_URL", "redis://secret"), ("A", "host")]
            .map(|(name, value)| (name.into(), value.into()))
            .into()
    }

    #[test]
    fn the_strongest_variable_wins_and_the_hosts_settings_stay_its_own() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "A=file\nB='from file'\nPORT=9\n").unwrap();
        let mut config = script(folder.path());
        config.withheld = ["SHELL".to_owned()].into();
        config.environment = [("B".to_owned(), "table".to_owned()), ("FLASK_PORT".to_owned(), "1".to_owned())].into();
        let variables = of(&config, 2, 5003, host()).unwrap();
        let get = |name: &str| variables.get(OsStr::new(name)).map(|value| value.to_str().unwrap());
        assert_eq!((get("A"), get("B"), get("SHELL")), (Some("file"), Some("table"), None));
        assert_eq!((get("PORT"), get("FLASK_PORT"), get("HOST")), (Some("5003"), Some("5003"), Some("127.0.0.1")));
        assert_eq!((get("SIDECAR_INSTANCE"), get("PYTHONUNBUFFERED")), (Some("2"), Some("1")));
        assert_eq!(get("BREAKWATER__CACHE__REDIS_URL"), None);
    }

    #[test]
    fn a_virtual_environment_comes_first_in_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("venv/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy("/bin/true", bin.join("python3")).unwrap();
        let config = SidecarConfig { virtualenv: Some(folder.path().join("venv")), ..script(folder.path()) };
        let variables = of(&config, 0, 5001, host()).unwrap();
        assert_eq!(find_program("python3", &variables, None), Some(bin.join("python3")));
        assert_eq!(find_program("no-such-program", &variables, None), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = script(folder.path());
        config.env_file = Some(folder.path().join("absent.env"));
        assert!(matches!(of(&config, 0, 1, host()), Err(EnvironmentError::Unreadable { .. })));
        std::fs::write(folder.path().join("bad.env"), "A='secret without end\n").unwrap();
        config.env_file = Some(folder.path().join("bad.env"));
        let error = of(&config, 0, 1, host()).unwrap_err().to_string();
        assert!(error.contains("bad.env") && error.contains("`A`") && !error.contains("secret"), "{error}");
    }
}
