//! Indices of vectors and search over them, from outside of the crate.
