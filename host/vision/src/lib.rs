//! Photographs in, pixels, maps and photographs out. Pure and synchronous: whoever calls it brings the thread.
//!
//! The path of a photograph: [`probe`] reads its headers and holds them against [`Limits`] before anything large is allocated;
//! [`Image::decode`] turns it upright, into sRGB, 8 bits; detectors and plugins look at [`Image::resized_rgb`],
//! [`Image::thumbnail`], [`Image::saliency`], [`Image::luminance`] and [`Image::entropy`]; [`render`] cuts a rectangle out of it,
//! scales it once and encodes it. All coordinates are those of the original after EXIF orientation, whatever scale was decoded.
//!
//! | format | in | out | metadata kept on request |
//! |---|---|---|---|
//! | JPEG | baseline, progressive; grey, YCbCr, RGB, CMYK, YCCK | 4:2:0 below quality 90, else 4:4:4 | EXIF |
//! | PNG | 1 to 16 bits, palette, grey, alpha; first frame of APNG | 8 bits | EXIF |
//! | WebP | lossy, lossless, alpha; first frame of an animation | lossy | EXIF |
//! | AVIF | 8 to 12 bits, 4:0:0 to 4:4:4, alpha | 8 to 10 bits, lossy | no |
//! | GIF | first frame | no | no |

mod analysis;
mod bytes_reader;
mod colour;
mod decode;
mod encode;
mod error;
mod exif;
mod format;
mod header;
mod image;
mod limits;
mod orientation;
mod probe;
mod raster;
mod render;
mod resize;
pub mod sheet;

pub use analysis::{HeatMap, MAX_MAP_EDGE, MAX_THUMBNAIL_EDGE};
pub use error::VisionError;
pub use format::{Format, UnknownFormat};
pub use image::{ContentDigest, Detail, Image, Resampling};
pub use limits::Limits;
pub use probe::{Info, probe};
pub use raster::{Raster, RgbImage};
pub use render::{Encoded, OutputOptions, RenderTimings, render};
