//! Many callers, few threads, and the memory that is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use breakwater_convnet::Isa;
use breakwater_transformer::Options;

use crate::fixture::{Fixture, NAMES};
use crate::model::{options, pool};

#[test]
fn callers_at_once_get_the_numbers_of_callers_one_by_one() {
    let fixture = Fixture::load(NAMES[0]);
    for threads in [1, 3] {
        let vision = fixture.model.vision(options(Isa::best(), threads)).unwrap();
        let text = fixture.model.text(options(Isa::best(), threads)).unwrap();
        let (images, texts) = (vision.run(&fixture.pixels).unwrap(), text.run(&fixture.texts()).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        assert_eq!(vision.run(&fixture.pixels).unwrap(), images);
                        assert_eq!(text.run(&fixture.texts()).unwrap(), texts);
                    }
                });
            }
        });
    }
}

#[test]
fn threads_that_do_something_else_are_left_alone_and_change_no_number() {
    let fixture = Fixture::load(NAMES[0]);
    let expected = fixture.model.vision(options(Isa::best(), 1)).unwrap().run(&fixture.pixels).unwrap();
    let (asked, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(3)));
    let busy = {
        let (asked, taken) = (Arc::clone(&asked), Arc::clone(&taken));
        Arc::new(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            taken.load(Ordering::Relaxed)
        })
    };
    let vision = fixture.model.vision(Options { isa: None, threads: pool(3), busy: Some(busy) }).unwrap();
    for now in [3, 0, 1, 9] {
        taken.store(now, Ordering::Relaxed);
        assert_eq!(vision.run(&fixture.pixels).unwrap(), expected);
    }
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn memory_is_taken_once_and_as_much_as_was_said() {
    let fixture = Fixture::load(NAMES[0]);
    let vision = fixture.model.vision(options(Isa::best(), 1)).unwrap();
    let text = fixture.model.text(options(Isa::best(), 1)).unwrap();
    assert_eq!((vision.idle_bytes(), text.idle_bytes()), (0, 0));
    let lengths: Vec<_> = fixture.tokens.iter().map(|tokens| tokens.iter().position(|token| *token == 511).unwrap() + 1).collect();
    for _ in 0..3 {
        vision.run(&fixture.pixels).unwrap();
        text.run(&fixture.texts()).unwrap();
        // Memory comes in whole lines of the cache.
        assert!(vision.idle_bytes().abs_diff(vision.run_bytes(3)) <= 6 * 64, "{} {}", vision.idle_bytes(), vision.run_bytes(3));
        assert!(text.idle_bytes().abs_diff(text.run_bytes(&lengths)) <= 6 * 64, "{} {}", text.idle_bytes(), text.run_bytes(&lengths));
    }
    vision.run(&fixture.pixels[..vision.values()]).unwrap();
    assert!(vision.run_bytes(1) < vision.run_bytes(3));
    // A large batch goes through the layers some images at a time.
    assert!(vision.run_bytes(4000) < 6 * vision.run_bytes(3));
}

#[test]
fn nothing_in_nothing_out() {
    let fixture = Fixture::load(NAMES[1]);
    for threads in [1, 2] {
        assert!(fixture.model.vision(options(Isa::best(), threads)).unwrap().run(&[]).unwrap().is_empty());
        assert!(fixture.model.text(options(Isa::best(), threads)).unwrap().run(&[]).unwrap().is_empty());
    }
}
