//! Contact sheets and sheets of photographs to cut out: many pictures on pages of exact measure, as a PDF or as pictures of the pages.
//!
//! [`Layout`] says where cells lie, in whole micrometres. A [`Composer`] is given one [`Photograph`] after the other and writes as it goes:
//! no more than one photograph and one page is in memory, however many there are.
//!
//! | | PDF | PNG, JPEG |
//! |---|---|---|
//! | a JPEG | as it is, without its metadata, turned and cut off by the page; scaled only above the `dpi` asked for | scaled to `dpi` |
//! | another format | PNG and GIF without loss, WebP and AVIF as JPEG | scaled to `dpi` |
//! | a photograph placed again | points at the first | is drawn again |
//! | captions | text in a font that is part of the file | drawn |

mod canvas;
mod captions;
mod composer;
mod error;
mod guides;
mod layout;
mod length;
mod margins;
mod options;
mod outline;
mod page;
mod pdf;
mod photograph;
mod pictures;
mod placement;

pub use composer::{Composer, PlacedPhotograph, Target};
pub use error::SheetError;
pub use guides::{CutGuides, Segment};
pub use layout::{Area, Arrangement, Cell, Layout, MAX_LINES, PageOptions};
pub use length::Length;
pub use margins::Margins;
pub use options::{SheetFormat, SheetOptions, caption_height};
pub use page::{PageOrientation, PaperSize};
pub use photograph::Photograph;
pub use placement::Fit;
