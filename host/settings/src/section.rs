//! The sections of the configuration. Each is declared once: the same lines give the struct, the reader, the messages and
//! the documentation.

mod image;
mod inference;
mod operations;
mod plugins;
mod server;
mod telemetry;

pub use image::Image;
pub use inference::{Device, Inference};
pub use operations::Operations;
pub use plugins::{Capability, Plugins};
pub use server::{Data, ManagementFrom, Media, Server};
pub use telemetry::{LogFormat, Telemetry};

/// When a changed value is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// At once after SIGHUP.
    Live,
    /// After the next start.
    Restart,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static [&'static str],
    /// Its default as TOML; empty when it is not set.
    pub default: &'static str,
    /// The least and the greatest value, as TOML.
    pub range: Option<(&'static str, &'static str)>,
    /// When a changed value is used.
    pub reload: Reload,
    pub(crate) expects: fn() -> String,
}

impl Key {
    /// What is expected, such as `a whole number`.
    #[must_use]
    pub fn expects(&self) -> String {
        (self.expects)()
    }
}

/// One section.
#[derive(Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static [&'static str],
    /// Its keys.
    pub keys: &'static [Key],
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// Every section, in the order of the documentation.
pub static SECTIONS: &[&Section] = &[
    &Server::SECTION,
    &Media::SECTION,
    &Data::SECTION,
    &Image::SECTION,
    &Inference::SECTION,
    &Plugins::SECTION,
    &Operations::SECTION,
    &Telemetry::SECTION,
];

/// Declares a section: `key: Type = "default as TOML" [in "least" to "most"] (Live | Restart);`
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident = $section:literal {
            $($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:literal $(in $least:literal to $most:literal)? ($reload:ident);)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $key: $type,)*
        }

        impl $name {
            pub(crate) const SECTION: $crate::section::Section = $crate::section::Section {
                name: $section,
                about: &[$($about),*],
                keys: &[$($crate::section::Key {
                    name: stringify!($key),
                    about: &[$($doc),*],
                    default: $default,
                    range: $crate::section::range!($($least, $most)?),
                    reload: $crate::section::Reload::$reload,
                    expects: <$type as $crate::value::Value>::expects,
                }),*],
            };

            pub(crate) fn read(reader: &mut $crate::reader::Reader<'_>) -> Option<Self> {
                // Every key is read before the first missing one ends it, so that all problems are found at once.
                static SECTION: $crate::section::Section = $name::SECTION;
                $(let $key = SECTION.key(stringify!($key)).and_then(|key| reader.read::<$type>($section, key));)*
                Some(Self { $($key: $key?),* })
            }

            /// Every value as TOML, in the order of the keys; nothing where a value is not set.
            pub(crate) fn values(&self) -> Vec<Option<String>> {
                vec![$(<$type as $crate::value::Value>::to_toml(&self.$key)),*]
            }
        }
    };
}
pub(crate) use section;

macro_rules! range {
    () => {
        None
    };
    ($least:literal, $most:literal) => {
        Some(($least, $most))
    };
}
pub(crate) use range;
