//! Tensors, copied out as planes.

use crate::plan::Grid;
use crate::run::Run;

/// Where the planes of an output of one image go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) values: *mut f32,
    pub(crate) channels: usize,
}

// SAFETY: each image has its own targets; nobody else writes or reads there during a run.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Run<'_> {
    /// Writes every output; there is a target for each export, good for all its planes.
    pub(super) fn export(&self, targets: &[Target]) {
        for ((export, grid), target) in self.program.exports.iter().zip(&self.plan.exports).zip(targets) {
            let plane = grid.height * grid.width;
            for channel in 0..target.channels {
                // SAFETY: the target is good for `channels` planes.
                let to = unsafe { std::slice::from_raw_parts_mut(target.values.add(channel * plane), plane) };
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
