//! Resolves names for connections to URLs that callers gave. A connection is made to the very addresses that were checked, so that no
//! second answer of the name server can lead elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::AddressPolicy;

/// A name or an address leads to where callers must not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address of the host is not public and not allowed")]
pub(crate) struct AddressDenied;

/// Asks the system's resolver and refuses a name if any of its addresses is denied: a name with one public and one private address is
/// an attempt to get by.
#[derive(Debug)]
pub(crate) struct GuardedResolver {
    policy: Arc<AddressPolicy>,
}

impl GuardedResolver {
    pub(crate) fn new(policy: Arc<AddressPolicy>) -> Self {
        Self { policy }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|address| !policy.permits(address.ip())) {
                return Err(AddressDenied.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The address that stands in `url` instead of a name. No resolver is asked for it, so whoever connects checks it.
pub(crate) fn literal_address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_loopback_is_refused_unless_allowed() {
        let refused = GuardedResolver::new(Arc::default()).resolve("localhost".parse().unwrap()).await;
        assert!(refused.err().unwrap().is::<AddressDenied>());
        let nets = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).to_vec();
        let allowed = GuardedResolver::new(Arc::new(AddressPolicy::allowing(nets))).resolve("localhost".parse().unwrap()).await;
        assert!(allowed.ok().unwrap().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn an_address_is_recognised_however_it_is_written() {
        for text in ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/", "http://[::1]:80/"] {
            assert!(literal_address(&Url::parse(text).unwrap()).unwrap().to_canonical().is_loopback(), "{text}");
        }
        assert_eq!(literal_address(&Url::parse("http://localhost/").unwrap()), None);
    }
}
