//! What cannot be run is refused with a typed error, and the executor goes on.

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::shape::{GraphError, Shape};
use breakwater_convnet::graph::{Activation, Conv, GraphBuilder, Padding};
use breakwater_convnet::networks::yunet;
use breakwater_convnet::{ConvnetError, Executor, Input, Isa, Options, Picture, Scaling};

use crate::blocks::{Blocks, conv};
use crate::case::{Case, numbers};
use crate::comparison::{executor, identical, pools};

const PLAIN: Scaling = Scaling { rgb: true, mean: [0.0; 3], deviation: [1.0; 3] };

fn small() -> Case {
    let (mut blocks, x) = Blocks::new(3);
    let y = blocks.conv(x, Conv { activation: Activation::Relu, ..conv(16, 3) });
    let half = blocks.builder.max_pool(y, 2, 2, 0);
    let twice = blocks.builder.upsample_nearest(half, 2);
    let sum = blocks.builder.add(y, twice);
    Case::new(blocks.finish(&[sum]), [1, 3, 8, 8])
}

/// One with a pool and one without, for each instruction set.
fn executors(case: &Case) -> Vec<Executor> {
    let network = case.network();
    let of = |isa: Isa| [executor(&network, isa, None), executor(&network, isa, Some(pools()[1].clone()))];
    Isa::available().into_iter().flat_map(of).collect()
}

fn zeros(shape: [usize; 4]) -> Array {
    let [images, channels, height, width] = shape;
    let shape = Shape::new(images, channels, height, width);
    Array::new(shape, vec![0.0; shape.elements().unwrap()]).unwrap()
}

#[test]
fn an_instruction_set_that_the_machine_lacks_is_refused() {
    let network = small().network();
    for isa in Isa::ALL {
        let made = Executor::new(&network, Options { isa: Some(isa), threads: None, ..Options::default() });
        if isa.is_available() {
            assert_eq!(made.map(|executor| executor.isa()).unwrap(), isa);
        } else {
            assert!(matches!(made, Err(ConvnetError::Isa { isa: refused }) if refused == isa), "{isa}");
        }
    }
    assert_eq!(Executor::new(&network, Options::default()).unwrap().isa(), Isa::best());
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for executor in executors(&small()) {
        let refused = |shape: [usize; 4]| match executor.run(Input::Planes(&zeros(shape))) {
            Err(ConvnetError::Graph(error)) => error,
            other => panic!("{shape:?}: {other:?}"),
        };
        assert_eq!(refused([1, 4, 8, 8]), GraphError::Channels { expected: 3, found: 4 });
        assert!(matches!(refused([1, 3, 7, 8]), GraphError::Mismatch { node: 4, .. }));
        assert!(matches!(refused([2, 3, 1, 8]), GraphError::Layer { node: 2, .. }));
        assert!(executor.run(Input::Planes(&zeros([1, 3, 8, 8]))).is_ok());
    }
}

