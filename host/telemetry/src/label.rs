//! Closed sets of label values.

use std::borrow::Cow;

/// A value that a metric's label, a log's field and a span's attribute show alike.
///
/// What comes from a closed set is borrowed; what comes from outside (names of upstreams, operations, plugins) is owned, and a metric
/// family that has too many rows shows it as `other`.
pub(crate) trait Label {
    fn label(&self) -> Cow<'static, str>;
}

impl Label for String {
    fn label(&self) -> Cow<'static, str> {
        Cow::Owned(self.clone())
    }
}

/// Declares a closed set of words.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $doc])* $variant),*
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As metrics, logs and spans write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl $crate::label::Label for $name {
            fn label(&self) -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(self.name())
            }
        }
    };
}
pub(crate) use words;
