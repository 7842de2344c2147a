//! From a ranker to the exports of a component.

use super::__private::{DescriptionForHost, RankRequest, report_panics};
use crate::call::CallContext;
use crate::failure::Failure;
use crate::host::LinkedHost;
use crate::parameters::Parameters;
use crate::ranker::{Candidate, Ranked, Ranker, Ranking};

/// Makes this crate a ranker plugin.
///
/// Used once, at the top of a crate of type `cdylib`. A panic is written to the host's log before it ends the call. See
/// [`Ranker`](crate::Ranker) for an example.
#[macro_export]
macro_rules! export_ranker_plugin {
    ($ranker:ty) => {
        const _: () = {
            #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "exported from a component only"))]
            struct Exported;

            impl $crate::__private::RankerGuest for Exported {
                fn describe() -> $crate::__private::DescriptionForHost {
                    $crate::__private::describe_ranker::<$ranker>()
                }

                fn rank(
                    context: $crate::CallContext,
                    wanted: $crate::__private::RankRequest,
                    candidates: ::std::vec::Vec<$crate::Candidate>,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::Ranked>, $crate::Failure> {
                    $crate::__private::rank::<$ranker>(context, wanted, &candidates)
                }
            }

            // Native linkers do not take the names of exports of a component.
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::ranker::__export_ranker!(Exported with_types_in $crate::bindings::ranker);
        };
    };
}

#[doc(hidden)]
#[must_use]
pub fn describe_ranker<R: Ranker>() -> DescriptionForHost {
    report_panics();
    DescriptionForHost { summary: R::SUMMARY.to_owned(), parameters: R::Parameters::schema() }
}

#[doc(hidden)]
pub fn rank<R: Ranker>(context: CallContext, wanted: RankRequest, candidates: &[Candidate]) -> Result<Vec<Ranked>, Failure> {
    report_panics();
    R::rank(&LinkedHost, &Ranking::of_host(context, wanted)?, candidates)
}
