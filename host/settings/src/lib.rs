//! breakwater.toml and the environment, turned into validated, frozen settings.
