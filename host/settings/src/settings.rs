//! All settings, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::place::{Place, table};
use crate::problem::{Origin, SettingsError};
use crate::reader::{Flag, Reader, Source, read_file};
use crate::section::{
    Cache, Chain, Cors, Data, Declared, Embeddings, FeatureFlag, Image, Inference, Key, Media, Model, ModelAlias, Operations, Plugins,
    Reload, Search, Section, Server, Sidecar, Telemetry, Upstream, Urls, Workflow,
};

/// Lists the sections, in the order of the documentation: those there is one of, then those with names.
macro_rules! settings {
    (one { $($field:ident: $section:ident,)* } named { $($table:ident: $entry:ident,)* }) => {
        /// Every section, in the order of the documentation.
        pub static SECTIONS: &[&Section] = &[$(&<$section as Declared>::SECTION,)* $(&<$entry as Declared>::SECTION,)*];

        /// Validated settings. They never change; a reload makes new ones.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $(#[doc = concat!("`[", stringify!($field), "]`")] pub $field: $section,)*
            $(#[doc = concat!("`[", stringify!($table), ".NAME]`, by name.")] pub $table: BTreeMap<String, $entry>,)*
            origins: BTreeMap<Place, Origin>,
        }

        impl Settings {
            fn read(mut reader: Reader<'_>) -> Result<Self, SettingsError> {
                // Every section is read before the first wrong one ends it, so that all problems are found at once.
                $(let $field = reader.read_section::<$section>(None);)*
                $(let $table = reader.read_named::<$entry>();)*
                let settings = (|| Some(Self { $($field: $field?,)* $($table: $table?,)* origins: BTreeMap::new() }))();
                Self::checked(settings, reader)
            }

            /// Every table with its name and values, in the order of the documentation.
            fn tables(&self) -> Vec<(&'static Section, Option<&str>, Vec<Option<String>>)> {
                let mut tables = Vec::new();
                let mut sections = SECTIONS.iter().copied();
                $(tables.extend(sections.next().map(|section| (section, None, self.$field.values())));)*
                $(if let Some(section) = sections.next() {
                    tables.extend(self.$table.iter().map(|(name, entry)| (section, Some(name.as_str()), entry.values())));
                })*
                tables
            }
        }
    };
}

settings! {
    one {
        server: Server,
        media: Media,
        data: Data,
        image: Image,
        inference: Inference,
        embeddings: Embeddings,
        search: Search,
        workflow: Workflow,
        plugins: Plugins,
        operations: Operations,
        cache: Cache,
        urls: Urls,
        cors: Cors,
        telemetry: Telemetry,
    }
    named {
        upstreams: Upstream,
        sidecars: Sidecar,
        chains: Chain,
        flags: FeatureFlag,
        models: Model,
        model_aliases: ModelAlias,
    }
}

/// One key with its value in force.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Its section.
    pub section: &'static Section,
    /// Its name, if the section is named.
    pub name: Option<&'a str>,
    /// The key.
    pub key: &'static Key,
    /// The value as TOML; nothing when it is not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: &'a Origin,
}

impl Entry<'_> {
    /// What the heading of its table holds: `server`, or `upstreams.image-service`.
    #[must_use]
    pub fn table(&self) -> String {
        table(self.section.name, self.name)
    }

    /// Its full name, such as `server.listen` or `upstreams.image-service.timeout`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", self.table(), self.key.name)
    }
}

impl Settings {
    /// Reads the file, if one is given, and lets variables of `environment` override it: `BREAKWATER__SECTION__KEY`,
    /// `BREAKWATER__UPSTREAMS__NAME__KEY` and, below these, those of the clients that Breakwater replaces ([`crate::sets_a_key`]).
    ///
    /// # Errors
    /// When the file cannot be read, or with everything that is wrong in it and in the environment.
    pub fn load(path: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        Self::load_with_flags(path, environment, &[])
    }

    /// As [`Self::load`]; `flags` override both.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with_flags(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, SettingsError> {
        let shown = path.unwrap_or(Path::new("breakwater.toml")).to_owned();
        let text = read_file(path).map_err(|source| SettingsError::Unreadable { path: shown.clone(), source })?;
        Self::read(Reader::new(Source { path: shown, text: &text }, environment, flags))
    }

    /// As [`Self::load_with_flags`], from text; `path` is only shown.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Flag],
    ) -> Result<Self, SettingsError> {
        Self::read(Reader::new(Source { path: path.to_owned(), text }, environment, flags))
    }

    fn checked(settings: Option<Self>, reader: Reader<'_>) -> Result<Self, SettingsError> {
        let (origins, mut problems) = (reader.origins, reader.problems);
        problems.sort_by_key(|problem| match problem.origin {
            Origin::File { line, column, .. } => (0, line, column),
            _ => (1, 0, 0),
        });
        let settings = settings.map(|settings| Self { origins, ..settings });
        settings.filter(|_| problems.is_empty()).ok_or(SettingsError::Invalid(problems))
    }

    /// Every key with its value in force and where that comes from.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let origin = |section: &Section, name: Option<&str>, key: &Key| {
            self.origins.get(&Place::new(section.name, name, key.name)).unwrap_or(&Origin::Default)
        };
        let entries = self.tables().into_iter().flat_map(|(section, name, values)| {
            let entry = move |(key, value)| Entry { section, name, key, value, origin: origin(section, name, key) };
            section.keys.iter().zip(values).map(entry)
        });
        entries.collect()
    }

    /// The keys, such as `server.listen`, whose value in `other` differs, of those that take effect as `reload` says. An entry of a
    /// named section that only one of the two has is named as a whole: `upstreams.image-service`.
    #[must_use]
    pub fn changed(&self, other: &Self, reload: Reload) -> Vec<String> {
        let values = |settings: &Self| -> BTreeMap<_, _> {
            let entries = settings.entries().into_iter().filter(|entry| entry.key.reload == reload);
            entries.map(|entry| (entry.path(), (entry.table(), entry.value))).collect()
        };
        let (old, new) = (values(self), values(other));
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let changed = paths.into_iter().filter_map(|path| match (old.get(path), new.get(path)) {
            (Some((_, old)), Some((_, new))) => (old != new).then(|| path.clone()),
            (Some((table, _)), None) | (None, Some((table, _))) => Some(table.clone()),
            (None, None) => None,
        });
        let mut changed: Vec<_> = changed.collect();
        changed.dedup();
        changed
    }
}
