//! From a list of strategies, an adapter, a fallback or a ranker to the exports of a component.

mod adapter;
mod fallback;
mod ranker;

/// Makes this crate a crop plugin that offers these strategies.
///
/// Used once, at the top of a crate of type `cdylib`. A panic is written to the host's log before it ends the call.
///
/// ```
/// # use breakwater_guest::*;
/// # struct Whole;
/// # impl CropStrategy for Whole {
/// #     const NAME: &'static str = "whole";
/// #     const SUMMARY: &'static str = "The largest window in the middle.";
/// #     const NEEDS: &'static [Kind] = &[];
/// #     type Parameters = parameters::NoParameters;
/// #     fn plan<I: ImageView>(image: &I, wanted: &Wanted<Self::Parameters>) -> Result<CropPlan, Failure> {
/// #         Ok(Reasons::new().plan(LargestWindow::new(image.size(), wanted.ratio).centered()))
/// #     }
/// # }
/// breakwater_guest::export_crop_plugin!(Whole);
/// ```
#[macro_export]
macro_rules! export_crop_plugin {
    ($($strategy:ty),+ $(,)?) => {
        const _: () = {
            #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "exported from a component only"))]
            struct Exported;

            impl $crate::__private::Guest for Exported {
                fn describe() -> ::std::vec::Vec<$crate::__private::Strategy> {
                    $crate::__private::report_panics();
                    ::std::vec![$($crate::__private::describe::<$strategy>()),+]
                }

                fn plan(
                    call: $crate::CallContext,
                    subject: &$crate::__private::Image,
                    given: ::std::vec::Vec<$crate::Detection>,
                    wanted: $crate::__private::Request,
                ) -> ::std::result::Result<$crate::CropPlan, $crate::Failure> {
                    $crate::__private::report_panics();
                    match wanted.strategy.as_str() {
                        $(<$strategy as $crate::CropStrategy>::NAME => $crate::__private::plan::<$strategy>(call, subject, given, wanted),)+
                        _ => ::std::result::Result::Err($crate::__private::unknown_strategy(&wanted.strategy)),
                    }
                }
            }

            // Native linkers do not take the names of exports of a component.
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::__export_crop_strategy!(Exported with_types_in $crate::bindings);
        };
    };
}

/// What the macro expands to. Not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use super::adapter::{describe_adapter, invoke};
    pub use super::fallback::{degrade, describe_fallback};
    pub use super::ranker::{describe_ranker, rank};
    pub use crate::bindings::adapter::breakwater::plugin::replies::Reply as ReplyToHost;
    pub use crate::bindings::adapter::exports::breakwater::plugin::adapter::{Guest as AdapterGuest, Operation as OperationForHost};
    pub use crate::bindings::breakwater::plugin::blobs::Blob as HostBlob;
    pub use crate::bindings::breakwater::plugin::imaging::Image;
    pub use crate::bindings::exports::breakwater::plugin::crop_strategy::{Guest, Request, Strategy};
    pub use crate::bindings::fallback::exports::breakwater::plugin::fallback::{Guest as FallbackGuest, Level as LevelForHost};
    pub use crate::bindings::ranker::exports::breakwater::plugin::ranker::{
        Description as DescriptionForHost, Guest as RankerGuest, Request as RankRequest,
    };
    use crate::call::CallContext;
    use crate::detection::Detection;
    use crate::failure::Failure;
    use crate::log::{self, Level};
    use crate::parameters::Parameters;
    use crate::plan::CropPlan;
    use crate::strategy::{CropStrategy, Wanted};

    /// Sends the message of a panic to the host's log; a component has no standard error.
    pub fn report_panics() {
        if cfg!(target_arch = "wasm32") {
            std::panic::set_hook(Box::new(|panic| log::write(Level::Error, &panic.to_string())));
        }
    }

    pub fn describe<S: CropStrategy>() -> Strategy {
        Strategy { name: S::NAME.to_owned(), summary: S::SUMMARY.to_owned(), parameters: S::Parameters::schema(), needs: S::NEEDS.to_vec() }
    }

    pub fn plan<S: CropStrategy>(call: CallContext, image: &Image, given: Vec<Detection>, request: Request) -> Result<CropPlan, Failure> {
        let parameters = S::Parameters::parse(&request.parameters)?;
        S::plan(image, &Wanted { ratio: request.ratio, parameters, given, call })
    }

    pub fn unknown_strategy(name: &str) -> Failure {
        Failure::internal("plugin.unknown-strategy", &format!("this plugin does not offer the strategy {name}"))
    }
}
