//! One strategy per way to misbehave while planning.

use breakwater_guest::parameters::NoParameters;
use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Rect, Term, Wanted, parameters};

/// A valid plan, to be spoiled.
fn centered<I: ImageView, P>(image: &I, wanted: &Wanted<P>) -> CropPlan {
    Reasons::new().plan(LargestWindow::new(image.size(), wanted.ratio).centered())
}

/// Declares a strategy whose plan is an expression of the image and the wish.
macro_rules! strategy {
    ($type:ident, $name:literal, $summary:literal, $parameters:ty, |$image:ident, $wanted:ident| $plan:expr) => {
        struct $type;

        impl CropStrategy for $type {
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = $summary;
            const NEEDS: &'static [Kind] = &[];
            type Parameters = $parameters;

            fn plan<I: ImageView>($image: &I, $wanted: &Wanted<$parameters>) -> Result<CropPlan, Failure> {
                $plan
            }
        }
    };
}

strategy!(EndlessLoop, "endless_loop", "Never answers.", NoParameters, |_image, _wanted| {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
});

strategy!(MemoryBomb, "memory_bomb", "Allocates and writes until it is stopped.", NoParameters, |image, wanted| {
    let mut held: Vec<Vec<u8>> = Vec::new();
    // Aborts, and so traps, when the host refuses more memory.
    while held.len() < 4096 {
        held.push(std::hint::black_box(vec![1; 1 << 20]));
    }
    Ok(centered(image, wanted))
});

fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 16]);
    if std::hint::black_box(depth) == u64::MAX { 0 } else { frame.iter().sum::<u64>().wrapping_add(descend(depth + 1)) }
}

strategy!(DeepRecursion, "deep_recursion", "Calls itself until the stack ends.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.terms.push(Term { name: "sum".to_owned(), weight: 0.0, value: descend(0) as f32 });
    Ok(plan)
});

strategy!(Trap, "trap", "Executes an unreachable instruction.", NoParameters, |_image, _wanted| std::process::abort());

strategy!(Panic, "panic", "Panics with a message for the log.", NoParameters, |_image, _wanted| panic!("deliberate, for the log"));

strategy!(HostCallFlood, "host_call_flood", "Asks for the entropy again and again.", NoParameters, |image, wanted| {
    let area = Rect { x: 0, y: 0, width: 1, height: 1 };
    let mut sum = 0.0;
    for _ in 0..1_000_000 {
        sum += image.entropy(area).unwrap_or_default();
    }
    let mut plan = centered(image, wanted);
    plan.terms.push(Term { name: "sum".to_owned(), weight: 0.0, value: sum });
    Ok(plan)
});

strategy!(HostByteFlood, "host_byte_flood", "Asks for the largest thumbnail again and again.", NoParameters, |image, wanted| {
    for _ in 0..1_000_000 {
        image.thumbnail(512)?;
    }
    Ok(centered(image, wanted))
});

strategy!(LogFlood, "log_flood", "Writes ten thousand long lines to the log, then answers.", NoParameters, |image, wanted| {
    let line = "x".repeat(64 << 10);
    for _ in 0..10_000 {
        breakwater_guest::log::write(breakwater_guest::log::Level::Info, &line);
    }
    Ok(centered(image, wanted))
});

strategy!(GiantOutput, "giant_output", "Answers with two million terms.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.terms = vec![Term { name: String::new(), weight: 0.0, value: 0.0 }; 2_000_000];
    Ok(plan)
});

strategy!(GiantString, "giant_string", "Answers with one term whose name is 8 MiB long.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.terms.push(Term { name: "x".repeat(8 << 20), weight: 0.0, value: 0.0 });
    Ok(plan)
});

strategy!(GiantFailure, "giant_failure", "Fails with a message of 8 MiB.", NoParameters, |_image, _wanted| {
    Err(Failure::internal("test.giant", &"x".repeat(8 << 20)))
});

strategy!(TooManyTerms, "too_many_terms", "Answers with 65 terms.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.terms = vec![Term { name: "t".to_owned(), weight: 0.0, value: 0.0 }; 65];
    Ok(plan)
});

strategy!(Outside, "outside", "A rectangle that reaches over the right edge.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.crop.x = image.size().width - plan.crop.width + 1;
    Ok(plan)
});

strategy!(Overflowing, "overflowing", "A rectangle whose edge does not fit 32 bits.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.crop.x = u32::MAX;
    Ok(plan)
});

strategy!(Empty, "empty", "A rectangle without pixels.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.crop.width = 0;
    Ok(plan)
});

strategy!(WrongRatio, "wrong_ratio", "The whole image, unless that has the ratio: then half of it.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.crop = image.size().rect();
    if wanted.ratio.fits(plan.crop.size()) {
        plan.crop.width /= 2;
    }
    Ok(plan)
});

strategy!(NanScore, "nan_score", "A score that is not a number.", NoParameters, |image, wanted| {
    Ok(CropPlan { score: f32::NAN, ..centered(image, wanted) })
});

strategy!(InfiniteTerm, "infinite_term", "A term that is not finite.", NoParameters, |image, wanted| {
    let mut plan = centered(image, wanted);
    plan.terms.push(Term { name: "t".to_owned(), weight: 1.0, value: f32::INFINITY });
    Ok(plan)
});

strategy!(Refuses, "refuses", "Says that the request is wrong.", NoParameters, |_image, _wanted| {
    Err(Failure::invalid_request("test.refused", "this strategy refuses every request"))
});

strategy!(Fails, "fails", "Says that it has a defect.", NoParameters, |_image, _wanted| {
    Err(Failure::internal("test.failed", "this strategy always fails"))
});

parameters! {
    /// How long to take.
    struct SlowParameters {
        /// Millions of steps to take; one takes about a millisecond.
        steps: u32 = 20 in 0..=100000,
    }
}

strategy!(Slow, "slow", "Computes for a while, then answers.", SlowParameters, |image, wanted| {
    let mut number = 1_u64;
    for _ in 0..u64::from(wanted.parameters.steps) * 1_000_000 {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    let mut plan = centered(image, wanted);
    plan.terms.push(Term { name: "number".to_owned(), weight: 0.0, value: number as f32 });
    Ok(plan)
});

strategy!(Dirty, "dirty", "Writes 8 MiB of memory, then answers whether it was clean before.", NoParameters, |image, wanted| {
    static mut TOUCHED: u32 = 0;
    // Safety: a component has one thread, and nothing else names this static.
    let before = unsafe { std::ptr::replace(&raw mut TOUCHED, 1) };
    let held = std::hint::black_box(vec![7_u8; 8 << 20]);
    let mut plan = centered(image, wanted);
    plan.terms.push(Term { name: "touched_before".to_owned(), weight: 0.0, value: before as f32 });
    plan.terms.push(Term { name: "bytes".to_owned(), weight: 0.0, value: held.len() as f32 });
    Ok(plan)
});

strategy!(Well, "well", "The centre crop: this one behaves.", NoParameters, |image, wanted| Ok(centered(image, wanted)));

breakwater_guest::export_crop_plugin!(
    EndlessLoop,
    MemoryBomb,
    DeepRecursion,
    Trap,
    Panic,
    HostCallFlood,
    HostByteFlood,
    LogFlood,
    GiantOutput,
    GiantString,
    GiantFailure,
    TooManyTerms,
    Outside,
    Overflowing,
    Empty,
    WrongRatio,
    NanScore,
    InfiniteTerm,
    Refuses,
    Fails,
    Slow,
    Dirty,
    Well,
);
