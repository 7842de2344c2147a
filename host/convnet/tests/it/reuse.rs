//! One executor, used many times: by one caller after another, and by several at once.

use std::thread;

use breakwater_convnet::array::{Array, Outputs};
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::networks::yunet;
use breakwater_convnet::{Executor, Input, Isa};

use crate::case::{Case, numbers};
use crate::comparison::{executor, identical, pools};

fn input([images, height, width]: [usize; 3], seed: u64) -> Array {
    let shape = Shape::new(images, 3, height, width);
    Array::new(shape, numbers(shape.elements().unwrap(), seed)).unwrap()
}

fn case() -> Case {
    Case::new(yunet::graph(), [1, 3, 64, 64])
}

const SIZES: [[usize; 3]; 6] = [[1, 64, 64], [1, 32, 96], [2, 64, 32], [3, 32, 32], [1, 128, 64], [1, 32, 32]];

#[test]
fn numbers_do_not_depend_on_what_was_run_before() {
    let network = case().network();
    for isa in Isa::available() {
        for threads in [None, Some(pools()[2].clone())] {
            let used = executor(&network, isa, threads.clone());
            for (seed, size) in (0..).zip(SIZES.into_iter().chain(SIZES)) {
                let shape = Shape::new(size[0], 3, size[1], size[2]);
                let overflowing = Case { shape, ..case() }.overflowing();
                used.run(Input::Planes(&overflowing)).unwrap();
                let input = input(size, seed);
                let fresh = executor(&network, isa, threads.clone()).run(Input::Planes(&input)).unwrap();
                identical(&fresh, &used.run(Input::Planes(&input)).unwrap()).unwrap();
            }
        }
    }
}

fn expected(executor: &Executor) -> Vec<(Array, Outputs)> {
    let of = |(seed, size)| {
        let input = input(size, seed);
        let outputs = executor.run(Input::Planes(&input)).unwrap();
        (input, outputs)
    };
    (100..).zip(SIZES).map(of).collect()
}

#[test]
fn callers_at_the_same_time_get_their_own_numbers() {
    let network = case().network();
    for isa in Isa::available() {
        let expected = expected(&executor(&network, isa, None));
        for threads in [None, Some(pools()[1].clone())] {
            let shared = executor(&network, isa, threads);
            thread::scope(|scope| {
                for caller in 0..4 {
                    let (shared, expected) = (&shared, &expected);
                    scope.spawn(move || {
                        for round in 0..8 {
                            let (input, outputs) = &expected[(round * (caller + 1)) % expected.len()];
                            identical(outputs, &shared.run(Input::Planes(input)).unwrap()).unwrap();
                        }
                    });
                }
            });
        }
    }
}

#[test]
fn a_thread_of_the_pool_may_be_the_caller() {
    let network = case().network();
    for pool in pools() {
        let shared = executor(&network, Isa::best(), Some(pool.clone()));
        for (input, outputs) in expected(&executor(&network, Isa::best(), None)) {
            let found = pool.broadcast(|_| shared.run(Input::Planes(&input)).unwrap());
            assert_eq!(found.len(), pool.current_num_threads());
            found.iter().try_for_each(|found| identical(&outputs, found)).unwrap();
        }
    }
}
