//! Tensors, copied out as planes.

use crate::plan::Grid;
use crate::run::Run;

/// Where an output of a batch goes: the planes of all its images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target(pub(crate) *mut f32);

// SAFETY: each image writes only its own planes, and nobody reads them during a run.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Run<'_> {
    /// Writes every output of image `index`; there is a target for each export, good for the planes of the batch.
    pub(super) fn export(&self, index: usize, targets: &[Target]) {
        for ((export, grid), target) in self.program.exports.iter().zip(&self.plan.exports).zip(targets) {
            let plane = grid.height * grid.width;
            for channel in 0..export.channels {
                let position = (index * export.channels + channel) * plane;
                // SAFETY: the target is good for `channels` planes of each image.
                let to = unsafe { std::slice::from_raw_parts_mut(target.0.add(position), plane) };
                self.plane(grid, export.first_channel + channel, to);
                if export.sigmoid {
                    // SAFETY: the slice's own length.
                    unsafe { (self.kernels.sigmoid)(to.as_mut_ptr(), to.len()) };
                }
            }
        }
    }

    /// Collects a channel.
    fn plane(&self, grid: &Grid, channel: usize, to: &mut [f32]) {
        let (block, lane) = (channel / grid.lanes, channel % grid.lanes);
        for (y, row) in to.chunks_exact_mut(grid.width.max(1)).enumerate() {
            // SAFETY: the run of the block in a tensor that lies in the arena to the end.
            let run = unsafe { std::slice::from_raw_parts(self.arena.add(grid.run(y, block)), grid.width * grid.lanes) };
            for (value, pixel) in row.iter_mut().zip(run.chunks_exact(grid.lanes)) {
                *value = pixel.get(lane).copied().unwrap_or(0.0);
            }
        }
    }
}
