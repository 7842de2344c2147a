//! The process itself, as Linux shows it in `/proc/self`. Elsewhere only the start time is known.

use std::fmt;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::names;
use super::sources::Sheet;

#[derive(Debug)]
pub(super) struct Process {
    started: SystemTime,
}

impl Process {
    pub(super) fn new() -> Self {
        Self { started: SystemTime::now() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut sheet = Sheet(&mut encoder);
        if let Some(bytes) = resident_bytes() {
            sheet.value(&names::PROCESS_MEMORY, bytes)?;
        }
        if let Some(seconds) = cpu_seconds() {
            sheet.value(&names::PROCESS_CPU, seconds)?;
        }
        if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
            // One of them is the listing's own.
            sheet.value(&names::PROCESS_FDS, descriptors.count().saturating_sub(1) as f64)?;
        }
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        sheet.value(&names::PROCESS_START, started.as_secs_f64())
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kibibytes| kibibytes * 1024.0)
}

/// Fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms: `USER_HZ` is 100 on every Linux that userspace sees.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the command in parentheses and may hold anything; count from its end.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user + system) / 100.0)
}
