//! Makes a plan.

use crate::error::ConvnetError;
use crate::graph::Graph;
use crate::graph::shape::Shape;
use crate::memory::whole_lines;
use crate::plan::arena::{self, Life};
use crate::plan::{Grid, MAX_BYTES, Pipeline, Place, Plan, Positions, Stage, pipelines, taps};
use crate::program::{Kind, Layer, Piece, Program, Value};
use crate::table::Id;

/// Bytes of weights per pixel that is computed between two passes over them: a pass costs about as much as so many pixels.
const WEIGHT_BYTES_PER_PIXEL: usize = 8 * 1024;
/// Pixels that are computed at a time at the least.
const MIN_PIXELS: usize = 48;

impl Plan {
    /// Plans a run for images of so many rows and columns; no part has less than `least_part` multiplications of registers.
    ///
    /// # Errors
    /// When the graph does not take such images, or when they would need too much memory.
    pub(crate) fn new(graph: &Graph, program: &Program, input: Shape, least_part: usize) -> Result<Self, ConvnetError> {
        let shapes = graph.shapes(Shape { images: 1, ..input })?;
        let builder = Builder::new(program, &shapes, least_part);
        let lists = pipelines::pipelines(program, |list| builder.least_rings(list));
        builder.plan(&lists, input)
    }
}

/// Sizes of a tensor.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    height: usize,
    width: usize,
    left: usize,
    right: usize,
}

struct Builder<'a> {
    program: &'a Program,
    /// Sizes of each tensor; those with a home have the columns of zeros of their home.
    extents: Vec<Extent>,
    least_part: usize,
}

impl<'a> Builder<'a> {
    fn new(program: &'a Program, shapes: &[Shape], least_part: usize) -> Self {
        let extent = |id: Id<Value>| {
            let shape = shapes.get(program.values[id].node);
            shape.map_or_else(Extent::default, |shape| Extent { height: shape.height, width: shape.width, left: 0, right: 0 })
        };
        let mut extents = program.values.map(extent);
        for (_, layer) in program.layers.iter().filter(|(_, layer)| layer.reads_padding()) {
            let Some(input) = layer.input else { continue };
            let home = home(program, input.value).0;
            let out = extents.get(layer.output.index()).copied().unwrap_or_default();
            if let Some(extent) = extents.get_mut(home.index()) {
                let window = layer.window();
                let width = out.width.next_multiple_of(layer.tile());
                let end = (width.saturating_sub(1) * window.stride + window.size).saturating_sub(window.left);
                extent.left = extent.left.max(window.left);
                extent.right = extent.right.max(end.saturating_sub(extent.width));
            }
        }
        for id in program.values.ids() {
            let of_home = extents.get(home(program, id).0.index()).copied().unwrap_or_default();
            if let Some(extent) = extents.get_mut(id.index()) {
                (extent.left, extent.right) = (of_home.left, of_home.right);
            }
        }
        Self { program, extents, least_part }
    }

    fn extent(&self, value: Id<Value>) -> Extent {
        self.extents.get(value.index()).copied().unwrap_or_default()
    }

    /// A tensor on its own, `capacity` rows of it.
    fn grid(&self, value: Id<Value>, place: Place, capacity: usize) -> Grid {
        let Value { lanes, .. } = self.program.values[value];
        let blocks = self.program.values[value].blocks();
        let Extent { height, width, left, right } = self.extent(value);
        let block_stride = (left + width + right) * lanes;
        // The first pixel is aligned like the registers of a whole tensor are; a packed input has no registers.
        let row_stride = whole_lines(blocks * block_stride);
        let origin = left * lanes;
        Grid {
            place,
            origin,
            row_stride,
            block_stride,
            blocks,
            lanes,
            left,
            right,
            height,
            width,
            capacity: capacity.clamp(1, height.max(1)),
        }
    }

    /// Values between the layers of a pipeline when one row of the last one is computed at a time.
    fn least_rings(&self, list: &[Id<Layer>]) -> usize {
        let mut rows = 1;
        let mut sum = 0;
        for id in list.iter().skip(1).rev() {
            let layer = &self.program.layers[*id];
            let ring = layer.input.map(|input| self.grid(input.value, Place::Scratch, ring_rows(layer, rows)));
            sum += ring.map_or(0, |ring| ring.row_stride * ring.capacity);
            rows *= layer.window().stride;
        }
        sum
    }

    fn plan(&self, lists: &[Vec<Id<Layer>>], input: Shape) -> Result<Plan, ConvnetError> {
        let program = self.program;
        let (grids, arena) = self.tensors(lists);
        let pipelines: Vec<Pipeline> = lists.iter().map(|list| self.pipeline(list, &grids)).collect();
        let padded = pipelines.iter().flat_map(|pipeline| &pipeline.stages).filter(|stage| program.layers[stage.layer].reads_padding());
        let zeros = padded.filter_map(|stage| stage.input).map(|grid| grid.row_stride).max().unwrap_or(0);
        let scratch = pipelines.iter().map(|pipeline| pipeline.scratch).max().unwrap_or(0);
        let exports = program.exports.iter().map(|export| self.piece(&grids, whole(program, export.value))).collect();
        let plan = Plan { pipelines, arena, zeros, scratch, exports, height: input.height, width: input.width };
        let bytes = plan.bytes(1);
        if bytes > MAX_BYTES {
            return Err(ConvnetError::TooLarge { dims: input.dims(), bytes, limit: MAX_BYTES });
        }
        Ok(plan)
    }

