//! The graphics adapters of this machine.

use std::sync::{Mutex, PoisonError};

use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::wgpu::wgpu::{Backend, Backends, DeviceType, Instance, InstanceDescriptor};
use burn::tensor::{Device, DeviceKind, read_sync};

/// An adapter that was found, not opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its name as the driver reports it.
    pub name: String,
    /// The graphics API it was found on.
    pub api: Api,
    /// Its class as the driver reports it.
    pub class: AdapterClass,
    /// Which of the adapters of its class and API it is.
    pub index: usize,
}

/// A graphics API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// Vulkan.
    Vulkan,
    /// Metal.
    Metal,
    /// Direct3D 12.
    Dx12,
    /// OpenGL.
    Gl,
}

/// What a driver says its adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdapterClass {
    /// A card with its own memory.
    Discrete,
    /// Part of the processor's chip.
    Integrated,
    /// A share of a card, given to a virtual machine.
    Virtual,
    /// The driver does not say.
    Unknown,
    /// A program on the processor.
    Software,
}

/// Names of rasterisers that run on the processor, some of which report another class.
const SOFTWARE: [&str; 6] = ["llvmpipe", "lavapipe", "softpipe", "swiftshader", "swrast", "basic render"];

impl Adapter {
    /// Whether it only imitates a GPU.
    #[must_use]
    pub fn is_software(&self) -> bool {
        let name = self.name.to_lowercase();
        self.class == AdapterClass::Software || SOFTWARE.iter().any(|known| name.contains(known))
    }

    /// Its name with the API, such as `NVIDIA H200 (Vulkan)`.
    #[must_use]
    pub fn label(&self) -> String {
        let Self { name, api, .. } = self;
        format!("{name} ({api:?})")
    }
}

/// The adapters of this machine, the most promising first: Vulkan before the others, cards before chips before software.
///
/// Asks every driver, which takes some ten milliseconds and opens nothing.
#[must_use]
pub fn adapters() -> Vec<Adapter> {
    let instance = Instance::new(InstanceDescriptor { backends: Backends::all(), ..InstanceDescriptor::new_without_display_handle() });
    let mut found: Vec<Adapter> = Vec::new();
    for adapter in read_sync(instance.enumerate_adapters(Backends::all())) {
        let info = adapter.get_info();
        let api = match info.backend {
            Backend::Vulkan => Api::Vulkan,
            Backend::Metal => Api::Metal,
            Backend::Dx12 => Api::Dx12,
            Backend::Gl => Api::Gl,
            _ => continue,
        };
        let class = match info.device_type {
            DeviceType::DiscreteGpu => AdapterClass::Discrete,
            DeviceType::IntegratedGpu => AdapterClass::Integrated,
            DeviceType::VirtualGpu => AdapterClass::Virtual,
            DeviceType::Cpu => AdapterClass::Software,
            DeviceType::Other => AdapterClass::Unknown,
        };
        let index = found.iter().filter(|other| (other.api, other.class) == (api, class)).count();
        found.push(Adapter { name: info.name, api, class, index });
    }
    found.sort_by_key(|adapter| (adapter.is_software(), adapter.api == Api::Gl, adapter.class));
    found
}

/// Devices opened so far. A runtime can be initialised only once in a process, so it is shared by everyone who asks again.
static OPENED: Mutex<Vec<(Adapter, Device)>> = Mutex::new(Vec::new());

impl Adapter {
    /// Opens the adapter.
    ///
    /// # Errors
    /// What the driver says, or that another adapter than this one came up.
    pub fn open(&self) -> Result<Device, String> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = opened.iter().find(|(adapter, _)| adapter == self) {
            return Ok(device.clone());
        }
        let kind = match self.class {
            AdapterClass::Discrete => DeviceKind::DiscreteGpu(self.index),
            AdapterClass::Integrated => DeviceKind::IntegratedGpu(self.index),
            AdapterClass::Virtual => DeviceKind::VirtualGpu(self.index),
            AdapterClass::Software => DeviceKind::Cpu,
            // burn has no name for these: take what the API prefers, and see below whether it is the one.
            AdapterClass::Unknown => DeviceKind::DefaultDevice,
        };
        let api = match self.api {
            Api::Vulkan => WgpuBackend::Vulkan,
            Api::Metal => WgpuBackend::Metal,
            Api::Dx12 => WgpuBackend::Dx12,
            Api::Gl => WgpuBackend::Gl,
        };
        let options = Device::wgpu_options().device_kind(kind).graphics_api(api);
        let (device, setup) = options.init_with_setup().map_err(|error| error.to_string())?;
        let name = setup.adapter.get_info().name;
        if name != self.name {
            return Err(format!("{name} came up in its place"));
        }
        opened.push((self.clone(), device.clone()));
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_known_by_class_and_by_name() {
        let adapter = |name: &str, class| Adapter { name: name.to_owned(), api: Api::Gl, class, index: 0 };
        assert!(adapter("anything", AdapterClass::Software).is_software());
        assert!(adapter("llvmpipe (LLVM 15.0.6, 256 bits)", AdapterClass::Unknown).is_software());
        assert!(adapter("SwiftShader Device", AdapterClass::Integrated).is_software());
        assert!(!adapter("AMD Radeon RX 7800 XT (RADV)", AdapterClass::Discrete).is_software());
    }
}
