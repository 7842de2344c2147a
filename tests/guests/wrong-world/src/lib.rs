//! A good component of a world that is not ours.

wit_bindgen::generate!({
    inline: "
        package elsewhere:clock@2.0.0;

        interface ticks {
            count: func(since: u64) -> u64;
        }

        world clock {
            export ticks;
        }
    ",
});

struct Clock;

impl exports::elsewhere::clock::ticks::Guest for Clock {
    fn count(since: u64) -> u64 {
        since + 1
    }
}

#[cfg(target_arch = "wasm32")]
export!(Clock);
