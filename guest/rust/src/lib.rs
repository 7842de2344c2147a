//! Write Breakwater plugins in Rust.
//!
//! A plugin is a WebAssembly component. This crate turns a plain Rust type into one: implement a trait, hand the type to its macro, and
//! build for `wasm32-unknown-unknown`.
//!
//! | a plugin that | implements | and is exported by |
//! |---|---|---|
//! | chooses where to cut a picture | [`CropStrategy`], once for each way | [`export_crop_plugin!`] |
//! | stands in front of a remote service | [`Adapter`] | [`export_adapter_plugin!`] |
//! | answers when everything before it failed | [`Fallback`] | [`export_fallback_plugin!`] |
//! | orders what a search found | [`Ranker`] | [`export_ranker_plugin!`] |
//!
//! A crop plugin; the pages of the other traits have examples of theirs:
//!
//! ```
//! use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Wanted, export_crop_plugin};
//!
//! breakwater_guest::parameters! {
//!     /// What a caller may set.
//!     pub struct TopParameters {
//!         /// How far down the window sits: 0 is the top edge, 1 the bottom edge.
//!         down: f32 = 0.0 in 0.0..=1.0,
//!     }
//! }
//!
//! /// The largest window of the ratio, at the top of the picture.
//! pub struct Top;
//!
//! impl CropStrategy for Top {
//!     const NAME: &'static str = "top";
//!     const SUMMARY: &'static str = "The largest window, at the top.";
//!     const NEEDS: &'static [Kind] = &[];
//!     type Parameters = TopParameters;
//!
//!     fn plan<I: ImageView>(image: &I, wanted: &Wanted<TopParameters>) -> Result<CropPlan, Failure> {
//!         let window = LargestWindow::new(image.size(), wanted.ratio);
//!         let offset = window.room() as f32 * wanted.parameters.down;
//!         let mut reasons = Reasons::new();
//!         reasons.weigh("area_kept", 1.0, window.area_kept());
//!         Ok(reasons.plan(window.at(window.clamp(offset.into()))))
//!     }
//! }
//!
//! export_crop_plugin!(Top);
//!
//! // The same code runs natively, against a made-up image.
//! use breakwater_guest::{AspectRatio, Rect, Size, testing::FakeImage};
//! let image = FakeImage::new(Size { width: 400, height: 300 });
//! let plan = Top::plan(&image, &Wanted::new(AspectRatio { width: 1, height: 1 }, TopParameters::default())).unwrap();
//! assert_eq!(plan.crop, Rect { x: 0, y: 0, width: 300, height: 300 });
//! ```
//!
//! What a strategy needs to know about the picture it asks [`ImageView`] for: sizes, small pictures, maps and detections. The
//! pixels themselves stay in the host. What the others need they ask [`Host`] and [`Upstreams`] for. Each call gets a fresh instance of the plugin, so nothing is remembered between calls.

// The macros of this crate name it as its users do.
extern crate self as breakwater_guest;

pub mod attention;
pub mod bindings;
pub mod config;
pub mod flags;
#[cfg(target_arch = "wasm32")]
mod heap;
pub mod json;
pub mod log;
pub mod parameters;
pub mod path_template;
pub mod testing;

mod adapter;
mod blob;
mod call;
mod detection;
mod embedding;
mod export;
mod failure;
mod fallback;
mod geometry;
mod host;
mod image;
mod invocation;
mod plan;
mod ranker;
mod request;
mod response;
mod strategy;
mod window;

pub use adapter::{Adapter, Effect, Operation};
pub use blob::{Blob, MAX_READ};
pub use call::{CallContext, remaining};
pub use detection::{Detection, Kind};
pub use embedding::{EmbedderDescription, Embedding};
pub use failure::{EffectState, Failure, FailureKind};
pub use fallback::{Fallback, Level};
pub use geometry::{AspectRatio, Bounds, Point, Rect, Size};
pub use host::{Host, LinkedHost, Upstream, Upstreams};
pub use image::{HeatMap, ImageView, Thumbnail};
pub use invocation::{Invocation, Reply};
pub use plan::{CropPlan, Reasons, Term};
pub use ranker::{Candidate, MAX_CANDIDATES, Ranked, Ranker, Ranking};
pub use request::{Body, Form, Method, Part, PartContent, Request};
pub use response::{MAX_JSON, Response};
pub use strategy::{CropStrategy, Wanted};
pub use window::{Axis, LargestWindow, Span};

/// What values of JSON are read and written with; a plugin that derives its own types depends on `serde` itself.
pub use {serde, serde_json};

#[doc(hidden)]
pub use {export::__private, wit_bindgen};
