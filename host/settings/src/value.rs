//! Types a setting can have: how each is read from TOML and from plain text, and written again.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use semver::Version;
use toml::de::DeValue;

use crate::json_text::JsonText;
use crate::units::{ByteSize, format_duration, parse_duration};
use crate::url::{BaseUrl, PostgresUrl, RedisUrl};

/// A setting's type. Errors are sentences that say what is wrong with the value; the reader adds where it stands.
pub(crate) trait Value: Sized + PartialOrd {
    /// What is expected, such as `a whole number`.
    fn expects() -> String;
    /// Reads a value of the file.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String>;
    /// Reads plain text: an environment variable or a command line flag.
    fn from_text(text: &str) -> Result<Self, String>;
    /// Writes it as TOML; nothing when it is not set.
    fn to_toml(&self) -> Option<String>;
}

pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn wrong<T: Value>(got: &str) -> String {
    let got: String = got.chars().take(60).collect();
    format!("expected {}, got {got}", T::expects())
}

/// What a value of the file looks like in a message.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A scalar that the file writes as a string.
macro_rules! text_values {
    ($($type:ty: $expects:expr, $read:expr, $write:expr;)*) => {$(
        impl Value for $type {
            fn expects() -> String {
                $expects.to_owned()
            }

            fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
                let read = value.as_str().and_then(|text| $read(text));
                read.ok_or_else(|| wrong::<Self>(&shown(value)))
            }

            fn from_text(text: &str) -> Result<Self, String> {
                $read(text).ok_or_else(|| wrong::<Self>(&quoted(text)))
            }

            fn to_toml(&self) -> Option<String> {
                let write: fn(&Self) -> String = $write;
                Some(quoted(&write(self)))
            }
        }
    )*};
}

