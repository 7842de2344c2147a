//! Holds the executor against the reference, and against itself.

use std::sync::{Arc, OnceLock};

use breakwater_convnet::array::{Array, Outputs};
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::weights::Network;
use breakwater_convnet::{Executor, Input, Isa, Options};
use proptest::test_runner::{Config, TestCaseError};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::case::{Case, describe};
use crate::reference::{self, Element, Tensor};

/// How many times the estimated error a value may be off.
const MARGIN: f64 = 4.0;
/// What is left of a number near zero may be flushed to zero.
const SMALLEST: f64 = 1e-30;

/// How many cases a property is checked on: one `share`th of what the test runner would take by itself (`PROPTEST_CASES`).
pub(crate) fn cases(share: u32) -> Config {
    let config = Config::default();
    // A graph that failed becomes a test of its own; there is no file of seeds beside the sources.
    Config { cases: (config.cases / share).max(1), failure_persistence: None, ..config }
}

/// Pools of one to four threads.
pub(crate) fn pools() -> &'static [Arc<ThreadPool>] {
    static POOLS: OnceLock<Vec<Arc<ThreadPool>>> = OnceLock::new();
    POOLS.get_or_init(|| (1..=4).map(|threads| Arc::new(ThreadPoolBuilder::new().num_threads(threads).build().unwrap())).collect())
}

pub(crate) fn executor(network: &Network, isa: Isa, threads: Option<Arc<ThreadPool>>) -> Executor {
    let executor = Executor::new(network, Options { isa: Some(isa), threads, least_part: Some(0), ..Options::default() }).unwrap();
    assert_eq!(executor.isa(), isa);
    executor
}

/// Everything that holds for any valid graph and any input, on every instruction set of this machine.
///
/// # Errors
/// What does not hold, with the graph.
pub(crate) fn check(case: &Case) -> Result<(), TestCaseError> {
    let network = case.network();
    let input = case.input();
    let expected = reference::run(&network, &input);
    for isa in Isa::available() {
        check_on(case, &network, &input, &expected, isa)
            .map_err(|what| TestCaseError::fail(format!("on {isa}: {what}\n{}", describe(&case.graph, case.shape))))?;
    }
    Ok(())
}

/// As [`check`], where a failure ends the test.
pub(crate) fn assert_holds(case: &Case) {
    if let Err(error) = check(case) {
        panic!("{error}");
    }
}

fn check_on(case: &Case, network: &Network, input: &Array, expected: &[Tensor], isa: Isa) -> Result<(), String> {
    let run = |executor: &Executor, input: &Array| executor.run(Input::Planes(input)).map_err(|error| format!("does not run: {error:?}"));
    let alone = executor(network, isa, None);
    let found = run(&alone, input)?;
    compare(network, expected, &found)?;

    // What an earlier run left in memory that is used again must not be seen.
    let overflowing = case.overflowing();
    run(&alone, &overflowing)?;
    identical(&found, &run(&alone, input)?).map_err(|what| format!("after a run that overflowed: {what}"))?;

    for pool in pools() {
        let threaded = executor(network, isa, Some(Arc::clone(pool)));
        let threads = pool.current_num_threads();
        identical(&found, &run(&threaded, input)?).map_err(|what| format!("with {threads} threads: {what}"))?;
        run(&threaded, &overflowing)?;
        identical(&found, &run(&threaded, input)?).map_err(|what| format!("with {threads} threads, after an overflow: {what}"))?;
        for image in 0..case.shape.images {
            let single = run(&threaded, &image_of(input, image))?;
            identical(&images_of(&found, image), &single).map_err(|what| format!("image {image} alone, {threads} threads: {what}"))?;
        }
    }
    for image in 0..case.shape.images {
        identical(&images_of(&found, image), &run(&alone, &image_of(input, image))?)
            .map_err(|what| format!("image {image} alone: {what}"))?;
    }
    Ok(())
}

/// Holds outputs against the reference.
pub(crate) fn compare(network: &Network, expected: &[Tensor], found: &Outputs) -> Result<(), String> {
    let names: Vec<&str> = found.iter().map(|(name, _)| name).collect();
    let wanted: Vec<&str> = network.graph().outputs().iter().map(|output| output.name.as_str()).collect();
    if names != wanted {
        return Err(format!("outputs {names:?} instead of {wanted:?}"));
    }
    for (output, (name, array)) in network.graph().outputs().iter().zip(found.iter()) {
        compare_output(&expected[output.node.index()], array).map_err(|what| format!("output {name:?}: {what}"))?;
    }
    Ok(())
}

fn compare_output(expected: &Tensor, found: &Array) -> Result<(), String> {
    if expected.shape != found.shape() {
        return Err(format!("{:?} instead of {:?}", found.shape().dims(), expected.shape.dims()));
    }
    let pairs = || expected.elements.iter().zip(found.values()).enumerate();
    let wrong = |element: &Element, value: f32| {
        let difference = (f64::from(value) - element.value).abs();
        difference.is_nan() || difference > MARGIN * element.error + SMALLEST
    };
    let Some((index, (element, value))) = pairs().find(|(_, (element, value))| wrong(element, **value)) else { return Ok(()) };
    let count = pairs().filter(|(_, (element, value))| wrong(element, **value)).count();
    let at = position(found.shape(), index);
    let (expected, allowed) = (element.value, MARGIN * element.error);
    Err(format!("{value} instead of {expected} (within {allowed:e}) at {at:?}; {count} of {} values are wrong", found.values().len()))
}

/// Image, channel, row and column.
fn position(shape: Shape, index: usize) -> [usize; 4] {
    let (rest, x) = (index / shape.width, index % shape.width);
    let (rest, y) = (rest / shape.height, rest % shape.height);
    [rest / shape.channels, rest % shape.channels, y, x]
}

/// Whether outputs are the same numbers, bit for bit.
pub(crate) fn identical(expected: &Outputs, found: &Outputs) -> Result<(), String> {
    for ((name, a), (other, b)) in expected.iter().zip(found.iter()) {
        if name != other || a.shape() != b.shape() {
            return Err(format!("{other:?} of {:?} instead of {name:?} of {:?}", b.shape().dims(), a.shape().dims()));
        }
        let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
        if let Some(index) = a.values().iter().zip(b.values()).position(differs) {
            let at = position(a.shape(), index);
            return Err(format!("output {name:?}: {} became {} at {at:?}", a.values()[index], b.values()[index]));
        }
    }
    if expected.iter().count() == found.iter().count() { Ok(()) } else { Err("there are more or fewer outputs".into()) }
}

/// One image of a batch.
pub(crate) fn image_of(batch: &Array, image: usize) -> Array {
    let shape = Shape { images: 1, ..batch.shape() };
    let length = shape.elements().unwrap();
    Array::new(shape, batch.values()[image * length..(image + 1) * length].to_vec()).unwrap()
}

fn images_of(outputs: &Outputs, image: usize) -> Outputs {
    Outputs::new(outputs.iter().map(|(name, array)| (name.to_owned(), image_of(array, image))).collect())
}
