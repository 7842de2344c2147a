//! What a person hands to a command: documents in files of JSON or TOML, and values typed as JSON or kept in files.

use std::convert::Infallible;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Reads an object out of a file: TOML when its name ends so, otherwise JSON; `-` is standard input. What TOML cannot say is left out there:
/// nothing is `null`.
pub(crate) fn read(file: &Path) -> Result<Map<String, Value>> {
    let text = text(file)?;
    let is_toml = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let document = if is_toml {
        let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", file.display()))?;
        json(toml::Value::Table(table))
    } else {
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?
    };
    match document {
        Value::Object(fields) => Ok(fields),
        _ => bail!("{} holds no object", file.display()),
    }
}

fn text(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if file.as_os_str() == STANDARD_INPUT {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text)
}

/// JSON has no times; they are written as TOML writes them.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(name, value)| (name, json(value))).collect()),
    }
}

/// A value as it is typed: JSON, `@` and a file that holds JSON, or `@-` for standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// The JSON's text.
    Text(String),
    /// A file.
    File(PathBuf),
}

impl FromStr for Typed {
    type Err = Infallible;

    fn from_str(typed: &str) -> Result<Self, Infallible> {
        Ok(typed.strip_prefix('@').map_or_else(|| Self::Text(typed.to_owned()), |file| Self::File(PathBuf::from(file))))
    }
}

impl Typed {
    /// The value.
    pub(crate) fn read(&self) -> Result<Value> {
        match self {
            Self::Text(text) => serde_json::from_str(text).with_context(|| format!("{text:?} is not JSON; a file is named as @FILE")),
            Self::File(file) => serde_json::from_str(&self::text(file)?).with_context(|| format!("{} is not JSON", file.display())),
        }
    }

    /// The value of one that may be left out.
    pub(crate) fn read_optional(typed: Option<&Self>) -> Result<Option<Value>> {
        typed.map(Self::read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(name: &str, text: &str) -> Result<Value> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        read(&file).map(Value::Object)
    }

    #[test]
    fn a_document_is_json_or_toml_by_its_name() {
        let said = json!({ "name": "a", "steps": [{ "id": "x", "timeout_ms": 5, "share": 0.5, "last": true }] });
        let toml = "name = \"a\"\n[[steps]]\nid = \"x\"\ntimeout_ms = 5\nshare = 0.5\nlast = true\n";
        assert_eq!(written("a.json", &said.to_string()).unwrap(), said);
        assert_eq!(written("a.TOML", toml).unwrap(), said);
        assert_eq!(written("a.toml", "at = 2026-11-22T10:00:00Z").unwrap(), json!({ "at": "2026-11-22T10:00:00Z" }));
        for (name, text, wrong) in
            [("a.json", "[]", "no object"), ("a.json", "{", "not JSON"), ("a.toml", "a = ", "not TOML"), ("a", "a = 1", "not JSON")]
        {
            assert!(written(name, text).unwrap_err().to_string().contains(wrong), "{name} {text}");
        }
        assert!(read(Path::new("no-such-file.json")).unwrap_err().to_string().contains("no-such-file.json"));
    }

    #[test]
    fn a_value_is_typed_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.json");
        std::fs::write(&file, "{\"a\": [1]}\n").unwrap();
        let read = |typed: &str| typed.parse::<Typed>().unwrap().read();
        assert_eq!(read(&format!("@{}", file.display())).unwrap(), json!({ "a": [1] }));
        assert_eq!(read(r#"{"a": null}"#).unwrap(), json!({ "a": null }));
        assert!(read("in.json").unwrap_err().to_string().contains("@FILE"), "a forgotten @ is told");
        std::fs::write(&file, "{").unwrap();
        assert!(read(&format!("@{}", file.display())).unwrap_err().to_string().contains("is not JSON"));
        assert_eq!(Typed::read_optional(None).unwrap(), None);
    }
}
