//! GPUs through wgpu: asked for before Burn is, which panics when there is none.

use super::GraphicsApi;
use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, graphics, init_setup};
use dragentity_core::Error;
use dragentity_core::Result;
use std::sync::{Mutex, PoisonError};
use wgpu::{Backends, DeviceType};

/// A GPU, ready for Burn.
pub(super) struct Found {
    /// Burn's name for it.
    pub device: WgpuDevice,
    /// The adapter and its interface, in words.
    pub name: String,
    /// Whether the processor plays its part.
    pub emulated: bool,
}

/// The GPU of that number, or the most powerful one, that is reached through `api`.
///
/// # Errors
/// [`Error::Device`] saying which GPUs there are.
pub(super) fn find(api: GraphicsApi, index: Option<usize>) -> Result<Found> {
    let backends = match api {
        GraphicsApi::Any => Backends::all() - Backends::GL - Backends::NOOP,
        GraphicsApi::Vulkan => Backends::VULKAN,
        GraphicsApi::Metal => Backends::METAL,
        GraphicsApi::Dx12 => Backends::DX12,
    };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let (info, device) = match index {
        None => {
            let adapter =
                pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
                    power_preference: wgpu::PowerPreference::HighPerformance,
                    ..Default::default()
                }))
                .map_err(|reason| none(api, &reason.to_string()))?;
            (adapter.get_info(), WgpuDevice::DefaultDevice)
        }
        Some(index) => {
            let all: Vec<_> = pollster::block_on(instance.enumerate_adapters(backends))
                .iter()
                .map(wgpu::Adapter::get_info)
                .collect();
            let Some(info) = all.get(index) else {
                return Err(none(api, &list(&all)));
            };
            let of_its_type =
                |info: &&wgpu::AdapterInfo| info.device_type == all[index].device_type;
            let number = all[..index].iter().filter(of_its_type).count();
            let device = match info.device_type {
                DeviceType::DiscreteGpu => WgpuDevice::DiscreteGpu(number),
                DeviceType::IntegratedGpu => WgpuDevice::IntegratedGpu(number),
                DeviceType::VirtualGpu => WgpuDevice::VirtualGpu(number),
                DeviceType::Cpu | DeviceType::Other => WgpuDevice::Cpu,
            };
            (info.clone(), device)
        }
    };
    set_up(api, &device);
    Ok(Found {
        name: format!("{} ({})", info.name, info.backend),
        emulated: info.device_type == DeviceType::Cpu,
        device,
    })
}

fn none(api: GraphicsApi, why: &str) -> Error {
    let through = match api {
        GraphicsApi::Any => "Vulkan, Metal or DX12",
        GraphicsApi::Vulkan => "Vulkan",
        GraphicsApi::Metal => "Metal",
        GraphicsApi::Dx12 => "DX12",
    };
    Error::Device(format!(
        "no such GPU found through {through} ({why}): install its driver, or use --device cpu"
    ))
}

fn list(all: &[wgpu::AdapterInfo]) -> String {
    if all.is_empty() {
        return "there is none".to_owned();
    }
    let names: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(index, info)| format!("{index}: {} ({})", info.name, info.backend))
        .collect();
    format!("there are {}", names.join(", "))
}

/// Tells Burn through which interface to open a device. Burn takes that once; unless told otherwise it opens the
/// default device when it is first used.
fn set_up(api: GraphicsApi, device: &WgpuDevice) {
    static KNOWN: Mutex<Vec<WgpuDevice>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.contains(device) {
        return;
    }
    known.push(device.clone());
    let options = RuntimeOptions::default();
    match api {
        GraphicsApi::Any => init_setup::<graphics::AutoGraphicsApi>(device, options),
        GraphicsApi::Vulkan => init_setup::<graphics::Vulkan>(device, options),
        GraphicsApi::Metal => init_setup::<graphics::Metal>(device, options),
        GraphicsApi::Dx12 => init_setup::<graphics::Dx12>(device, options),
    };
}
