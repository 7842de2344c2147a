//! Pictures as input are what their scaled planes would be.

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::Activation;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::{Executor, Input, Isa, Picture, Scaling};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::blocks::{Blocks, conv, depthwise};
use crate::case::{Case, describe};
use crate::comparison::{cases, compare, executor, identical, image_of, pools};
use crate::convolutions::edges;
use crate::reference;

/// A picture with what it borrows.
#[derive(Debug, Clone)]
struct Owned {
    pixels: Vec<u8>,
    columns: usize,
    rows: usize,
    left: usize,
    top: usize,
}

fn borrow<'a>(pictures: &'a [Owned], [height, width]: [usize; 2], scaling: &'a Scaling) -> Vec<Picture<'a>> {
    let borrowed = |picture: &'a Owned| {
        let Owned { columns, rows, left, top, .. } = *picture;
        Picture { pixels: &picture.pixels, columns, rows, left, top, width, height, scaling }
    };
    pictures.iter().map(borrowed).collect()
}

/// The planes that pictures stand for.
fn planes(pictures: &[Picture<'_>]) -> Array {
    let [first, ..] = pictures else { panic!("no picture") };
    let mut values = Vec::new();
    for picture in pictures {
        for channel in 0..3 {
            let byte_of_pixel = if picture.scaling.rgb { channel } else { 2 - channel };
            for (y, x) in (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (y, x))) {
                let inside =
                    (picture.top..picture.top + picture.rows).contains(&y) && (picture.left..picture.left + picture.columns).contains(&x);
                let pixel = |y: usize, x: usize| picture.pixels[(y * picture.columns + x) * 3 + byte_of_pixel];
                let byte = if inside { pixel(y - picture.top, x - picture.left) } else { 0 };
                values.push((f32::from(byte) - picture.scaling.mean[channel]) / picture.scaling.deviation[channel]);
            }
        }
    }
    Array::new(Shape::new(pictures.len(), 3, first.height, first.width), values).unwrap()
}

/// Pictures of one input size.
fn pictures() -> impl Strategy<Value = ([usize; 2], Vec<Owned>)> {
    let picture = |[height, width]: [usize; 2]| {
        (1..=height, 1..=width).prop_flat_map(move |(rows, columns)| {
            let pixels = prop::collection::vec(any::<u8>(), rows * columns * 3);
            (pixels, 0..=height - rows, 0..=width - columns).prop_map(move |(pixels, top, left)| Owned { pixels, columns, rows, left, top })
        })
    };
    edges().prop_flat_map(move |edges| (Just(edges), prop::collection::vec(picture(edges), 1..4)))
}

fn scaling() -> impl Strategy<Value = Scaling> {
    let plain = any::<bool>().prop_map(|rgb| Scaling { rgb, mean: [0.0; 3], deviation: [1.0; 3] });
    let other = (any::<bool>(), [0.0f32..150.0, 0.0f32..150.0, 0.0f32..150.0], [0.5f32..130.0, 0.5f32..130.0, 0.5f32..130.0]);
    prop_oneof![plain, other.prop_map(|(rgb, mean, deviation)| Scaling { rgb, mean, deviation })]
}

/// Networks whose input is read by layers of each kind.
fn reader(kind: usize, shape: [usize; 4]) -> Case {
    let (mut blocks, x) = Blocks::new(3);
    let stem = breakwater_convnet::graph::Conv { stride: 2, activation: Activation::Relu, ..conv(16, 3) };
    let outputs = match kind {
        0 => vec![blocks.conv(x, stem)],
        1 => vec![blocks.conv(x, conv(9, 4))],
        2 => vec![blocks.conv(x, conv(20, 1))],
        3 => vec![blocks.conv(x, depthwise(3, 3))],
        4 => vec![blocks.builder.max_pool(x, 3, 2, 1)],
        5 => {
            let y = blocks.conv(x, stem);
            let z = blocks.conv(x, conv(5, 3));
            vec![y, blocks.builder.concat(&[x, z])]
        }
        6 => {
            let y = blocks.conv(x, conv(3, 3));
            vec![blocks.builder.add(y, x), x]
        }
        7 => vec![blocks.builder.global_average_pool(x), blocks.builder.channels(x, 1, 2)],
        _ => vec![x],
    };
    Case::new(blocks.finish(&outputs), shape)
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn pictures_equal_their_planes((edges, owned) in pictures(), scaling in scaling(), kind in 0..9usize) {
        let pictures = borrow(&owned, edges, &scaling);
        let planes = planes(&pictures);
        let case = reader(kind, planes.shape().dims());
        let network = case.network();
        // Half a unit of the last place of the largest number that scaling meets.
        let largest = (0..3).map(|channel| (255.0 + scaling.mean[channel]) / scaling.deviation[channel]).fold(0.0, f32::max);
        let expected = reference::run_within(&network, &planes, f64::from(largest) * 6e-8);
        for isa in Isa::available() {
            let context = |what: String| TestCaseError::fail(format!("on {isa}: {what}\n{}", describe(&case.graph, case.shape)));
            let run = |executor: &Executor, pictures: &[Picture<'_>]| {
                executor.run(Input::Pictures(pictures)).map_err(|error| context(format!("does not run: {error:?}")))
            };
            let alone = executor(&network, isa, None);
            let found = run(&alone, &pictures)?;
            compare(&network, &expected, &found).map_err(context)?;
            for pool in pools() {
                let threaded = executor(&network, isa, Some(pool.clone()));
                identical(&found, &run(&threaded, &pictures)?).map_err(context)?;
            }
            for (index, picture) in pictures.iter().enumerate() {
                let single = run(&alone, std::slice::from_ref(picture))?;
                for ((name, all), (_, one)) in found.iter().zip(single.iter()) {
                    let same = image_of(all, index).values() == one.values();
                    prop_assert!(same, "{} of picture {} alone on {}", name, index, isa);
                }
            }
        }
    }
}

#[test]
fn a_picture_fills_its_place_and_the_rest_is_black() {
    let (blocks, x) = Blocks::new(3);
    let case = Case::new(blocks.finish(&[x]), [1, 3, 2, 3]);
    let scaling = Scaling { rgb: false, mean: [1.0, 2.0, 4.0], deviation: [1.0, 2.0, 4.0] };
    let owned = [Owned { pixels: vec![40, 20, 10, 8, 4, 2], columns: 2, rows: 1, left: 1, top: 1 }];
    for isa in Isa::available() {
        let outputs = executor(&case.network(), isa, None).run(Input::Pictures(&borrow(&owned, [2, 3], &scaling))).unwrap();
        // Blue, green and red of black, of (40, 20, 10) and of (8, 4, 2).
        let blue = [-1.0, -1.0, -1.0, -1.0, 9.0, 1.0];
        let green = [-1.0, -1.0, -1.0, -1.0, 9.0, 1.0];
        let red = [-1.0, -1.0, -1.0, -1.0, 9.0, 1.0];
        let found = outputs.get("y0").unwrap().values();
        let expected: Vec<f32> = [blue, green, red].concat();
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{isa}: {found:?}");
    }
}
