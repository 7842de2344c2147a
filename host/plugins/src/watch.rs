//! Watching a folder of plugins: whenever one changes, it is built if it says how, and handed on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use notify::{Event, EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::PluginError;
use crate::manifest::Manifest;

/// A change is acted on once nothing has changed for this long: builds and editors write many files.
const QUIET: Duration = Duration::from_millis(300);
/// How long a build may take.
const BUILD_TIMEOUT: Duration = Duration::from_secs(300);
/// Names that a build writes to, which must not set off the next build.
const IGNORED: [&str; 4] = ["target", "node_modules", ".git", "dist"];

/// Watches `root`, whose subfolders are plugins, until the returned future is dropped.
///
/// When something below a subfolder with a `plugin.toml` changes and then stays quiet, its `[build] command` is run there, where it has
/// one, and `changed` is called with the subfolder. Calls follow one another. A failed build is reported in the log and `changed` is
/// not called.
///
/// # Errors
/// [`PluginError::Setup`] when the folder cannot be watched, or no longer.
pub async fn watch<F>(root: &Path, mut changed: impl FnMut(PathBuf) -> F) -> Result<(), PluginError>
where
    F: Future<Output = ()>,
{
    let setup = |error: &dyn std::fmt::Display| PluginError::Setup(format!("watching the folder of plugins: {error}"));
    let root = root.canonicalize().map_err(|error| setup(&error))?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // The other side is gone once watching has ended.
        drop(tell.send(event));
    })
    .map_err(|error| setup(&error))?;
    watcher.watch(&root, RecursiveMode::Recursive).map_err(|error| setup(&error))?;
    let mut due: BTreeMap<PathBuf, Instant> = BTreeMap::new();
    loop {
        let next = due.values().min().copied();
        let quiet = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = told.recv() => match event {
                Some(Ok(event)) => {
                    let folders = touched(&root, &event);
                    due.extend(folders.map(|folder| (folder, Instant::now() + QUIET)));
                }
                Some(Err(error)) => tracing::warn!(%error, "watching the folder of plugins"),
                None => return Err(setup(&"the watcher ended")),
            },
            () = quiet => {
                let now = Instant::now();
                let ready: Vec<_> = due.iter().filter(|(_, at)| **at <= now).map(|(folder, _)| folder.clone()).collect();
                for folder in ready {
                    due.remove(&folder);
                    if folder.join("plugin.toml").is_file() && build(&folder).await {
                        changed(folder).await;
                    }
                }
            }
        }
    }
}

/// The subfolders of `root` that an event is about. Reading a file is no change.
fn touched<'a>(root: &'a Path, event: &'a Event) -> impl Iterator<Item = PathBuf> {
    let is_change = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_));
    event.paths.iter().filter(move |_| is_change).filter_map(move |path| {
        let below = path.strip_prefix(root).ok()?;
        let mut parts = below.components().map(|part| part.as_os_str());
        let folder = parts.next()?;
        let ignored = |part: &std::ffi::OsStr| IGNORED.iter().any(|name| part == *name) || part.to_string_lossy().starts_with('.');
        (!ignored(folder) && !parts.any(ignored)).then(|| root.join(folder))
    })
}

/// Runs the folder's own build command, where it has one. Says whether there is something to hand on.
async fn build(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("plugin.toml"));
    let manifest = manifest.map_err(|error| PluginError::ManifestInvalid(error.to_string())).and_then(|text| Manifest::parse(&text));
    let command = match manifest {
        Ok(manifest) => manifest.build.map(|build| build.command).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "a watched plugin changed");
            return false;
        }
    };
    let Some((program, args)) = command.split_first() else { return true };
    let mut build = tokio::process::Command::new(program);
    build.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let outcome = tokio::time::timeout(BUILD_TIMEOUT, build.output()).await;
    let problem = match outcome {
        Ok(Ok(output)) if output.status.success() => return true,
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let tail: Vec<_> = said.lines().rev().take(30).collect();
            format!("{}\n{}", output.status, tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took longer than {BUILD_TIMEOUT:?}"),
    };
    tracing::warn!(folder = %folder.display(), "building a watched plugin failed: {problem}");
    false
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn events_are_put_down_to_the_plugin_they_are_in() {
        let root = Path::new("/plugins");
        let folders = |kind, path: &str| -> Vec<_> { touched(root, &Event::new(kind).add_path(path.into())).collect() };
        let created = EventKind::Create(CreateKind::File);
        let crop = vec![PathBuf::from("/plugins/crop")];
        assert_eq!(folders(created, "/plugins/crop/plugin.toml"), crop);
        assert_eq!(folders(EventKind::Modify(ModifyKind::Any), "/plugins/crop/src/lib.rs"), crop);
        assert!(folders(EventKind::Access(AccessKind::Any), "/plugins/crop/src/lib.rs").is_empty());
        for path in ["/plugins/crop/target/x.wasm", "/plugins/crop/.git/index", "/plugins", "/elsewhere/crop/a", "/plugins/.hidden/a"] {
            assert!(folders(created, path).is_empty(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_changed_plugin_is_built_and_handed_on() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crop");
        std::fs::create_dir(&folder).unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        let path = root.path().to_owned();
        let watching = tokio::spawn(async move {
            watch(&path, move |folder| {
                tell.send(folder).unwrap();
                std::future::ready(())
            })
            .await
        });
        let manifest = "id = \"crop\"\nversion = \"0.1.0\"\nworld = \"breakwater:plugin/crop-plugin@0.1.0\"\n\
                        [build]\ncommand = [\"sh\", \"-c\", \"mkdir -p target && touch target/built\"]\n";
        // Written until it is seen: the watch begins at some moment after the task was spawned.
        let seen = loop {
            std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
            if let Ok(seen) = tokio::time::timeout(Duration::from_secs(2), told.recv()).await {
                break seen.unwrap();
            }
            assert!(!watching.is_finished());
        };
        assert_eq!(seen, folder.canonicalize().unwrap());
        assert!(folder.join("target/built").is_file());
        watching.abort();
    }
}
