//! What runs allocate: their outputs, and nothing else once a shape is known.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::{Activation, Conv};
use breakwater_convnet::{Executor, Input, Isa};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::blocks::{Blocks, conv};
use crate::case::{Case, numbers};
use crate::comparison::executor;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// Counts what this thread allocates.
struct Counting;

/// Adds to this thread's counters; a thread that ends counts nothing any more.
fn count(allocations: usize, bytes: isize) {
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + allocations));
    let _ = BYTES.try_with(|sum| sum.set(sum.get() + bytes));
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed());
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size.cast_signed() - layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `work` is done.
fn allocations<T>(work: impl FnOnce() -> T) -> usize {
    let before = ALLOCATIONS.get();
    let result = work();
    let count = ALLOCATIONS.get() - before;
    drop(result);
    count
}

/// A chain of so many layers of every kind, with three outputs.
fn chain(layers: usize) -> Case {
    let (mut blocks, x) = Blocks::new(3);
    let mut y = blocks.conv(x, conv(24, 3));
    let first = y;
    for layer in 0..layers {
        y = match layer % 6 {
            0 => blocks.pointwise_depthwise(y, 24, Conv { activation: Activation::Relu, ..conv(24, 3) }),
            1 => blocks.builder.add(y, first),
            2 => blocks.conv(y, conv(24, 3)),
            3 => {
                let both = blocks.builder.concat(&[first, y]);
                blocks.builder.channels(both, 12, 24)
            }
            4 => blocks.builder.max_pool(y, 3, 1, 1),
            _ => blocks.builder.activate(y, Activation::LeakyRelu { slope: 0.9 }),
        };
    }
    let mean = blocks.builder.global_average_pool(y);
    Case::new(blocks.finish(&[y, mean, first]), [1, 3, 24, 20])
}

/// Allocations of a run of a shape that is known, those of the pool's threads included.
fn of_a_run(executor: &Executor, pool: Option<&ThreadPool>, input: &Array) -> usize {
    let count_of_pool = || pool.map_or(0, |pool| pool.broadcast(|_| ALLOCATIONS.get()).into_iter().sum::<usize>());
    for _ in 0..3 {
        executor.run(Input::Planes(input)).unwrap();
    }
    // The first count may allocate, the second does not any more.
    count_of_pool();
    let before = count_of_pool();
    let own = allocations(|| executor.run(Input::Planes(input)).unwrap());
    own + count_of_pool() - before
}

#[test]
fn a_run_allocates_nothing_but_its_outputs() {
    for isa in Isa::available() {
        for images in [1, 3] {
            let count = |layers: usize| {
                let case = chain(layers);
                let shape = Shape { images, ..case.shape };
                let input = Array::new(shape, numbers(shape.elements().unwrap(), 3)).unwrap();
                of_a_run(&executor(&case.network(), isa, None), None, &input)
            };
            // A name and the values of each output, their list, and as much again while they are gathered.
            let (few, many) = (count(3), count(30));
            assert!(few <= 14, "{isa}: {few} allocations");
            assert_eq!(few, many, "{isa}: more layers make more allocations");
        }
    }
}

#[test]
fn threads_allocate_no_more_for_more_layers() {
    // The pool of other tests would be counted, too.
    let pool = Arc::new(ThreadPoolBuilder::new().num_threads(2).build().unwrap());
    for images in [1, 4] {
        let count = |layers: usize| {
            let case = chain(layers);
            let shape = Shape { images, ..case.shape };
            let input = Array::new(shape, numbers(shape.elements().unwrap(), 3)).unwrap();
            let executor = executor(&case.network(), Isa::best(), Some(pool.clone()));
            // Queues of a pool grow now and then; what a run needs every time is what the least of several takes.
            (0..8).map(|_| of_a_run(&executor, Some(&pool), &input)).min().unwrap()
        };
        let (few, many) = (count(3), count(30));
        assert!(few <= 40, "{few} allocations");
        assert!(many <= few + 4, "{few} allocations for few layers, {many} for many");
    }
}

#[test]
fn the_memory_of_many_shapes_is_bounded_and_given_back() {
    let network = chain(6).network();
    let before = BYTES.get();
    let executor = executor(&network, Isa::best(), None);
    let run = |number: usize| {
        // Many pairs of edges with about the same number of pixels.
        let (height, width) = (8 * (1 + number % 20), 8 * (1 + number / 20));
        let shape = Shape::new(1, 3, height.min(width), height.max(width));
        let input = Array::new(shape, vec![0.5; shape.elements().unwrap()]).unwrap();
        drop(executor.run(Input::Planes(&input)).unwrap());
        BYTES.get() - before
    };
    let mut largest = 0;
    for number in 0..200 {
        largest = largest.max(run(number));
    }
    assert!(executor.plans() <= 32, "{} plans are kept", executor.plans());
    // The largest shapes come last. Afterwards small ones push their plans out, and nothing grows any more.
    for number in 0..200 {
        let kept = run(number);
        assert!(kept <= largest + largest / 4, "{kept} bytes are kept after {number} more shapes; {largest} before");
    }
    drop(executor);
    let left = BYTES.get() - before;
    assert!(left < 1 << 16, "{left} bytes are left when the executor is gone");
}
