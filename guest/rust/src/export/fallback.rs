//! From a fallback to the exports of a component.

use super::__private::{HostBlob, LevelForHost, ReplyToHost, report_panics};
use crate::call::CallContext;
use crate::failure::Failure;
use crate::fallback::Fallback;
use crate::host::LinkedHost;
use crate::invocation::Invocation;

/// Makes this crate a fallback plugin.
///
/// Used once, at the top of a crate of type `cdylib`. A panic is written to the host's log before it ends the call. See
/// [`Fallback`](crate::Fallback) for an example.
#[macro_export]
macro_rules! export_fallback_plugin {
    ($fallback:ty) => {
        const _: () = {
            #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "exported from a component only"))]
            struct Exported;

            impl $crate::__private::FallbackGuest for Exported {
                fn describe() -> ::std::vec::Vec<$crate::__private::LevelForHost> {
                    $crate::__private::describe_fallback::<$fallback>()
                }

                fn degrade(
                    context: $crate::CallContext,
                    operation: ::std::string::String,
                    level: ::std::string::String,
                    input: ::std::string::String,
                    attachments: ::std::vec::Vec<$crate::__private::HostBlob>,
                    cause: $crate::Failure,
                ) -> ::std::result::Result<::std::option::Option<$crate::__private::ReplyToHost>, $crate::Failure> {
                    $crate::__private::degrade::<$fallback>(context, operation, &level, &input, attachments, &cause)
                }
            }

            // Native linkers do not take the names of exports of a component.
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::fallback::__export_fallback!(Exported with_types_in $crate::bindings::fallback);
        };
    };
}

#[doc(hidden)]
#[must_use]
pub fn describe_fallback<F: Fallback>() -> Vec<LevelForHost> {
    report_panics();
    F::LEVELS.iter().map(|level| LevelForHost { operation: level.operation.to_owned(), name: level.name.to_owned() }).collect()
}

#[doc(hidden)]
pub fn degrade<F: Fallback>(
    context: CallContext,
    operation: String,
    level: &str,
    input: &str,
    attachments: Vec<HostBlob>,
    cause: &Failure,
) -> Result<Option<ReplyToHost>, Failure> {
    report_panics();
    if !F::LEVELS.iter().any(|offered| offered.operation == operation && offered.name == level) {
        let message = format!("this plugin does not offer the level {level} of the operation {operation}");
        return Err(Failure::internal("plugin.unknown-level", &message));
    }
    let invocation = Invocation::of_host(context, operation, input, attachments)?;
    Ok(F::degrade(&LinkedHost, invocation, level, cause)?.map(ReplyToHost::from))
}
