//! The operations: their names, what they change, how long they may take, and whether an answer may be kept.
//!
//! The types of an operation's input and output are those of its module ([`crate::detect`], [`crate::features`], [`crate::search`],
//! [`crate::plan`], [`crate::crop`], [`crate::sheet`]).

use std::time::Duration;

pub use breakwater_core::OperationEffect;

/// For how long an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cacheability {
    /// Never.
    None,
    /// As long as the same bytes are looked at by the same model: the answer depends on nothing else.
    ByContent,
}

/// What everyone agrees on about one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its name, such as `plan-crop`.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// What it does to the world.
    pub effect: OperationEffect,
    /// The longest a call may take, whatever the caller allows.
    pub timeout: Duration,
    /// Whether answers may be kept.
    pub cacheability: Cacheability,
}

/// Finds faces, people and objects: [`crate::DetectInput`] to [`crate::DetectOutput`].
pub const DETECT_OBJECTS: Operation = Operation {
    name: "detect-objects",
    summary: "Finds faces, people and objects in an image.",
    effect: OperationEffect::Read,
    timeout: Duration::from_secs(15),
    cacheability: Cacheability::ByContent,
};

/// Gives the features of an image, by a model of the host.
pub const EXTRACT_FEATURES: Operation = Operation {
    name: "extract-features",
    summary: "Gives the features of an image, by which it can be compared with others.",
    effect: OperationEffect::Read,
    timeout: Duration::from_secs(15),
    cacheability: Cacheability::ByContent,
};

/// Gives the features of a text, by a model of the host that takes images and texts.
pub const EMBED_TEXT: Operation = Operation {
    name: "embed-text",
    summary: "Gives the features of a text, by which it can be compared with images and other texts.",
    effect: OperationEffect::Read,
    timeout: Duration::from_secs(15),
    cacheability: Cacheability::ByContent,
};

/// Finds products: [`crate::search::SearchRequest`] to [`crate::search::SearchPage`].
pub const SEARCH_PRODUCTS: Operation = Operation {
    name: "search-products",
    summary: "Finds the products that look most like an image, a text, a vector or another product.",
    effect: OperationEffect::Read,
    timeout: Duration::from_secs(30),
    cacheability: Cacheability::None,
};

/// Chooses where to cut: [`crate::plan::PlanInput`] to [`breakwater_core::CropPlan`].
pub const PLAN_CROP: Operation = Operation {
    name: "plan-crop",
    summary: "Chooses the rectangle of a ratio that a strategy likes best.",
    effect: OperationEffect::Read,
    timeout: Duration::from_secs(10),
    cacheability: Cacheability::None,
};

/// Detects, plans, cuts and encodes: [`crate::CropInput`] to [`crate::CropOutput`].
pub const CROP_IMAGE: Operation = Operation {
    name: "crop-image",
    summary: "Cuts an image to a ratio where a strategy says, and encodes the result.",
    // A picture written under the media root is named by its content: writing it twice changes nothing.
    effect: OperationEffect::Read,
    timeout: Duration::from_secs(30),
    cacheability: Cacheability::None,
};

/// Puts photographs on pages: [`crate::SheetInput`] to [`crate::SheetOutput`].
pub const COMPOSE_SHEET: Operation = Operation {
    name: "compose-sheet",
    summary: "Arranges images on a sheet to print.",
    // A sheet written under the media root is named by its content: writing it twice changes nothing.
    effect: OperationEffect::Read,
    // Hundreds of photographs are read, and perhaps decoded.
    timeout: Duration::from_secs(600),
    cacheability: Cacheability::None,
};

/// Detects and cuts in many pictures while the caller waits: [`crate::ProcessBatchInput`] to [`crate::ProcessBatchOutput`].
pub const PROCESS_BATCH: Operation = Operation {
    name: "process-batch",
    summary: "Detects and cuts in many images, each for itself.",
    // Pictures written under the media root are named by their content: writing them twice changes nothing.
    effect: OperationEffect::Read,
    // A thousand pictures are read, decoded and written.
    timeout: Duration::from_secs(600),
    cacheability: Cacheability::None,
};

/// Every operation.
pub const OPERATIONS: [Operation; 8] =
    [DETECT_OBJECTS, EXTRACT_FEATURES, EMBED_TEXT, SEARCH_PRODUCTS, PLAN_CROP, CROP_IMAGE, COMPOSE_SHEET, PROCESS_BATCH];
