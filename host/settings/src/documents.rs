//! `docs/configuration.md` and `breakwater.example.toml` are made of the declarations; these tests hold them to it.
//! `BREAKWATER_BLESS=1 cargo test -p breakwater-settings` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::reader::environment_variable;
use crate::section::{Key, Reload, SECTIONS};
use crate::{Origin, Settings};

const EXAMPLE: &str = "breakwater.example.toml";

fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn range(key: &Key) -> String {
    key.range.map(|(least, most)| format!(", {} to {}", least.trim_matches('"'), most.trim_matches('"'))).unwrap_or_default()
}

fn configuration() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Breakwater runs without configuration. What is set comes, the strongest first, from a flag of the command line, an environment\n\
         variable, the file given by `--config FILE` (or `BREAKWATER_CONFIG`), and the default. `breakwater config check [FILE]` names\n\
         everything that is wrong with line, column and a suggestion; `breakwater config show` prints every value in force and where it\n\
         comes from.\n\n\
         The variable of a key is `BREAKWATER__SECTION__KEY`, such as `BREAKWATER__SERVER__MAX_BODY=10MiB`. A list is written with commas\n\
         (`127.0.0.1:80,[::1]:80`), a table as TOML (`{ crop-people = [\"imaging\"] }`), and nothing at all unsets a key that may be unset.\n\
         Durations are whole numbers with units, `us`, `ms`, `s`, `m`, `h` (`1m30s`); sizes end in `B`, `kB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`.\n\n\
         SIGHUP reads the configuration again. Keys marked *live* take effect at once; for the others the log says that a restart is\n\
         needed. A configuration that is wrong changes nothing.\n",
    );
    for section in SECTIONS {
        write!(text, "\n## `[{}]`\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n", section.name, prose(section.about)).unwrap();
        for key in section.keys {
            let default = if key.default.is_empty() { "not set".to_owned() } else { format!("`{}`", key.default) };
            let live = if key.reload == Reload::Live { " *Live.*" } else { "" };
            let expects = key.expects().replace('|', "\\|");
            writeln!(text, "| `{}` | {default} | {} Expects {expects}{}.{live} |", key.name, prose(key.about), range(key)).unwrap();
        }
    }
    text
}

fn example() -> String {
    let mut text = String::from(
        "# Every key of Breakwater with its default. A key without a default is commented out.\n\
         # See docs/configuration.md; check a file with `breakwater config check FILE`.\n",
    );
    for section in SECTIONS {
        write!(text, "\n# {}\n[{}]\n", prose(section.about), section.name).unwrap();
        for key in section.keys {
            writeln!(text, "# {}\n# {}{}; {}", prose(key.about), key.expects(), range(key), environment_variable(section.name, key.name))
                .unwrap();
            let line = if key.default.is_empty() { format!("# {} =", key.name) } else { format!("{} = {}", key.name, key.default) };
            writeln!(text, "{line}").unwrap();
        }
    }
    text
}

fn check(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("BREAKWATER_BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == expected, "{} differs from the code; run with BREAKWATER_BLESS=1", path.display());
}

#[test]
fn the_documentation_says_what_the_code_does() {
    check("docs/configuration.md", &configuration());
}

#[test]
fn the_example_is_complete_and_equals_the_defaults() {
    check(EXAMPLE, &example());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(EXAMPLE);
    let example = Settings::load(Some(&path), []).unwrap();
    let defaults = Settings::load(None, []).unwrap();
    for (from_file, by_default) in example.entries().iter().zip(defaults.entries()) {
        let name = from_file.key.name;
        assert_eq!(from_file.value, by_default.value, "{name}");
        assert_eq!(*by_default.origin, Origin::Default);
        let in_file = matches!(from_file.origin, Origin::File { .. });
        assert_eq!(in_file, !from_file.key.default.is_empty(), "{name} is written in the example if it has a default");
    }
}
