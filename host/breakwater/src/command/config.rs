//! `breakwater config`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use breakwater_settings::Settings;

use crate::cli::ConfigCommand;
use crate::compose::sidecar_configs;
use crate::configuration::Sources;
use crate::output;

pub(crate) fn run(command: ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Check { file } => {
            let checked = file.as_ref().map_or_else(|| "defaults and environment".to_owned(), |file| file.display().to_string());
            match check(file) {
                Ok(()) => output::line(&format!("{checked}: valid")),
                Err(error) => {
                    format!("{error:#}").lines().for_each(output::error);
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        ConfigCommand::Show { config } => output::line(show(&Sources::of_file(config).read()?).trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the settings, and sets up what `serve` sets up before it starts anything.
fn check(file: Option<PathBuf>) -> Result<()> {
    let settings = Sources::of_file(file).read()?;
    sidecar_configs(&settings).map(drop)
}

/// Every value in force as TOML, with where it comes from unless that is the default.
fn show(settings: &Settings) -> String {
    let mut text = String::new();
    let mut table = String::new();
    for entry in settings.entries() {
        if entry.table() != table {
            table = entry.table();
            text += &format!("\n[{table}]\n");
        }
        let origin = match entry.origin {
            breakwater_settings::Origin::Default => String::new(),
            origin => format!(" # {origin}"),
        };
        text += &match entry.value {
            Some(value) => format!("{} = {value}{origin}\n", entry.key.name),
            None => format!("# {} is not set\n", entry.key.name),
        };
    }
    text.trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_check_refuses_what_the_service_would_not_start_with() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("breakwater.toml");
        let check = |text: &str| {
            std::fs::write(&file, text).unwrap();
            check(Some(file.clone())).map_err(|error| format!("{error:#}"))
        };
        let sidecar =
            |name: &str, port: &str| format!("[sidecars.{name}]\nscript = \"{name}.py\"\nenvironment = {{ FLASK_PORT = \"{port}\" }}\n");
        assert_eq!(check(&[sidecar("a", "5001"), sidecar("b", "5002")].concat()), Ok(()));
        let shown = check(&[sidecar("a", "5001"), sidecar("b", "5001")].concat()).unwrap_err();
        assert!(shown.starts_with("the sidecars `a` and `b` would both listen on port 5001"), "{shown}");
        let shown = check(&format!("[server]\nlisten = [\"127.0.0.1:5001\"]\n{}", sidecar("a", "5001"))).unwrap_err();
        assert!(shown.ends_with("Breakwater listens there itself"), "{shown}");
        let shown = check(&sidecar("a", "many")).unwrap_err();
        assert!(shown.contains("FLASK_PORT in `environment` is no port"), "{shown}");
    }

    #[test]
    fn what_is_shown_can_be_used_as_a_file() {
        let text = "[server]\nlisten = [\"127.0.0.1:1\"]\n[plugins.grants]\na = [\"imaging\"]\n\
                    [upstreams.images]\nendpoints = [\"http://localhost:8000\"]\n";
        let settings = Settings::parse(Path::new("b.toml"), text, [], &[]).unwrap();
        let shown = show(&settings);
        assert!(shown.contains("listen = [\"127.0.0.1:1\"] # b.toml:2:10\n"), "{shown}");
        let again = Settings::parse(Path::new("c.toml"), &shown, [], &[]).unwrap();
        let values = |settings: &Settings| settings.entries().into_iter().map(|entry| entry.value).collect::<Vec<_>>();
        assert_eq!(values(&again), values(&settings));
    }
}
