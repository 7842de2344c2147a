//! The weights of a dense layer in the order in which the kernels read them.

use breakwater_convnet::memory::Memory;

use crate::error::WeightsError;
use crate::kernel::Kernels;
use crate::kernel::activation::Function;
use crate::kernel::product::Product;
use crate::kernel::widen::Widen;
use crate::parts::Grid;
use crate::weights::{ClipWeights, Precision, Tensor};

/// The depth of a block: a panel of it (32 columns of 16 lanes) stays in the cache of second level beside the rows it meets.
const DEPTH: usize = 768;

/// Rows that meet a panel before the next panel's turn: with [`DEPTH`] values each they stay in the cache of second level.
const ROWS: usize = 224;

/// Values of memory that [`Matrix::multiply`] needs to widen a panel.
pub(crate) const fn scratch(panel: usize) -> usize {
    DEPTH * panel
}

/// Weights and biases of layers that have the same input, side by side: block after block of the depth, in it panel after panel of
/// columns. Every layer begins with a panel of its own; columns beyond its last are zero.
pub(crate) struct Matrix {
    depth: usize,
    panels: usize,
    precision: Precision,
    /// Numbers of 16 bits go two to a value.
    weights: Memory,
    bias: Option<Memory>,
}

/// One of the layers of a [`Matrix`], by the names of its tensors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// `columns` rows of `depth` numbers.
    pub(crate) weight: &'a str,
    pub(crate) bias: Option<&'a str>,
}

/// What is multiplied, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    /// As many values a row as the matrix is deep.
    pub(crate) rows: Grid,
    pub(crate) count: usize,
    /// First column: that of the first panel in use.
    pub(crate) out: Grid,
    /// Whether sums start from what is in `out`.
    pub(crate) accumulate: bool,
    pub(crate) function: Function,
}

