//! CLIP's towers: against what onnxruntime computed, against plain loops in double precision, and with files and inputs that are
//! wrong.

mod arbitrary;
mod descriptions;
mod fixture;
mod model;
mod parity;
mod random_models;
mod reference;
mod refusals;
mod sharing;
