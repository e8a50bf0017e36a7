//! The only place that chooses a backend.
//!
//! Burn's tensors carry their backend as a type, so a choice made at run time becomes a generic
//! call: [`Device::run`] resolves the device and calls a [`Task`] with the backend it found.

#[cfg(all(feature = "cuda", not(target_family = "wasm")))]
mod cuda;

#[cfg(not(target_family = "wasm"))]
use crate::{Error, Result};
use burn::backend::Flex;
use burn::tensor::backend::Backend;
use std::fmt;
use std::str::FromStr;

/// The CPU backend, native and in wasm.
pub type Cpu = Flex;

/// The GPU backend through WebGPU in the page and Vulkan, Metal or DX12 natively.
#[cfg(feature = "wgpu")]
pub type Gpu = burn::backend::Wgpu;

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// CUDA if built in and present, else a hardware GPU through wgpu, else the CPU.
    #[default]
    Auto,
    /// Burn's flex backend.
    Cpu,
    /// Burn's wgpu backend.
    Wgpu,
    /// Burn's CUDA backend.
    Cuda,
    /// LibTorch on the CPU, for training; never chosen by `Auto`.
    Tch,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "wgpu" | "webgpu" | "vulkan" | "metal" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda),
            "tch" => Ok(Self::Tch),
            other => Err(format!(
                "unknown device \"{other}\": use auto, cpu, wgpu, cuda or tch"
            )),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
            Self::Tch => "tch",
        })
    }
}

/// Work that is generic over the backend.
pub trait Task {
    /// What it returns.
    type Output;
    /// Does the work on `device`, called `name` in words.
    fn run<B: Backend>(self, device: B::Device, name: String) -> Self::Output;
}

/// How many processor threads the CPU backend uses.
fn cpu_name() -> String {
    #[cfg(not(target_family = "wasm"))]
    {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        format!("CPU, {threads} threads")
    }
    #[cfg(target_family = "wasm")]
    {
        "CPU, 1 thread, WebAssembly SIMD".to_owned()
    }
}

#[cfg(not(target_family = "wasm"))]
impl Device {
    /// Calls `task` with the chosen backend.
    ///
    /// # Errors
    /// [`Error::Device`] when the chosen device is absent or not built in.
    pub fn run<T: Task>(self, task: T) -> Result<T::Output> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Auto if cuda_usable() => Self::Cuda.run(task),
            #[cfg(feature = "wgpu")]
            Self::Auto if matches!(probe_wgpu(), Ok((_, false))) => Self::Wgpu.run(task),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => {
                let (name, _) = probe_wgpu()?;
                Ok(task.run::<Gpu>(Default::default(), name))
            }
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu => Err(not_built_in("wgpu")),
            other => other.run_training(task),
        }
    }

    /// [`Device::run`] for training, which has no wgpu: nobody trains there, and the derivatives of
    /// every operation on one more backend would double what the compiler has to do.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub fn run_training<T: Task>(self, task: T) -> Result<T::Output> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Auto if cuda_usable() => Self::Cuda.run_training(task),
            Self::Auto | Self::Cpu => Ok(task.run::<Cpu>(Default::default(), cpu_name())),
            Self::Wgpu => Err(Error::Device(
                "there is no training on wgpu: use --device cuda, tch or cpu".into(),
            )),
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                let name = cuda::probe()?;
                Ok(task.run::<burn::backend::Cuda>(Default::default(), format!("{name} (CUDA)")))
            }
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Err(not_built_in("cuda")),
            #[cfg(feature = "tch")]
            Self::Tch => Ok(task.run::<burn_tch::LibTorch<f32>>(
                burn_tch::LibTorchDevice::Cpu,
                format!("{} (LibTorch)", cpu_name()),
            )),
            #[cfg(not(feature = "tch"))]
            Self::Tch => Err(Error::Device(
                "this program was built without LibTorch: see models/TRAINING.md, or use --device cpu".into(),
            )),
        }
    }
}

#[cfg(all(
    not(target_family = "wasm"),
    not(all(feature = "wgpu", feature = "cuda"))
))]
fn not_built_in(feature: &str) -> Error {
    Error::Device(format!(
        "this program was built without {feature}: rebuild with `cargo build --release --features {feature}`, or use --device cpu"
    ))
}

/// Whether `auto` takes CUDA; what is missing for it only matters to those who look into the log.
#[cfg(all(feature = "cuda", not(target_family = "wasm")))]
fn cuda_usable() -> bool {
    cuda::probe()
        .inspect_err(|error| log::info!("not on CUDA: {error}"))
        .is_ok()
}

/// The adapter wgpu would take, in words, and whether it is a software rasteriser.
///
/// Burn panics when there is no adapter: this asks first.
#[cfg(all(feature = "wgpu", not(target_family = "wasm")))]
fn probe_wgpu() -> Result<(String, bool)> {
    let instance = wgpu::Instance::default();
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    }))
    .map_err(|reason| {
        Error::Device(format!(
            "no GPU found through Vulkan, Metal or DX12 ({reason}): install its driver, or use --device cpu"
        ))
    })?;
    let info = adapter.get_info();
    Ok((
        format!("{} ({})", info.name, info.backend),
        info.device_type == wgpu::DeviceType::Cpu,
    ))
}

/// The name of the CPU device, for the page.
#[cfg(target_family = "wasm")]
pub fn cpu_device_name() -> String {
    cpu_name()
}
