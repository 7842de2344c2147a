//! On whose behalf a call is made.

use std::collections::BTreeMap;

/// Whom a call serves: what rollouts are stable by, what rules target, what keeps one tenant's answers from another.
///
/// It is what the caller says of itself until an identity is established; nothing is permitted because of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Caller {
    /// The user or service on whose behalf the call is made.
    pub subject: Option<String>,
    /// The organisation it belongs to.
    pub tenant: Option<String>,
    /// What rules may ask about, such as `plan` or `country`.
    pub attributes: BTreeMap<String, String>,
}

impl Caller {
    /// The most attributes of one caller.
    pub const MAX_ATTRIBUTES: usize = 32;
    /// The longest subject, tenant, attribute name or value, in bytes.
    pub const MAX_LENGTH: usize = 256;
}