    /// Where the tensors that pipelines hand to each other lie, and how much memory that is.
    fn tensors(&self, lists: &[Vec<Id<Layer>>]) -> (Vec<Grid>, usize) {
        let program = self.program;
        let mut grids = program.values.map(|value| self.grid(value, Place::Arena, usize::MAX));
        let mut lives: Vec<Option<Life>> = vec![None; grids.len()];
        let mut touch = |value: Id<Value>, step: usize| {
            let home = home(program, value).0;
            let size = grids.get(home.index()).map_or(0, |grid| grid.row_stride * grid.height);
            if let Some(life) = lives.get_mut(home.index()) {
                let known = life.get_or_insert(Life { size, first: step, last: step });
                *known = Life { size, first: known.first.min(step), last: known.last.max(step) };
            }
        };
        for (step, list) in lists.iter().enumerate() {
            for (position, id) in list.iter().enumerate() {
                let layer = &program.layers[*id];
                if position + 1 == list.len() {
                    touch(layer.output, step);
                }
                for piece in layer.input.filter(|_| position == 0).into_iter().chain(layer.extra) {
                    touch(piece.value, step);
                }
            }
        }
        for export in &program.exports {
            touch(export.value, lists.len());
        }
        let living: Vec<(usize, Life)> = lives.iter().enumerate().filter_map(|(index, life)| Some((index, (*life)?))).collect();
        let (positions, arena) = arena::place(&living.iter().map(|(_, life)| *life).collect::<Vec<_>>());
        for ((index, _), position) in living.iter().zip(positions) {
            if let Some(grid) = grids.get_mut(*index) {
                grid.origin += position;
            }
        }
        (grids, arena)
    }

    /// Some blocks of a tensor that pipelines hand to each other.
    fn piece(&self, grids: &[Grid], piece: Piece) -> Grid {
        let (home, block) = home(self.program, piece.value);
        let fallback = || self.grid(home, Place::Arena, 1);
        let grid = grids.get(home.index()).copied().unwrap_or_else(fallback);
        let blocks = piece.channels.div_ceil(grid.lanes);
        Grid { origin: grid.origin + (block + piece.first_block) * grid.block_stride, blocks, ..grid }
    }

    fn pipeline(&self, list: &[Id<Layer>], grids: &[Grid]) -> Pipeline {
        let program = self.program;
        let height = list.last().map_or(1, |last| self.extent(program.layers[*last].output).height);
        let mut rows = self.tile_rows(list, height);
        let mut scratch = 0;
        let mut stages = Vec::with_capacity(list.len());
        let mut ring: Option<Grid> = None;
        for (position, id) in list.iter().enumerate().rev() {
            let layer = &program.layers[*id];
            let output = ring.take().unwrap_or_else(|| self.piece(grids, whole(program, layer.output)));
            let input = layer.input.map(|input| {
                if position == 0 {
                    return self.piece(grids, input);
                }
                let mut grid = self.grid(input.value, Place::Scratch, ring_rows(layer, rows));
                grid.origin += scratch;
                scratch += grid.row_stride * grid.capacity;
                ring = Some(grid);
                grid
            });
            let extra = layer.extra.map(|extra| self.piece(grids, extra));
            let taps = extra.or(input).and_then(|source| taps::taps(&layer.kind, &source, &output));
            let winograd = input.and_then(|input| positions(layer, &input, &output, rows, &mut scratch));
            stages.push(Stage { layer: *id, input, extra, output, taps, winograd, rows });
            rows *= layer.window().stride;
        }
        stages.reverse();
        let align = list.first().map_or(1, |first| program.layers[*first].tile());
        Pipeline { stages, align, scratch, max_parts: self.max_parts(list, height) }
    }

    /// How many rows of the last layer are computed at a time: enough that a pass over the weights is worth it, in equal parts.
    fn tile_rows(&self, list: &[Id<Layer>], height: usize) -> usize {
        let weights: usize = list.iter().map(|id| self.program.layers[*id].weight_bytes()).sum();
        let width = list.last().map_or(1, |last| self.extent(self.program.layers[*last].output).width).max(1);
        let pixels = (weights / WEIGHT_BYTES_PER_PIXEL).max(MIN_PIXELS);
        let align = list.first().map_or(1, |first| self.program.layers[*first].tile());
        // A tile of a transformed convolution does the work of a pixel; a few of them suffice, for their sums need memory, too.
        let pixels = pixels * align;
        let tiles = height.div_ceil(pixels.div_ceil(width)).max(1);
        height.div_ceil(tiles).max(1).next_multiple_of(align)
    }

