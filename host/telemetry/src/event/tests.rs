use super::*;

/// A value of a field, for one of each event.
pub(crate) trait Sample {
    fn sample(field: &'static str) -> Self;
}

impl Sample for String {
    fn sample(field: &'static str) -> Self {
        format!("some-{field}")
    }
}

macro_rules! first_of {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            fn sample(_field: &'static str) -> Self {
                Self::ALL[0]
            }
        }
    )*};
}

first_of!(PluginChange, EndpointChange, Health, TierChange, CacheTier, FlagChange, RegistryChange);
