//! Crops a JPEG at a fixed rectangle, again and again, on one thread, and says what each crop cost in processor time.
//!
//! `crop_jpeg FILE X Y WIDTH HEIGHT OUT_WIDTH OUT_HEIGHT QUALITY COUNT` prints one line of JSON: `cpu_ms` an image, of which `decode_ms`
//! is wall time, as are `resize_ms` and `encode_ms`, and the `bytes` of the output. `sharp/run.mjs` runs it beside npm sharp.

use std::time::{Duration, Instant};

use breakwater_core::{Rect, Size};
use breakwater_vision::{Detail, Encoded, Format, Image, Limits, OutputOptions, probe, render};
use bytes::Bytes;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What one crop is.
struct Job {
    source: Bytes,
    crop: Rect,
    options: OutputOptions,
}

impl Job {
    fn read(arguments: &[String]) -> Outcome<(Self, u32)> {
        let usage = "usage: crop_jpeg FILE X Y WIDTH HEIGHT OUT_WIDTH OUT_HEIGHT QUALITY COUNT";
        let (file, numbers) = arguments.split_first().ok_or(usage)?;
        let numbers: Vec<u32> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
        let [x, y, width, height, out_width, out_height, quality, count] = numbers[..] else { return Err(usage.into()) };
        let size = Some(Size::new(out_width, out_height));
        let options = OutputOptions { format: Format::Jpeg, quality: Some(u8::try_from(quality)?), size, keep_metadata: false };
        Ok((Self { source: std::fs::read(file)?.into(), crop: Rect::new(x, y, width, height), options }, count))
    }

    /// From bytes to bytes; the time the decode took comes beside it.
    fn run(&self) -> Outcome<(Encoded, Duration)> {
        let limits = Limits::default();
        let started = Instant::now();
        let original = probe(&self.source, &limits)?.size;
        // As much detail as the output shows, never more than there is.
        let wanted = self.options.size.unwrap_or(self.crop.size());
        let needed = |whole: u32, part: u32, wanted: u32| (u64::from(whole) * u64::from(wanted)).div_ceil(u64::from(part)) as u32;
        let detail =
            Size::new(needed(original.width, self.crop.width, wanted.width), needed(original.height, self.crop.height, wanted.height));
        let image = Image::decode(self.source.clone(), Detail::AtLeast(detail), &limits)?;
        let decode = started.elapsed();
        Ok((render(&image, self.crop, &self.options, &limits)?, decode))
    }
}

/// Processor time of this thread. The kernel counts it in steps of a scheduler tick, so it only means something over many crops.
fn processor_time() -> Outcome<Duration> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = times.split_whitespace().next().ok_or("the kernel keeps no time of this thread")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

#[expect(clippy::print_stdout, reason = "the line of JSON is what this program is for")]
fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (job, count) = Job::read(&arguments)?;
    for _ in 0..count.div_ceil(10) {
        job.run()?;
    }
    let (mut decode, mut resize, mut encode, mut bytes) = (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0);
    let before = processor_time()?;
    for _ in 0..count {
        let (encoded, decoded) = job.run()?;
        decode += decoded + encoded.timings.decode;
        resize += encoded.timings.resize;
        encode += encoded.timings.encode;
        bytes = encoded.bytes.len();
    }
    let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(count.max(1));
    let cpu = each(processor_time()? - before);
    println!(
        "{}",
        serde_json::json!({
            "cpu_ms": cpu, "decode_ms": each(decode), "resize_ms": each(resize), "encode_ms": each(encode), "bytes": bytes,
        })
    );
    Ok(())
}