    /// Threads that begin in the middle compute rows that others compute, too. As many parts as cost a quarter more at most.
    fn max_parts(&self, list: &[Id<Layer>], height: usize) -> usize {
        let work = |rows_of_last: usize| {
            let mut rows = rows_of_last;
            let mut sum = 0;
            for id in list.iter().rev() {
                let layer = &self.program.layers[*id];
                sum += rows.min(self.extent(layer.output).height) * self.work_of_row(layer);
                rows = rows_of_input(layer, rows);
            }
            sum
        };
        let splits = list.iter().all(|id| !matches!(self.program.layers[*id].kind, Kind::Average | Kind::Copy { .. }));
        if !splits {
            return 1;
        }
        let fits = |parts: &usize| {
            let part = work(height.div_ceil(*parts));
            part >= self.least_part && part * parts * 4 <= work(height) * 5
        };
        (2..=height.min(64)).take_while(fits).last().unwrap_or(1)
    }

    /// Multiplications of registers in a row of a layer's output, about.
    fn work_of_row(&self, layer: &Layer) -> usize {
        let width = self.extent(layer.output).width;
        let blocks = self.program.values[layer.output].blocks();
        match &layer.kind {
            Kind::Dense(dense) => {
                width * blocks * dense.window.size * dense.length * layer.input.map_or(1, |input| input.channels.div_ceil(16))
            }
            Kind::Winograd(_) => width * blocks * 4 * layer.input.map_or(1, |input| input.channels),
            Kind::Depthwise(depthwise) => width * blocks * depthwise.window.size * depthwise.window.size,
            _ => width * blocks,
        }
    }
}

/// Where a Winograd convolution keeps what is transformed, and that much more scratch memory; nothing for any other layer.
fn positions(layer: &Layer, input: &Grid, output: &Grid, rows: usize, scratch: &mut usize) -> Option<Positions> {
    let Kind::Winograd(winograd) = &layer.kind else { return None };
    let (columns, rows) = (output.width.div_ceil(winograd.tile), rows.div_ceil(winograd.tile));
    let plane = columns * rows * input.lanes;
    let mut take = |blocks: usize| {
        let at = *scratch;
        *scratch = whole_lines(at + winograd.span() * winograd.span() * blocks * plane);
        at
    };
    Some(Positions { columns, rows, inputs: take(input.blocks), outputs: take(output.blocks) })
}

/// Rows that are kept between a layer and the one before it: what its window covers, and what the other computes at a time, which
/// is more where windows step over rows.
fn ring_rows(layer: &Layer, rows: usize) -> usize {
    rows_of_input(layer, rows).max(rows * layer.window().stride)
}

/// Rows of a layer's input that so many rows of its output need.
fn rows_of_input(layer: &Layer, rows: usize) -> usize {
    let window = layer.window();
    rows.saturating_sub(1) * window.stride + window.size
}

/// The tensor that a tensor lies in, and at which block.
fn home(program: &Program, value: Id<Value>) -> (Id<Value>, usize) {
    program.values[value].home.unwrap_or((value, 0))
}

fn whole(program: &Program, value: Id<Value>) -> Piece {
    Piece { value, first_block: 0, channels: program.values[value].channels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::weights::{Network, Weights};
    use crate::graph::{Activation, Conv, GraphBuilder, Padding};
    use crate::program::lower;
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    /// The most parts of the one convolution of a network, for a square image.
    fn parts(edge: usize, least_part: usize) -> usize {
        let (mut b, x) = GraphBuilder::new("test", 16);
        let conv = Conv {
            name: "c".into(),
            out_channels: 16,
            kernel: 3,
            stride: 1,
            padding: Padding::all(1),
            groups: 1,
            activation: Activation::Relu,
        };
        let y = b.conv(x, conv);
        b.output("y", y);
        let (weight, bias) = (vec![0; 16 * 16 * 9 * 4], vec![0; 16 * 4]);
        let views = [("c.weight", vec![16, 16, 3, 3], &weight), ("c.bias", vec![16], &bias)]
            .map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape, data).unwrap()));
        let weights = Weights::read(&safetensors::serialize(views, None).unwrap()).unwrap();
        let shape = Shape::new(1, 16, edge, edge);
        let network = Network::new(b.finish(), weights, shape).unwrap();
        let program = lower(&network, 16).unwrap();
        let plan = Plan::new(network.graph(), &program, shape, least_part).unwrap();
        plan.pipelines.last().map_or(0, |pipeline| pipeline.max_parts)
    }

    #[test]
    fn an_image_is_divided_only_into_parts_that_are_worth_a_thread() {
        assert_eq!(parts(16, crate::LEAST_PART), 1);
        assert!(parts(16, 0) > 1);
        let large = parts(512, crate::LEAST_PART);
        assert!((2..64).contains(&large), "{large}");
    }
}
