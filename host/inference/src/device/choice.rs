//! Which device to use, and why.

use std::sync::Arc;

use crate::config::{DevicePreference, InferenceConfig};
use crate::device::Engines;
use crate::device::adapter::{Adapter, adapters};
use crate::engine::Engine;
use crate::engine::burn::BurnEngine;
use crate::error::InferenceError;

/// What the choice came to, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// Adapters that may be used, best first.
    pub usable: Vec<Adapter>,
    /// Why the others may not.
    pub refused: Vec<String>,
}

/// Sorts out what the configuration allows among the adapters found.
#[must_use]
pub fn candidates(found: Vec<Adapter>, wanted: Option<&str>, allow_software: bool) -> Candidates {
    let wanted = wanted.map(str::to_lowercase);
    let mut candidates = Candidates { usable: Vec::new(), refused: Vec::new() };
    for adapter in found {
        if wanted.as_ref().is_some_and(|wanted| !adapter.name.to_lowercase().contains(wanted)) {
            candidates.refused.push(format!("{} is not the adapter asked for", adapter.label()));
        } else if adapter.is_software() && !allow_software {
            candidates.refused.push(format!("{} is a software rasteriser", adapter.label()));
        } else {
            candidates.usable.push(adapter);
        }
    }
    candidates
}

/// Opens the device that the configuration asks for. `check` decides whether an engine computes correctly; one that does not is
/// refused like one that does not open.
///
/// # Errors
/// When a GPU was demanded and none is usable.
pub fn choose(
    config: &InferenceConfig,
    cpu: Arc<dyn Engine>,
    check: impl Fn(&dyn Engine) -> Result<(), String>,
) -> Result<Engines, InferenceError> {
    if config.device == DevicePreference::Cpu {
        return Ok(Engines { preferred: cpu, fallback: None, reason: "the configuration asks for the CPU".to_owned() });
    }
    let Candidates { usable, mut refused } = candidates(adapters(), config.adapter.as_deref(), config.allow_software);
    for adapter in usable {
        let label = adapter.label();
        let opened = adapter.open().map(|device| Arc::new(BurnEngine::gpu(device, label.clone())));
        match opened.and_then(|engine| check(engine.as_ref()).map(|()| engine)) {
            Ok(engine) => {
                let asked = config
                    .adapter
                    .as_ref()
                    .map_or_else(|| "the best GPU found".to_owned(), |name| format!("the GPU asked for by {name:?}"));
                return Ok(Engines { preferred: engine, fallback: Some(cpu), reason: asked });
            }
            Err(why) => refused.push(format!("{label}: {why}")),
        }
    }
    let why = if refused.is_empty() { "no graphics adapter was found".to_owned() } else { refused.join("; ") };
    match config.device {
        DevicePreference::Gpu => Err(InferenceError::NoGpu { reason: why }),
        DevicePreference::Auto | DevicePreference::Cpu => {
            Ok(Engines { preferred: cpu, fallback: None, reason: format!("no GPU is usable: {why}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::adapter::{AdapterClass, Api};
    use crate::engine::convnet::ConvnetEngine;

    fn adapter(name: &str, class: AdapterClass) -> Adapter {
        Adapter { name: name.to_owned(), api: Api::Vulkan, class, index: 0 }
    }

    fn cpu() -> Arc<dyn Engine> {
        Arc::new(ConvnetEngine::new(breakwater_convnet::Isa::Portable, None, 1))
    }

    fn names(found: &[Adapter], wanted: Option<&str>, allow_software: bool) -> (Vec<String>, usize) {
        let Candidates { usable, refused } = candidates(found.to_vec(), wanted, allow_software);
        (usable.into_iter().map(|adapter| adapter.name).collect(), refused.len())
    }

    #[test]
    fn software_is_refused_unless_allowed_and_the_name_is_part_of_the_adapters() {
        let found = [
            adapter("NVIDIA H200", AdapterClass::Discrete),
            adapter("Intel UHD", AdapterClass::Integrated),
            adapter("llvmpipe", AdapterClass::Software),
        ];
        assert_eq!(names(&found, None, false), (vec!["NVIDIA H200".into(), "Intel UHD".into()], 1));
        assert_eq!(names(&found, Some("uhd"), false), (vec!["Intel UHD".into()], 2));
        assert_eq!(names(&found, Some("LLVM"), true), (vec!["llvmpipe".into()], 2));
        assert_eq!(names(&found, Some("LLVM"), false), (vec![], 3));
        assert_eq!(names(&[], None, true), (vec![], 0));
    }

    #[test]
    fn asking_for_the_cpu_looks_for_no_gpu() {
        let config = InferenceConfig { device: DevicePreference::Cpu, ..Default::default() };
        let engines = choose(&config, cpu(), |_| Err("must not be asked".into())).unwrap();
        assert_eq!((engines.preferred.device(), engines.fallback.is_none()), ("convnet portable", true));
    }

    #[test]
    fn a_gpu_that_is_not_there_is_an_error_only_when_it_was_demanded() {
        let config = |device| InferenceConfig { device, adapter: Some("no such adapter".into()), ..Default::default() };
        let error = choose(&config(DevicePreference::Gpu), cpu(), |_| Ok(())).err().unwrap();
        assert!(matches!(error, InferenceError::NoGpu { .. }));
        let engines = choose(&config(DevicePreference::Auto), cpu(), |_| Ok(())).unwrap();
        assert_eq!(engines.preferred.device(), "convnet portable");
    }
}
