//! What a flag is for a caller.

use breakwater_core::{Caller, Digest};

use crate::definition::{Condition, Flag, Target, Test, Then};

/// What a flag is for a caller, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is on.
    pub enabled: bool,
    /// What decided.
    pub reason: Reason,
}

/// What decided about a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no such flag.
    Unknown,
    /// The flag is off for everybody.
    Disabled,
    /// The rule at this place, from 0.
    Rule(usize),
    /// The flag's share.
    Rollout,
}

impl Reason {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Disabled => "disabled",
            Self::Rule(_) => "rule",
            Self::Rollout => "rollout",
        }
    }
}

/// What `flag`, called `name`, is for `caller`. The same for the same arguments, in every process and on every machine.
#[must_use]
pub fn evaluate(name: &str, flag: &Flag, caller: &Caller) -> Decision {
    if !flag.enabled {
        return Decision { enabled: false, reason: Reason::Disabled };
    }
    let salt = flag.salt.as_deref().unwrap_or(name);
    let matching = flag.rules.iter().enumerate().find(|(_, rule)| rule.when.iter().all(|condition| holds(condition, caller)));
    let Some((index, rule)) = matching else {
        return Decision { enabled: in_share(salt, caller, flag.rollout), reason: Reason::Rollout };
    };
    let enabled = match rule.then {
        Then::On => true,
        Then::Off => false,
        Then::Rollout(percent) => in_share(salt, caller, percent),
    };
    Decision { enabled, reason: Reason::Rule(index) }
}

fn holds(condition: &Condition, caller: &Caller) -> bool {
    let value = match &condition.on {
        Target::Subject => caller.subject.as_deref(),
        Target::Tenant => caller.tenant.as_deref(),
        Target::Attribute(name) => caller.attributes.get(name).map(String::as_str),
    };
    let passes = value.is_some_and(|value| match &condition.is {
        Test::Equals(wanted) => value == wanted,
        Test::OneOf(wanted) => wanted.contains(value),
        Test::Prefix(prefix) => value.starts_with(prefix.as_str()),
    });
    passes != condition.not
}

/// Whether the caller is in the first `percent` of all callers, in the order that `salt` draws.
fn in_share(salt: &str, caller: &Caller, percent: u8) -> bool {
    match percent {
        0 => false,
        1..=99 => place(salt, caller).is_some_and(|place| place < u128::from(percent)),
        _ => true,
    }
}

/// The caller's place in the order that `salt` draws, from 0 to 99; none if nothing identifies the caller.
///
/// It depends on nothing that changes when the share does, which is what makes shares stable and monotone.
fn place(salt: &str, caller: &Caller) -> Option<u128> {
    let subject = caller.subject.as_deref().map(|subject| ("subject", subject));
    let (kind, identity) = subject.or_else(|| caller.tenant.as_deref().map(|tenant| ("tenant", tenant)))?;
    let digest = Digest::of_parts(["breakwater-flag-share", salt, kind, identity].map(str::as_bytes));
    let head = digest.as_bytes().first_chunk().copied().map_or(0, u64::from_be_bytes);
    // The high part of the product spreads 2^64 values evenly over 100 places; the remainder of a division would not quite.
    Some((u128::from(head) * 100) >> 64)
}

#[cfg(test)]
mod tests;
