//! The files that the rules look at.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use toml::Table;

/// Folders that hold what was built or written by a run.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "demo-output", "data", ".venv"];
/// What is read; everything else is only listed.
const TEXT: &[&str] = &["rs", "toml", "wit", "md", "py", "js", "ts", "sh", "yaml", "yml", "json", "service"];
const TEXT_NAMES: &[&str] = &["Dockerfile", "run", "NOTICE"];

/// All files below a folder, by their path relative to it; text files with their content.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: PathBuf,
    files: BTreeMap<PathBuf, Option<String>>,
}

impl Tree {
    /// Reads a folder.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self { root: root.to_path_buf(), files: BTreeMap::new() };
        tree.read_folder(root)?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if kind.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    self.read_folder(&path)?;
                }
                continue;
            }
            let relative = path.strip_prefix(&self.root)?.to_path_buf();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let is_text = TEXT.contains(&extension) || TEXT_NAMES.contains(&name.as_str());
            let text =
                if is_text { Some(fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?) } else { None };
            self.files.insert(relative, text);
        }
        Ok(())
    }

    /// Where the tree lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Every file.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Every text file with its content.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().filter_map(|(path, text)| Some((path.as_path(), text.as_deref()?)))
    }

    /// Text files whose name ends like this.
    pub(super) fn texts_with(&self, extension: &str) -> impl Iterator<Item = (&Path, &str)> {
        self.texts().filter(move |(path, _)| path.extension().is_some_and(|found| found == extension))
    }

    /// The content of a text file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(Path::new(path))?.as_deref()
    }

    /// Manifests of the packages of the main workspace, by folder, such as `host/core`.
    pub(super) fn members(&self) -> Result<BTreeMap<String, Table>> {
        let manifests = self.texts_with("toml").filter_map(|(path, text)| {
            let folder = path.parent().filter(|_| path.ends_with("Cargo.toml"))?.to_str()?;
            let in_host = folder.strip_prefix("host/").is_some_and(|name| !name.contains('/'));
            (in_host || ["tests", "benches", "xtask"].contains(&folder)).then_some((folder, text))
        });
        manifests
            .map(|(folder, text)| {
                let manifest = text.parse::<Table>().map_err(|error| anyhow!("{folder}/Cargo.toml: {error}"))?;
                Ok((folder.to_owned(), manifest))
            })
            .collect()
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), Some((*text).to_owned()))).collect();
        Self { root: PathBuf::new(), files }
    }
}

/// Names of all dependencies of a manifest with the table they stand in, for every target.
pub(super) fn dependencies(manifest: &Table) -> Vec<(String, &'static str)> {
    const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(|target| target.as_table()).into_iter().flat_map(|target| target.values());
    let scopes = std::iter::once(manifest).chain(targets.filter_map(|target| target.as_table()));
    let mut found = Vec::new();
    for scope in scopes {
        for kind in TABLES {
            let names = scope.get(kind).and_then(|table| table.as_table()).into_iter().flat_map(Table::iter);
            found.extend(names.map(|(name, value)| {
                // A renamed dependency is the package that it renames.
                let package = value.get("package").and_then(|package| package.as_str()).unwrap_or(name);
                (package.to_owned(), kind)
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_leave_behind_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["target/debug/a.rs", "host/core/src/lib.rs", ".git/config.toml"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let tree = Tree::read(folder.path()).unwrap();
        assert_eq!(tree.files().collect::<Vec<_>>(), [Path::new("host/core/src/lib.rs")]);
    }

    #[test]
    fn dependencies_of_every_table_and_target_are_found_under_their_package_name() {
        let manifest =
            "[dependencies]\na = \"1\"\nb = { package = \"real\", version = \"1\" }\n[target.'cfg(unix)'.dev-dependencies]\nc = \"1\"\n";
        let names: Vec<_> = dependencies(&manifest.parse().unwrap()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "real", "c"]);
    }
}
