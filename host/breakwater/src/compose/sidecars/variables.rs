//! The variables that a sidecar's settings are looked up in.

use std::collections::BTreeMap;

use breakwater_sidecar::{EnvironmentError, SidecarConfig, VariablesFile, variables_of_file};

/// Gives a variable of the environment of this process.
pub(super) type HostVariable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of a sidecar, as its process will have them.
pub(super) struct Variables<'a> {
    environment: &'a BTreeMap<String, String>,
    /// The sidecar's file and what it holds, if it has one.
    file: Result<Option<VariablesFile>, EnvironmentError>,
    host: HostVariable<'a>,
}

impl<'a> Variables<'a> {
    /// Reads the sidecar's file of variables. With one that cannot be read the sidecar does not start and says why when it tries; the host
    /// starts.
    pub(super) fn of(config: &'a SidecarConfig, host: HostVariable<'a>) -> Self {
        Self { environment: &config.environment, file: variables_of_file(config), host }
    }

    /// A variable that is set to something, and where: the settings are the strongest, then the file, then the environment of this process.
    pub(super) fn find(&self, name: &str) -> Option<(String, String)> {
        let in_settings = || self.in_settings(name).map(|value| (value, format!("{name} in `environment`")));
        let in_file = || {
            let file = self.file.as_ref().ok()?.as_ref()?;
            set(file.variables.get(name).cloned()).map(|value| (value, format!("{name} in {}", file.path.display())))
        };
        let in_host = || set((self.host)(name)).map(|value| (value, format!("{name} in the environment")));
        in_settings().or_else(in_file).or_else(in_host)
    }

    /// Whether a variable may stand in a file that cannot be read, so that what is found elsewhere says nothing.
    pub(super) fn may_hide(&self, name: &str) -> bool {
        self.file.is_err() && self.in_settings(name).is_none()
    }

    fn in_settings(&self, name: &str) -> Option<String> {
        set(self.environment.get(name).cloned())
    }
}

fn set(value: Option<String>) -> Option<String> {
    value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
