//! The vocabulary every crate of the host shares: the context of a call, its deadline, how it fails, what it answers,
//! and the geometry and detections that crop planning speaks of.
//!
//! Nothing here does input or output, and nothing here knows HTTP, WebAssembly or tensors.

pub mod caller;
pub mod context;
pub mod crop;
pub mod deadline;
pub mod detection;
pub mod digest;
pub mod failure;
pub mod geometry;
pub mod invoker;
pub mod keyed_id;
pub mod ledger;
pub mod operation;
pub mod outbound;
pub mod outcome;
pub mod payload;
pub mod trace;

pub use caller::Caller;
pub use context::{CallContext, CallSnapshot, CorrelationId, Principal};
pub use crop::{CropPlan, PlanRequest, PlanViolation, Strategy, Term};
pub use deadline::Deadline;
pub use detection::{Detection, DetectionKind};
pub use digest::Digest;
pub use failure::{Effect, Failure, FailureKind};
pub use geometry::{AspectRatio, Bounds, Point, Rect, Size};
pub use invoker::{BoxFuture, Invoker};
pub use ledger::Ledger;
pub use operation::{OperationEffect, OperationSpec};
pub use outbound::{Body, Method, OutboundRequest, OutboundResponse, Part};
pub use outcome::{Outcome, Reason, ServedBy};
pub use payload::{Attachment, Payload};
pub use trace::TraceContext;