impl Matrix {
    /// Packs layers of `columns` outputs each; `shape` is that of a weight in the file.
    pub(crate) fn pack(
        weights: &ClipWeights<'_>,
        sources: &[Source<'_>],
        shape: &[usize],
        kernels: &Kernels,
    ) -> Result<Self, WeightsError> {
        let columns = shape.first().copied().unwrap_or(0);
        let depth: usize = shape.iter().skip(1).product();
        let each = columns.div_ceil(kernels.panel);
        let panels = each * sources.len();
        let tensors = sources.iter().map(|source| weights.tensor(source.weight, shape)).collect::<Result<Vec<_>, _>>()?;
        let precision = common(&tensors);
        let mut matrix = Self { depth, panels, precision, weights: Memory::default(), bias: None };
        matrix.weights = Memory::zeros((depth * panels * kernels.panel * precision.bytes()).div_ceil(size_of::<f32>()));
        for (number, tensor) in tensors.iter().enumerate() {
            matrix.fill(tensor, columns, number * each, kernels.panel);
        }
        if sources.iter().any(|source| source.bias.is_some()) {
            let mut bias = Memory::zeros(panels * kernels.panel);
            for (number, name) in sources.iter().enumerate().filter_map(|(number, source)| Some((number, source.bias?))) {
                let values = weights.tensor(name, &[columns])?.widen();
                let start = number * each * kernels.panel;
                bias.as_mut_slice().iter_mut().skip(start).zip(values).for_each(|(to, value)| *to = value);
            }
            matrix.bias = Some(bias);
        }
        Ok(matrix)
    }

    /// Copies the weights of a layer to its panels.
    fn fill(&mut self, tensor: &Tensor<'_>, columns: usize, first: usize, panel: usize) {
        let size = self.precision.bytes();
        let widened: Vec<u8>;
        let data = if tensor.precision == self.precision {
            tensor.bytes()
        } else {
            widened = tensor.widen().into_iter().flat_map(f32::to_ne_bytes).collect();
            &widened
        };
        let (depth, offsets) = (self.depth, (0..self.depth).step_by(DEPTH).map(|start| (start, self.offset(start, first, panel))));
        let offsets: Vec<_> = offsets.collect();
        let len = self.weights.bytes();
        // SAFETY: the memory's own bytes, of which every value is one.
        let to = unsafe { std::slice::from_raw_parts_mut(self.weights.as_mut_ptr().cast::<u8>(), len) };
        for (column, row) in data.chunks_exact((depth * size).max(1)).take(columns).enumerate() {
            for (start, offset) in &offsets {
                let block = DEPTH.min(depth - start);
                let base = (offset + column / panel * block * panel + column % panel) * size;
                let numbers = row.chunks_exact(size).skip(*start).take(block);
                for (number, place) in numbers.zip(to.get_mut(base..).unwrap_or_default().chunks_mut(panel * size)) {
                    if let Some(place) = place.get_mut(..size) {
                        place.copy_from_slice(number);
                        // Files are little-endian, whatever the machine is.
                        #[cfg(target_endian = "big")]
                        place.reverse();
                    }
                }
            }
        }
    }

    /// Where the part of a panel that begins at a depth begins, in numbers.
    fn offset(&self, start: usize, number: usize, panel: usize) -> usize {
        let block = DEPTH.min(self.depth - start);
        (start * self.panels + number * block) * panel
    }

    /// Panels of all layers together.
    pub(crate) fn panels(&self) -> usize {
        self.panels
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.bytes() + self.bias.as_ref().map_or(0, Memory::bytes)
    }

    /// Multiplications of registers for so many rows and panels.
    pub(crate) fn work(&self, rows: usize, panels: usize) -> usize {
        rows * panels * self.depth * crate::kernel::PANEL
    }

    /// Computes the columns of some panels.
    ///
    /// # Safety
    /// The grids of `factors` are good for the rows and for the panels' columns and do not overlap; the panels are among those of the
    /// matrix; `scratch` is good for [`scratch`] values that nobody else uses; the machine has the kernels' instructions, and the
    /// matrix was packed for them.
    pub(crate) unsafe fn multiply(&self, kernels: &Kernels, factors: &Factors, panels: std::ops::Range<usize>, scratch: *mut f32) {
        let Factors { rows, count, out, accumulate, function } = *factors;
        let size = self.precision.bytes();
        // Equal blocks waste less than full ones and a rest.
        let height = count.div_ceil(count.div_ceil(ROWS).max(1)).max(1);
        for row in (0..count).step_by(height) {
            for start in (0..self.depth).step_by(DEPTH) {
                let depth = DEPTH.min(self.depth - start);
                let (first, last) = (start == 0, start + depth == self.depth);
                for (place, number) in panels.clone().enumerate() {
                    // SAFETY: the caller's promises; a block of a panel lies where `offset` says.
                    unsafe {
                        let stored = self.weights.as_ptr().cast::<u8>().add(self.offset(start, number, kernels.panel) * size);
                        let numbers = depth * kernels.panel;
                        let weights = if self.precision == Precision::F32 {
                            stored.cast::<f32>()
                        } else {
                            let (from, precision) = (stored.cast::<u16>(), self.precision);
                            (kernels.widen)(&Widen { from, to: scratch, count: numbers, precision });
                            scratch.cast_const()
                        };
                        let bias = self.bias.as_ref().filter(|_| first);
                        (kernels.product)(&Product {
                            rows: rows.row(row).add(start),
                            stride: rows.stride,
                            count: height.min(count - row),
                            depth,
                            weights,
                            bias: bias.map_or(std::ptr::null(), |bias| bias.as_ptr().add(number * kernels.panel)),
                            out: out.row(row).add(place * kernels.panel),
                            out_stride: out.stride,
                            accumulate: accumulate || !first,
                            function: if last { function } else { Function::Linear },
                            // The next panel follows this one in memory.
                            ahead: stored.wrapping_add(numbers * size),
                            ahead_bytes: numbers * size,
                        });
                    }
                }
            }
        }
    }
}

/// The precision that loses nothing of any.
fn common(tensors: &[Tensor<'_>]) -> Precision {
    let mut precisions = tensors.iter().map(|tensor| tensor.precision);
    let first = precisions.next().unwrap_or(Precision::F32);
    if precisions.all(|precision| precision == first) { first } else { Precision::F32 }
}
