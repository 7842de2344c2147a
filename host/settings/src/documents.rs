//! `docs/configuration.md` and `breakwater.example.toml` are made of the declarations; these tests hold them to it.
//! `BREAKWATER_BLESS=1 cargo test -p breakwater-settings` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::legacy::{LEGACY, Unit};
use crate::place::environment_variable;
use crate::section::{Key, Reload, Section};
use crate::{MAX_NAME, Origin, SECTIONS, Settings};

const EXAMPLE: &str = "breakwater.example.toml";

fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn range(key: &Key) -> String {
    key.range.map(|(least, most)| format!(", {} to {}", least.trim_matches('"'), most.trim_matches('"'))).unwrap_or_default()
}

fn key_named(section: &str, name: &str) -> &'static Key {
    SECTIONS.iter().find(|known| known.name == section).unwrap().key(name).unwrap()
}

fn shown_default(key: &Key) -> String {
    if key.default.is_empty() { "not set".to_owned() } else { format!("`{}`", key.default) }
}

fn configuration() -> String {
    let mut text = format!(
        "# Configuration\n\n\
         Breakwater runs without configuration. What is set comes, the strongest first, from a flag of the command line, an environment\n\
         variable `BREAKWATER__…`, a [variable of an older client](#variables-of-older-clients), the file given by `--config FILE` (or\n\
         `BREAKWATER_CONFIG`), and the default. `breakwater config check [FILE]` names everything that is wrong with line, column and a\n\
         suggestion; `breakwater config show` prints every value in force and where it comes from.\n\n\
         The variable of a key is `BREAKWATER__SECTION__KEY`, such as `BREAKWATER__SERVER__MAX_BODY=10MiB`. A list is written with commas\n\
         (`127.0.0.1:80,[::1]:80`), a table as TOML (`{{ crop-people = [\"imaging\"] }}`), and nothing at all unsets a key that may be unset (in the file: \"\").\n\
         Durations are whole numbers with units, `us`, `ms`, `s`, `m`, `h` (`1m30s`); sizes end in `B`, `kB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`.\n\n\
         Some sections may be there several times, each with a name: `[upstreams.image-service]`. A name is lower-case letters and digits,\n\
         joined by single hyphens, at most {MAX_NAME} characters. In a variable it is upper-case with `_` for `-`:\n\
         `BREAKWATER__UPSTREAMS__IMAGE_SERVICE__TIMEOUT=10s`. A key of an entry makes the entry; its other keys have their defaults.\n\n\
         SIGHUP reads the configuration again. Keys marked *live* take effect at once; for the others the log says that a restart is\n\
         needed. A configuration that is wrong changes nothing.\n",
    );
    for section in SECTIONS {
        write!(text, "\n## `[{}]`\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n", section.heading(), prose(section.about)).unwrap();
        for key in section.keys {
            let live = if key.reload == Reload::Live { " *Live.*" } else { "" };
            let expects = key.expects().replace('|', "\\|");
            let (name, default) = (key.name, shown_default(key));
            writeln!(text, "| `{name}` | {default} | {} Expects {expects}{}.{live} |", prose(key.about), range(key)).unwrap();
        }
    }
    text += &legacy_variables();
    text
}

fn legacy_variables() -> String {
    let mut text = String::from(
        "\n## Variables of older clients\n\n\
         A deployment of a client that Breakwater replaces keeps its variables. Each sets one key of one upstream; the key's own\n\
         `BREAKWATER__…` variable and a flag are stronger, the file and the default are weaker. An empty one counts as not set. Only a\n\
         variable that says where the service is makes the upstream; without it, and without `[upstreams.NAME]`, the others do nothing.\n\n\
         | variable | key | default | written as | makes the upstream |\n|---|---|---|---|---|\n",
    );
    for legacy in LEGACY {
        let key = key_named(legacy.section, legacy.key);
        let written = if legacy.unit == Unit::Milliseconds { "whole milliseconds".to_owned() } else { key.expects() };
        let makes = if legacy.creates() { "yes" } else { "no" };
        let (variable, section, name) = (legacy.variable, legacy.section, legacy.name);
        let default = shown_default(key);
        writeln!(text, "| `{variable}` | `{section}.{name}.{}` | {default} | {written} | {makes} |", key.name).unwrap();
    }
    text
}

fn example() -> String {
    let mut text = String::from(
        "# Every key of Breakwater with its default. A key without a default is commented out, and so is a section that needs a name:\n\
         # there, `##` explains, and `#` stands before what can be used.\n\
         # See docs/configuration.md; check a file with `breakwater config check FILE`.\n",
    );
    for section in SECTIONS {
        example_of(section, &mut text);
    }
    text
}

fn example_of(section: &Section, text: &mut String) {
    let (explains, stands, name) = if section.named { ("##", "# ", Some("NAME")) } else { ("#", "", None) };
    write!(text, "\n{explains} {}\n{stands}[{}]\n", prose(section.about), section.heading()).unwrap();
    for key in section.keys {
        let variable = environment_variable(section.name, name, key.name);
        writeln!(text, "{explains} {}\n{explains} {}{}; {variable}", prose(key.about), key.expects(), range(key)).unwrap();
        match key.default {
            "" => writeln!(text, "{explains} {} =", key.name).unwrap(),
            default => writeln!(text, "{stands}{} = {default}", key.name).unwrap(),
        }
    }
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
    assert_eq!(example.entries().len(), defaults.entries().len());
    for (from_file, by_default) in example.entries().iter().zip(defaults.entries()) {
        let name = from_file.key.name;
        assert_eq!(from_file.value, by_default.value, "{name}");
        assert_eq!(*by_default.origin, Origin::Default);
        let in_file = matches!(from_file.origin, Origin::File { .. });
        assert_eq!(in_file, !from_file.key.default.is_empty(), "{name} is written in the example if it has a default");
    }
}

#[test]
fn the_named_sections_of_the_example_can_be_used_and_equal_the_defaults() {
    let lines = example();
    let used = lines.lines().filter_map(|line| line.strip_prefix("# ")).skip_while(|line| !line.starts_with('['));
    let text = used.map(|line| line.replace("NAME", "a-name") + "\n").collect::<String>();
    // No default says what a sidecar runs.
    let runs = || [("BREAKWATER__SIDECARS__A_NAME__SCRIPT".to_owned(), "app.py".to_owned())];
    let example = Settings::parse(Path::new("e.toml"), &text, runs(), &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let bare = "[upstreams.a-name]\n[sidecars.a-name]\n[chains.a-name]\n[flags.a-name]\n[models.a-name]\n[model_aliases.a-name]\n";
    let defaults = Settings::parse(Path::new("d.toml"), bare, runs(), &[]).unwrap();
    let values = |settings: &Settings| settings.entries().into_iter().map(|entry| (entry.path(), entry.value)).collect::<Vec<_>>();
    assert_eq!(values(&example), values(&defaults));
    let named: usize = SECTIONS.iter().filter(|section| section.named).map(|section| section.keys.len()).sum();
    assert_eq!(example.entries().iter().filter(|entry| entry.name == Some("a-name")).count(), named);
}
