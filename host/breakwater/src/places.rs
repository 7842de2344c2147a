//! Where things lie when nobody says.

use std::path::{Path, PathBuf};

/// What of the process's surroundings decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// `XDG_DATA_HOME`.
    pub(crate) data_home: Option<PathBuf>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// The running executable.
    pub(crate) executable: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let folder = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        Self { data_home: folder("XDG_DATA_HOME"), home: folder("HOME"), executable: std::env::current_exe().ok() }
    }

    /// The default data directory: `$XDG_DATA_HOME/breakwater`, else `~/.local/share/breakwater`, else `./breakwater-data`.
    pub(crate) fn data_dir(&self) -> PathBuf {
        let data_home = self.data_home.clone().or_else(|| self.home.as_ref().map(|home| home.join(".local/share")));
        data_home.map_or_else(|| PathBuf::from("breakwater-data"), |folder| folder.join("breakwater"))
    }

    /// The folders that plugins are looked for in, the first that exists: beside the executable, beside its folder (a build's
    /// `target/breakwater-plugins`), and where packages put them.
    pub(crate) fn plugin_folders(&self) -> Vec<PathBuf> {
        let folder = self.executable.as_deref().and_then(Path::parent);
        let beside = folder.into_iter().flat_map(|folder| folder.ancestors().take(2)).map(|folder| folder.join("breakwater-plugins"));
        beside.chain([PathBuf::from("/usr/share/breakwater/plugins")]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_where_the_desktop_says_then_home_then_here() {
        let home = Some(PathBuf::from("/home/a"));
        let all = Surroundings { data_home: Some("/data".into()), home: home.clone(), executable: None };
        assert_eq!(all.data_dir(), Path::new("/data/breakwater"));
        assert_eq!(Surroundings { home, ..Surroundings::default() }.data_dir(), Path::new("/home/a/.local/share/breakwater"));
        assert_eq!(Surroundings::default().data_dir(), Path::new("breakwater-data"));
    }

    #[test]
    fn plugins_are_looked_for_beside_the_executable_first() {
        let surroundings = Surroundings { executable: Some("/opt/bw/bin/breakwater".into()), ..Surroundings::default() };
        let expected = ["/opt/bw/bin/breakwater-plugins", "/opt/bw/breakwater-plugins", "/usr/share/breakwater/plugins"];
        assert_eq!(surroundings.plugin_folders(), expected.map(PathBuf::from));
    }
}
