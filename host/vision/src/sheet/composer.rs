//! Photographs in, pages out, one after the other.

use std::io::{self, Write};

use super::pdf::PdfSheet;
use super::pictures::PictureSheet;
use super::{Layout, Photograph, SheetError, SheetFormat, SheetOptions};
use crate::Limits;

/// Where a sheet goes: one file for a PDF, one for each picture of a page.
pub trait Target: Send {
    /// What is written into.
    type File: Write + Send;

    /// Begins the next file.
    ///
    /// # Errors
    /// When there cannot be one.
    fn begin(&mut self) -> io::Result<Self::File>;

    /// Takes a file that is whole.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn finish(&mut self, file: Self::File) -> io::Result<()>;
}

/// What became of a photograph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlacedPhotograph {
    /// Characters of its caption that no font has; each is drawn as the box that stands for one.
    pub missing: Vec<char>,
}

/// A sheet under way. Dropping it leaves the target with a file that was begun and not finished.
pub struct Composer<T: Target> {
    target: T,
    kind: Kind<T::File>,
    cells: usize,
    placed: usize,
}

enum Kind<F: Write> {
    Pdf(Option<Box<PdfSheet<F>>>),
    Pictures(Box<PictureSheet>),
}

impl<T: Target> Composer<T> {
    /// Begins a sheet.
    ///
    /// # Errors
    /// `sheet.too-many-pixels` for a picture of a page beyond the limits, `sheet.write-failed`.
    pub fn begin(options: &SheetOptions, layout: Layout, limits: Limits, mut target: T) -> Result<Self, SheetError> {
        let cells = layout.cells.len();
        let kind = match options.format {
            SheetFormat::Pdf => Kind::Pdf(Some(Box::new(PdfSheet::begin(target.begin()?, options.clone(), layout, limits)?))),
            SheetFormat::Png | SheetFormat::Jpeg => Kind::Pictures(Box::new(PictureSheet::new(options.clone(), layout, limits)?)),
        };
        Ok(Self { target, kind, cells, placed: 0 })
    }

    /// Puts a photograph into the next cell, on a new page when the last one is full.
    ///
    /// # Errors
    /// What reading and decoding it fails with, `sheet.write-failed`.
    pub fn place(&mut self, photograph: &Photograph) -> Result<PlacedPhotograph, SheetError> {
        let cell = self.placed % self.cells.max(1);
        if cell == 0 && self.placed > 0 {
            self.end_page()?;
        }
        let placed = match &mut self.kind {
            Kind::Pdf(Some(sheet)) => sheet.place(cell, photograph)?,
            Kind::Pdf(None) => PlacedPhotograph::default(),
            Kind::Pictures(sheet) => sheet.place(cell, photograph)?,
        };
        self.placed += 1;
        Ok(placed)
    }

    /// Pages so far.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.placed.div_ceil(self.cells.max(1))
    }

    /// Photographs so far, each as often as it was placed.
    #[must_use]
    pub fn placed(&self) -> usize {
        self.placed
    }

    /// Ends the last page and the sheet.
    ///
    /// # Errors
    /// `sheet.write-failed`, `sheet.font-failed`.
    pub fn finish(mut self) -> Result<T, SheetError> {
        self.end_page()?;
        if let Kind::Pdf(sheet) = &mut self.kind
            && let Some(sheet) = sheet.take()
        {
            self.target.finish(sheet.finish()?)?;
        }
        Ok(self.target)
    }

    fn end_page(&mut self) -> Result<(), SheetError> {
        match &mut self.kind {
            Kind::Pdf(Some(sheet)) => sheet.end_page(),
            Kind::Pdf(None) => Ok(()),
            Kind::Pictures(sheet) => {
                let mut file = self.target.begin()?;
                file.write_all(&sheet.end_page()?)?;
                file.flush()?;
                Ok(self.target.finish(file)?)
            }
        }
    }
}