#[test]
fn yunet_refuses_edges_that_are_no_multiples_of_its_stride() {
    let executor = Executor::new(&Case::new(yunet::graph(), [1, 3, 64, 64]).network(), Options::default()).unwrap();
    assert!(matches!(executor.run(Input::Planes(&zeros([1, 3, 40, 40]))), Err(ConvnetError::Graph(GraphError::Mismatch { .. }))));
    assert!(executor.run(Input::Planes(&zeros([1, 3, 32, 64]))).is_ok());
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_allocated() {
    for executor in executors(&small()) {
        let refused = |shape: [usize; 4]| {
            let [images, channels, height, width] = shape;
            executor.run_bytes(Shape::new(images, channels, height, width)).unwrap_err()
        };
        for shape in [
            [0, 3, 8, 8],
            [1, 3, 0, 8],
            [1, 3, 8, 0],
            [1, 3, 1 << 20, 1 << 20],
            [1 << 40, 3, 8, 8],
            [1, 3, usize::MAX, 2],
            [usize::MAX, 3, usize::MAX - 1, usize::MAX - 1],
        ] {
            assert!(matches!(refused(shape), ConvnetError::Graph(GraphError::Size { .. })), "{shape:?}: {:?}", refused(shape));
        }
        assert!(matches!(refused([1, 0, 8, 8]), ConvnetError::Graph(GraphError::Channels { found: 0, .. })));
    }
}

#[test]
fn a_plan_that_needs_too_much_memory_is_refused() {
    // Every tensor is small enough by itself, but all of them are needed at the end.
    let (mut blocks, x) = Blocks::new(1);
    let mut kept = Vec::new();
    let mut y = x;
    for _ in 0..24 {
        y = blocks.builder.max_pool(y, 3, 1, 1);
        kept.push(y);
    }
    let sum = kept.into_iter().rev().reduce(|a, b| blocks.builder.add(a, b)).unwrap();
    let case = Case::new(blocks.finish(&[sum]), [1, 1, 16, 16]);
    for executor in executors(&case) {
        let edge = 1 << 13;
        match executor.run_bytes(Shape::new(1, 1, edge, edge)) {
            Err(ConvnetError::TooLarge { dims, bytes, limit }) => {
                assert_eq!(dims, [1, 1, edge, edge]);
                assert!(bytes > limit, "{bytes} of {limit}");
            }
            other => panic!("{other:?}"),
        }
        assert!(executor.run_bytes(Shape::new(1, 1, 64, 64)).is_ok());
    }
}

#[test]
fn windows_of_any_size_run_or_are_refused() {
    for kernel in [31, 64, 65, 100, 300] {
        let (mut blocks, x) = Blocks::new(1);
        let y = blocks.conv(x, Conv { padding: Padding::all(kernel - 1), ..conv(2, kernel) });
        let case = Case::new(blocks.finish(&[y]), [1, 1, 2, 3]);
        for isa in Isa::available() {
            let made = Executor::new(&case.network(), Options { isa: Some(isa), threads: None, ..Options::default() });
            match made.and_then(|executor| executor.run(Input::Planes(&case.input()))) {
                Ok(outputs) => assert_eq!(outputs.get("y0").unwrap().shape(), Shape::new(1, 2, kernel + 1, kernel + 2)),
                Err(ConvnetError::Graph(_) | ConvnetError::TooLarge { .. }) => {}
                Err(other) => panic!("{kernel}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_first_value_that_is_no_number_is_named() {
    let shape = Shape::new(2, 3, 8, 8);
    let good = Array::new(shape, numbers(384, 5)).unwrap();
    for executor in executors(&small()) {
        let before = executor.run(Input::Planes(&good)).unwrap();
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
            for index in [0, 1, 63, 64, 191, 192, 300, 383] {
                let mut values = good.values().to_vec();
                values[index] = value;
                values[383] = f32::NAN;
                let bad = Array::new(shape, values).unwrap();
                match executor.run(Input::Planes(&bad)) {
                    Err(ConvnetError::NotFinite { index: found }) => assert_eq!(found, index),
                    other => panic!("{value} at {index}: {other:?}"),
                }
            }
        }
        identical(&before, &executor.run(Input::Planes(&good)).unwrap()).unwrap();
    }
}

fn picture<'a>(pixels: &'a [u8], scaling: &'a Scaling) -> Picture<'a> {
    Picture { pixels, columns: 4, rows: 2, left: 1, top: 3, width: 8, height: 8, scaling }
}

#[test]
fn pictures_that_do_not_fit_are_refused() {
    let bytes = [7; 25];
    let good = picture(&bytes[..24], &PLAIN);
    let bad = [
        Picture { pixels: &bytes[..23], ..good },
        Picture { pixels: &bytes, ..good },
        Picture { pixels: &[], ..good },
        Picture { left: 5, ..good },
        Picture { top: 7, ..good },
        Picture { left: usize::MAX, ..good },
        Picture { top: usize::MAX - 1, ..good },
        Picture { rows: usize::MAX, ..good },
        Picture { columns: usize::MAX / 2 + 2, rows: 2, ..good },
        Picture { columns: 1 << 62, rows: 4, ..good },
        Picture { pixels: &bytes[..24], columns: 8, rows: 1, ..good },
    ];
    for executor in executors(&small()) {
        assert!(executor.run(Input::Pictures(&[good, good])).is_ok());
        for (number, picture) in bad.into_iter().enumerate() {
            for (batch, position) in [(vec![picture], 0), (vec![good, picture], 1), (vec![good, good, picture, good], 2)] {
                match executor.run(Input::Pictures(&batch)) {
                    Err(ConvnetError::Picture { index, .. }) => assert_eq!(index, position, "{number}"),
                    other => panic!("{number}: {other:?}"),
                }
            }
        }
        assert!(executor.run(Input::Pictures(&[good])).is_ok());
    }
}

#[test]
fn pictures_of_different_inputs_do_not_make_a_batch() {
    let bytes = [7; 24];
    let good = picture(&bytes, &PLAIN);
    for executor in executors(&small()) {
        for other in [Picture { width: 10, ..good }, Picture { height: 10, ..good }] {
            let run = executor.run(Input::Pictures(&[good, other]));
            assert!(matches!(run, Err(ConvnetError::Picture { index: 1, .. })), "{run:?}");
        }
    }
}

#[test]
fn batches_without_a_picture_and_pictures_for_other_networks_are_refused() {
    let bytes = [7; 24];
    for executor in executors(&small()) {
        assert!(executor.run(Input::Pictures(&[])).is_err());
        let absurd = Picture { width: usize::MAX, height: usize::MAX, ..picture(&bytes, &PLAIN) };
        assert!(executor.run(Input::Pictures(&[absurd])).is_err());
        let large = Picture { width: 1 << 20, height: 1 << 20, ..picture(&bytes, &PLAIN) };
        assert!(executor.run(Input::Pictures(&[large])).is_err());
    }
    let (mut builder, x) = GraphBuilder::new("grey", 1);
    let y = builder.max_pool(x, 2, 2, 0);
    builder.output("y", y);
    for executor in executors(&Case::new(builder.finish(), [1, 1, 8, 8])) {
        let run = executor.run(Input::Pictures(&[picture(&bytes, &PLAIN)]));
        assert!(matches!(run, Err(ConvnetError::Graph(GraphError::Channels { expected: 1, found: 3 }))), "{run:?}");
    }
}

#[test]
fn scalings_that_make_no_numbers_are_refused() {
    let bytes = [7; 24];
    let scalings = [
        Scaling { deviation: [1.0, 0.0, 1.0], ..PLAIN },
        Scaling { deviation: [1.0, 1.0, f32::NAN], ..PLAIN },
        Scaling { deviation: [1e-42, 1.0, 1.0], ..PLAIN },
        Scaling { mean: [f32::INFINITY, 0.0, 0.0], ..PLAIN },
        Scaling { mean: [0.0, 0.0, f32::NAN], ..PLAIN },
    ];
    for executor in executors(&small()) {
        let good = picture(&bytes, &PLAIN);
        for scaling in &scalings {
            let run = executor.run(Input::Pictures(&[good, picture(&bytes, scaling)]));
            assert!(matches!(run, Err(ConvnetError::Picture { index: 1, .. })), "{scaling:?}: {run:?}");
        }
        assert!(executor.run(Input::Pictures(&[good])).is_ok());
    }
}