text_values! {
    String: "text", |text: &str| Some(text.to_owned()), Clone::clone;
    PathBuf: "a path", |text: &str| (!text.is_empty()).then(|| Self::from(text)), |path| path.display().to_string();
    SocketAddr: "an address such as \"127.0.0.1:8080\" or \"[::]:8080\"", |text: &str| text.trim().parse().ok(), ToString::to_string;
    IpAddr: "an address such as \"127.0.0.1\" or \"::1\"", |text: &str| text.trim().parse().ok(), ToString::to_string;
    Version: "a version such as \"3.8\" or \"20.11.1\"", version, ToString::to_string;
    Duration: "a duration such as \"250ms\", \"10s\" or \"1m30s\"", parse_duration, |duration| format_duration(*duration);
    BaseUrl: "a URL such as \"http://localhost:8000\", without credentials and query", Self::parse, ToString::to_string;
    PostgresUrl: "a URL such as \"postgres://user:password@localhost/shop\"", Self::parse, ToString::to_string;
    RedisUrl: "a URL such as \"redis://127.0.0.1:6379/0\"", Self::parse, ToString::to_string;
    JsonText: "JSON in a text, such as '{\"items\": []}'", Self::parse, ToString::to_string;
    IpNet: "a network such as \"10.0.0.0/8\" or an address", network, ToString::to_string;
    ByteSize: "a size such as \"64KiB\" or \"50MiB\"", Self::parse, ToString::to_string;
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// What is left out at the end is 0.
fn version(text: &str) -> Option<Version> {
    let text = text.trim();
    ["", ".0", ".0.0"].iter().find_map(|rest| Version::parse(&format!("{text}{rest}")).ok())
}

/// A scalar that TOML has itself.
macro_rules! native_values {
    ($($type:ty: $expects:literal, $variant:pat => $text:expr;)*) => {$(
        impl Value for $type {
            fn expects() -> String {
                $expects.to_owned()
            }

            fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
                let text = match value {
                    $variant => Some($text),
                    _ => None,
                };
                text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong::<Self>(&shown(value)))
            }

            fn from_text(text: &str) -> Result<Self, String> {
                text.trim().replace('_', "").parse().map_err(|_| wrong::<Self>(&quoted(text)))
            }

            fn to_toml(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

native_values! {
    bool: "true or false", DeValue::Boolean(truth) => truth.to_string();
    u16: "a whole number, 0 to 65535", DeValue::Integer(number) => number.to_string();
    u32: "a whole number", DeValue::Integer(number) => number.to_string();
    u64: "a whole number", DeValue::Integer(number) => number.to_string();
    usize: "a whole number", DeValue::Integer(number) => number.to_string();
}

impl Value for f64 {
    fn expects() -> String {
        "a number".to_owned()
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let number = match value {
            DeValue::Float(number) => number.to_string().parse().ok(),
            DeValue::Integer(number) => number.to_string().parse().ok(),
            _ => None,
        };
        number.filter(|number: &Self| number.is_finite()).ok_or_else(|| wrong::<Self>(&shown(value)))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text.trim().parse().ok().filter(|number: &Self| number.is_finite());
        number.ok_or_else(|| wrong::<Self>(&quoted(text)))
    }

    fn to_toml(&self) -> Option<String> {
        // With a point, so that it stays a number with a fraction.
        Some(format!("{self:?}"))
    }
}

impl<T: Value> Value for Option<T> {
    fn expects() -> String {
        T::expects()
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        if value.as_str() == Some("") { Ok(None) } else { T::from_toml(value).map(Some) }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().and_then(Value::to_toml)
    }
}

impl<T: Value> Value for Vec<T> {
    fn expects() -> String {
        format!("a list; each item {}", T::expects())
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| wrong::<Self>(&shown(value)))?;
        let item = |(index, item): (usize, &toml::Spanned<DeValue<'_>>)| {
            T::from_toml(item.get_ref()).map_err(|problem| format!("item {}: {problem}", index + 1))
        };
        items.iter().enumerate().map(item).collect()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with('[') {
            return parsed(text);
        }
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(T::from_text).collect()
    }

    fn to_toml(&self) -> Option<String> {
        let items: Vec<String> = self.iter().filter_map(Value::to_toml).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    fn expects() -> String {
        format!("a table; each value {}", T::expects())
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let table = value.as_table().ok_or_else(|| wrong::<Self>(&shown(value)))?;
        let entry = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
            let key = key.get_ref().to_string();
            T::from_toml(value.get_ref()).map_err(|problem| format!("{key}: {problem}")).map(|value| (key, value))
        };
        table.iter().map(entry).collect()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        parsed(text)
    }

    fn to_toml(&self) -> Option<String> {
        if self.is_empty() {
            return Some("{}".to_owned());
        }
        let entries = self.iter().filter_map(|(key, value)| value.to_toml().map(|value| format!("{} = {value}", quoted(key))));
        Some(format!("{{ {} }}", entries.collect::<Vec<_>>().join(", ")))
    }
}

/// Reads text that is itself a TOML value.
pub(crate) fn parsed<T: Value>(text: &str) -> Result<T, String> {
    let value = DeValue::parse(text).map_err(|error| format!("{} ({})", wrong::<T>(&quoted(text)), error.message()))?;
    T::from_toml(value.get_ref())
}

/// A closed set of words, such as `auto | gpu | cpu`.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $doc])* $variant),*
        }

        impl $name {
            /// Every word of the set.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word that stands for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }

        impl $crate::value::Value for $name {
            fn expects() -> String {
                Self::WORDS.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
            }

            fn from_toml(value: &toml::de::DeValue<'_>) -> Result<Self, String> {
                let text = <String as $crate::value::Value>::from_toml(value).map_err(|_| format!("expected {}", Self::expects()))?;
                Self::from_text(&text)
            }

            fn from_text(text: &str) -> Result<Self, String> {
                match text.trim() {
                    $($word => Ok(Self::$variant),)*
                    other => {
                        let near = $crate::suggest::nearest(other, Self::WORDS.iter().copied());
                        let hint = near.map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default();
                        Err(format!("expected {}, got {}{hint}", Self::expects(), $crate::value::quoted(other)))
                    }
                }
            }

            fn to_toml(&self) -> Option<String> {
                Some($crate::value::quoted(self.word()))
            }
        }
    };
}
pub(crate) use words;
