//! From an adapter to the exports of a component.

use super::__private::{HostBlob, OperationForHost, ReplyToHost, report_panics};
use crate::adapter::Adapter;
use crate::call::CallContext;
use crate::failure::Failure;
use crate::host::LinkedHost;
use crate::invocation::Invocation;

/// Makes this crate an adapter plugin.
///
/// Used once, at the top of a crate of type `cdylib`. A panic is written to the host's log before it ends the call. See
/// [`Adapter`](crate::Adapter) for an example.
#[macro_export]
macro_rules! export_adapter_plugin {
    ($adapter:ty) => {
        const _: () = {
            #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "exported from a component only"))]
            struct Exported;

            impl $crate::__private::AdapterGuest for Exported {
                fn describe() -> ::std::vec::Vec<$crate::__private::OperationForHost> {
                    $crate::__private::describe_adapter::<$adapter>()
                }

                fn invoke(
                    context: $crate::CallContext,
                    operation: ::std::string::String,
                    input: ::std::string::String,
                    attachments: ::std::vec::Vec<$crate::__private::HostBlob>,
                ) -> ::std::result::Result<$crate::__private::ReplyToHost, $crate::Failure> {
                    $crate::__private::invoke::<$adapter>(context, operation, &input, attachments)
                }
            }

            // Native linkers do not take the names of exports of a component.
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::adapter::__export_adapter!(Exported with_types_in $crate::bindings::adapter);
        };
    };
}

#[doc(hidden)]
#[must_use]
pub fn describe_adapter<A: Adapter>() -> Vec<OperationForHost> {
    report_panics();
    A::OPERATIONS.iter().map(Into::into).collect()
}

#[doc(hidden)]
pub fn invoke<A: Adapter>(
    context: CallContext,
    operation: String,
    input: &str,
    attachments: Vec<HostBlob>,
) -> Result<ReplyToHost, Failure> {
    report_panics();
    if !A::OPERATIONS.iter().any(|offered| offered.name == operation) {
        return Err(Failure::internal("plugin.unknown-operation", &format!("this plugin does not offer the operation {operation}")));
    }
    let invocation = Invocation::of_host(context, operation, input, attachments)?;
    A::invoke(&LinkedHost, invocation).map(ReplyToHost::from)
}
