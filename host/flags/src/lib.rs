//! Feature flags: on or off, for a share of the callers, or by rules about who calls; changed while the service runs.
//!
//! # How a flag is evaluated
//!
//! 1. A flag nobody declared or stored is off.
//! 2. A flag that is not `enabled` is off, whatever its rules say.
//! 3. The first rule whose conditions all hold decides: on, off, or on for a share.
//! 4. Otherwise the flag is on for `rollout` percent of the callers.
//!
//! A share is stable and monotone: whether a caller is in it depends on the flag (or its `salt`) and on the caller's subject, so the
//! same caller gets the same answer in every process, and raising the percentage never turns anybody off. A caller without a subject
//! counts as its tenant; a caller with neither is only in a share of 100 %, because nothing could keep its answers the same.
//!
//! # Where flags come from
//!
//! Flags **declared** in the configuration are defaults. A **stored** flag of the same name takes the place of the declared one until it
//! is removed. Stored flags are kept by [`FlagRecords`], which several processes may share; the task that runs [`Flags::poll`]
//! (`flags-poll`) brings in what the others changed.
//!
//! ```
//! # use std::collections::BTreeMap;
//! # use std::sync::Arc;
//! # use breakwater_core::Caller;
//! # use breakwater_flags::{Flag, Flags, MemoryFlagRecords, Reason};
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let declared = BTreeMap::from([("ai-resumes".to_owned(), Flag { rollout: 25, ..Flag::on() })]);
//! let flags = Flags::open(Arc::new(MemoryFlagRecords::default()), declared).await.unwrap();
//! let caller = Caller { subject: Some("user-1".into()), ..Caller::default() };
//! let decision = flags.evaluate("ai-resumes", &caller);
//! assert_eq!(decision.reason, Reason::Rollout);
//! assert!(!flags.enabled("no-such-flag", &caller));
//! # });
//! ```

#![forbid(unsafe_code)]

mod definition;
mod error;
mod evaluation;
mod flags;
mod records;
mod validation;

pub use definition::{Condition, Flag, Rule, Target, Test, Then};
pub use error::{FlagError, Violation};
pub use evaluation::{Decision, Reason, evaluate};
pub use flags::{FlagObserver, Flags, ListedFlag, Source};
pub use records::{FlagRecords, FlagRecordsError, FlagState, MemoryFlagRecords};
pub use validation::{
    MAX_CONDITIONS, MAX_DESCRIPTION_LENGTH, MAX_FLAGS, MAX_NAME_LENGTH, MAX_RULES, MAX_SALT_LENGTH, MAX_VALUE_LENGTH, MAX_VALUES, validate,
    validate_name,
};
