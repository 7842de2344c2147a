//! Where a URL that a caller gave may lead: hosts that were granted, addresses that are not the operator's own network.

mod address;
mod host;
mod resolver;

pub use address::AddressPolicy;
pub use host::{HostPattern, InvalidHostPattern};
pub(crate) use resolver::{AddressDenied, GuardedResolver, literal_address};
