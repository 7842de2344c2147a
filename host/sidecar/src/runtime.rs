//! What kind of program a sidecar is: how its version is asked for, how an import is tried, and what people are told.

use std::path::Path;

use serde::Serialize;

/// What kind of program a sidecar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Python.
    Python,
    /// Node.js.
    Node,
    /// Ruby.
    Ruby,
    /// Java.
    Java,
    /// Anything that runs by itself.
    Binary,
}

impl Runtime {
    /// What a script's extension says.
    #[must_use]
    pub fn of_script(script: &Path) -> Self {
        match script.extension().and_then(|extension| extension.to_str()) {
            Some("py" | "pyz") => Self::Python,
            Some("js" | "mjs" | "cjs") => Self::Node,
            Some("rb") => Self::Ruby,
            Some("jar") => Self::Java,
            _ => Self::Binary,
        }
    }

    /// What a program's name says, such as `python3.11`.
    #[must_use]
    pub fn of_program(program: &Path) -> Self {
        let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let plain = name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
        match plain {
            "python" | "pypy" => Self::Python,
            "node" | "nodejs" => Self::Node,
            "ruby" => Self::Ruby,
            "java" => Self::Java,
            _ => Self::Binary,
        }
    }

    /// As answers write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Ruby => "ruby",
            Self::Java => "java",
            Self::Binary => "binary",
        }
    }

    /// As people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Node => "Node.js",
            Self::Ruby => "Ruby",
            Self::Java => "Java",
            Self::Binary => "the program",
        }
    }

    /// The names under which its interpreter is looked for, the first found wins.
    pub(crate) const fn interpreters(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["python3", "python"],
            Self::Node => &["node", "nodejs"],
            Self::Ruby => &["ruby"],
            Self::Java => &["java"],
            Self::Binary => &[],
        }
    }

    /// What stands between the interpreter and the script.
    pub(crate) const fn before_script(self) -> &'static [&'static str] {
        match self {
            Self::Java => &["-jar"],
            _ => &[],
        }
    }

    /// How its version is asked for; nothing when that is not known.
    pub(crate) const fn version_flag(self) -> Option<&'static str> {
        match self {
            Self::Python | Self::Node | Self::Ruby => Some("--version"),
            Self::Java => Some("-version"),
            Self::Binary => None,
        }
    }

    /// Arguments that try imports; nothing when that cannot be tried.
    pub(crate) fn try_imports(self, imports: &[String]) -> Option<Vec<String>> {
        let each = |write: fn(&String) -> String| imports.iter().map(write).collect::<Vec<_>>().join("; ");
        match self {
            Self::Python => Some(vec!["-c".to_owned(), each(|name| format!("import {name}"))]),
            Self::Node => Some(vec!["-e".to_owned(), each(|name| format!("require.resolve({})", serde_json::Value::from(name.as_str())))]),
            Self::Ruby => Some(vec!["-e".to_owned(), each(|name| format!("require {}", serde_json::Value::from(name.as_str())))]),
            Self::Java | Self::Binary => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_programs_say_what_they_are() {
        for (script, runtime) in [
            ("api_server.py", Runtime::Python),
            ("a/b.mjs", Runtime::Node),
            ("x.rb", Runtime::Ruby),
            ("x.jar", Runtime::Java),
            ("server", Runtime::Binary),
        ] {
            assert_eq!(Runtime::of_script(Path::new(script)), runtime, "{script}");
        }
        for (program, runtime) in [
            ("/usr/bin/python3.11", Runtime::Python),
            ("python", Runtime::Python),
            ("node", Runtime::Node),
            ("gunicorn", Runtime::Binary),
            ("/opt/server-2", Runtime::Binary),
        ] {
            assert_eq!(Runtime::of_program(Path::new(program)), runtime, "{program}");
        }
    }

    #[test]
    fn imports_are_tried_together_and_names_cannot_leave_their_quotes() {
        let imports = ["flask".to_owned(), "flask_cors".to_owned()];
        assert_eq!(Runtime::Python.try_imports(&imports).unwrap(), ["-c", "import flask; import flask_cors"]);
        assert_eq!(
            Runtime::Node.try_imports(&["a\");process.exit(\"".to_owned()]).unwrap(),
            ["-e", r#"require.resolve("a\");process.exit(\"")"#]
        );
        assert_eq!(Runtime::Binary.try_imports(&imports), None);
    }
}
