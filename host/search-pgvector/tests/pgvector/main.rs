//! Indices in a real PostgreSQL.

#[cfg(test)]
#[path = "../../../search/tests/conformance/indices.rs"]
mod conformance;

#[cfg(test)]
mod conforms;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod planning;
#[cfg(test)]
mod server;
