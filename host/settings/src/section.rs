//! The sections of the configuration. Each is declared once: the same lines give the struct, the reader, the messages and
//! the documentation.

mod cache;
mod chain;
mod cors;
mod flag;
mod image;
mod inference;
mod model;
mod operations;
mod plugins;
mod search;
mod server;
mod sidecar;
mod telemetry;
mod upstream;
mod workflow;

pub use cache::{Cache, Urls};
pub use chain::Chain;
pub use cors::Cors;
pub use flag::FeatureFlag;
pub use image::Image;
pub use inference::{Device, Inference};
pub use model::{Embeddings, Model, ModelAlias, ModelKind};
pub use operations::Operations;
pub use plugins::{Capability, Plugins};
pub use search::{Search, SearchIndex};
pub use server::{Data, ManagementFrom, Media, Server};
pub use sidecar::{Development, RequestMethod, Sidecar, SidecarErrorKind, SidecarReadiness};
pub use telemetry::{LogFormat, Telemetry};
pub use upstream::{Balance, BreakerTrip, HttpVersion, Jitter, Upstream};
pub use workflow::{Workflow, WorkflowExecutor, WorkflowStore};

use crate::reader::Reader;

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
    /// Whether there may be several, each with a name of its own: `[upstreams.NAME]`.
    pub named: bool,
    /// What it is for.
    pub about: &'static [&'static str],
    /// Its keys.
    pub keys: &'static [Key],
}

impl Section {
    /// What its heading holds: `server`, or `upstreams.NAME` for one that is named.
    #[must_use]
    pub fn heading(&self) -> String {
        if self.named { format!("{}.NAME", self.name) } else { self.name.to_owned() }
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// What [`section!`] makes of each section.
pub(crate) trait Declared: Sized {
    const SECTION: Section;

    /// Reads it; nothing when a key is wrong, and then the problems are noted. `name` is given for named sections.
    fn read(reader: &mut Reader<'_>, name: Option<&str>) -> Option<Self>;

    /// Every value as TOML, in the order of the keys; nothing where a value is not set.
    fn values(&self) -> Vec<Option<String>>;
}

/// Declares a section, one for all or (`named`) one per name: `key: Type = "default as TOML" [in "least" to "most"] (Live | Restart);`
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident = $section:literal $($named:ident)? {
            $($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:literal $(in $least:literal to $most:literal)? ($reload:ident);)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $key: $type,)*
        }

        impl $crate::section::Declared for $name {
            const SECTION: $crate::section::Section = $crate::section::Section {
                name: $section,
                named: $crate::section::named!($($named)?),
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

            fn read(reader: &mut $crate::reader::Reader<'_>, name: Option<&str>) -> Option<Self> {
                // Every key is read before the first missing one ends it, so that all problems are found at once.
                static SECTION: $crate::section::Section = <$name as $crate::section::Declared>::SECTION;
                $(let $key = SECTION.key(stringify!($key)).and_then(|key| reader.read::<$type>($section, name, key));)*
                Some(Self { $($key: $key?),* })
            }

            fn values(&self) -> Vec<Option<String>> {
                vec![$(<$type as $crate::value::Value>::to_toml(&self.$key)),*]
            }
        }
    };
}
pub(crate) use section;

macro_rules! named {
    () => {
        false
    };
    (named) => {
        true
    };
}
pub(crate) use named;

macro_rules! range {
    () => {
        None
    };
    ($least:literal, $most:literal) => {
        Some(($least, $most))
    };
}
pub(crate) use range;
