//! The only place that chooses a backend.
//!
//! Burn's tensors carry their backend as a type, so a choice made at run time becomes a generic
//! call: [`Device::run`] resolves the device and calls a [`Task`] with the backend it found.

#[cfg(all(feature = "cuda", not(target_family = "wasm")))]
mod cuda;
#[cfg(all(feature = "wgpu", not(target_family = "wasm")))]
mod gpu;

use burn::backend::Flex;
use burn::tensor::backend::Backend;
#[cfg(not(target_family = "wasm"))]
use dragentity_core::{Error, Result};
use std::fmt;
use std::num::NonZeroUsize;
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
    Cpu {
        /// How many threads; `None`: as many as there are processors.
        threads: Option<NonZeroUsize>,
    },
    /// Burn's wgpu backend.
    Wgpu {
        /// Through which interface.
        api: GraphicsApi,
        /// Which of its GPUs, from 0; `None`: the most powerful.
        index: Option<usize>,
    },
    /// Burn's CUDA backend.
    Cuda {
        /// Which GPU, from 0.
        index: usize,
    },
    /// LibTorch on the CPU, for training; never chosen by `Auto`.
    Tch,
}

/// How a GPU is reached through wgpu.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphicsApi {
    /// Whatever the system has.
    #[default]
    Any,
    /// Linux, Windows, Android.
    Vulkan,
    /// macOS.
    Metal,
    /// Windows.
    Dx12,
}

impl Device {
    /// The CPU with all its threads.
    pub const CPU: Self = Self::Cpu { threads: None };
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number)),
            None => (text, None),
        };
        let number = number
            .map(|number| {
                number.parse::<usize>().map_err(|_| {
                    format!("\"{number}\" is no number: write a device as cpu:4 or cuda:1")
                })
            })
            .transpose()?;
        let wgpu = |api| Self::Wgpu { api, index: number };
        match (kind, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::CPU),
            ("cpu", Some(threads)) => match NonZeroUsize::new(threads) {
                None => Err("cpu:0 has no threads: use cpu, or cpu:1 and up".into()),
                threads => Ok(Self::Cpu { threads }),
            },
            ("wgpu" | "webgpu", _) => Ok(wgpu(GraphicsApi::Any)),
            ("vulkan", _) => Ok(wgpu(GraphicsApi::Vulkan)),
            ("metal", _) => Ok(wgpu(GraphicsApi::Metal)),
            ("dx12", _) => Ok(wgpu(GraphicsApi::Dx12)),
            ("cuda", number) => Ok(Self::Cuda {
                index: number.unwrap_or(0),
            }),
            ("tch", None) => Ok(Self::Tch),
            ("auto" | "tch", Some(_)) => Err(format!("{kind} takes no number")),
            (other, _) => Err(format!(
                "unknown device \"{other}\": use auto, cuda, vulkan, metal, dx12, wgpu or cpu, with a number after a \
                 colon for one of several GPUs (cuda:1) or for how many threads (cpu:4)"
            )),
        }
    }
}

impl fmt::Display for GraphicsApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Dx12 => "dx12",
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu { threads: None } => f.write_str("cpu"),
            Self::Cpu { threads: Some(n) } => write!(f, "cpu:{n}"),
            Self::Wgpu { api, index: None } => write!(f, "{api}"),
            Self::Wgpu {
                api,
                index: Some(n),
            } => write!(f, "{api}:{n}"),
            Self::Cuda { index: 0 } => f.write_str("cuda"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
            Self::Tch => f.write_str("tch"),
        }
    }
}

/// Work that is generic over the backend.
pub trait Task {
    /// What it returns.
    type Output;
    /// Does the work on `device`, called `name` in words.
    fn run<B: Backend>(self, device: B::Device, name: String) -> Self::Output;
}

/// How many processor threads the CPU backend uses, in words.
fn cpu_name(threads: Option<NonZeroUsize>) -> String {
    #[cfg(not(target_family = "wasm"))]
    let all = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    #[cfg(target_family = "wasm")]
    let all = rayon::current_num_threads;
    let vectors = match cfg!(target_family = "wasm") {
        true => ", WebAssembly SIMD",
        false => "",
    };
    match threads.map_or_else(all, NonZeroUsize::get) {
        1 => format!("CPU, 1 thread{vectors}"),
        n => format!("CPU, {n} threads{vectors}"),
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
            Self::Auto => self.resolve().run(task),
            #[cfg(feature = "wgpu")]
            Self::Wgpu { api, index } => {
                let found = gpu::find(api, index)?;
                Ok(task.run::<Gpu>(found.device, found.name))
            }
            #[cfg(not(feature = "wgpu"))]
            Self::Wgpu { .. } => Err(not_built_in("wgpu")),
            other => other.run_training(task),
        }
    }

    /// What `auto` stands for on this machine; any other device as it is.
    pub fn resolve(self) -> Self {
        if self != Self::Auto {
            return self;
        }
        #[cfg(feature = "cuda")]
        if cuda_usable() {
            return Self::Cuda { index: 0 };
        }
        #[cfg(feature = "wgpu")]
        if gpu::find(GraphicsApi::Any, None).is_ok_and(|found| !found.emulated) {
            return Self::Wgpu {
                api: GraphicsApi::Any,
                index: None,
            };
        }
        Self::CPU
    }

    /// Bytes of its memory that are free now, where that can be known: through Vulkan, Metal and DX12 it cannot.
    pub fn free_memory(self) -> Option<u64> {
        match self {
            Self::Cpu { .. } | Self::Tch => {
                let mut system = sysinfo::System::new();
                system.refresh_memory();
                let of_group = system.cgroup_limits().map(|limits| limits.free_memory);
                let free = system.available_memory();
                Some(of_group.map_or(free, |of_group| of_group.min(free)))
            }
            #[cfg(feature = "cuda")]
            Self::Cuda { index } => cuda::free_memory(index),
            _ => None,
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
            Self::Auto if cuda_usable() => Self::Cuda { index: 0 }.run_training(task),
            Self::Auto => Self::CPU.run_training(task),
            Self::Cpu { threads } => {
                let _threads = threads.map(limited_to).transpose()?;
                Ok(task.run::<Cpu>(Default::default(), cpu_name(threads)))
            }
            Self::Wgpu { .. } => Err(Error::Device(
                "there is no training on wgpu: use --device cuda, tch or cpu".into(),
            )),
            #[cfg(feature = "cuda")]
            Self::Cuda { index } => {
                let name = cuda::probe(index)?;
                Ok(task.run::<burn::backend::Cuda>(
                    burn::backend::cuda::CudaDevice::new(index),
                    format!("{name} (CUDA)"),
                ))
            }
            #[cfg(not(feature = "cuda"))]
            Self::Cuda { .. } => Err(not_built_in("cuda")),
            #[cfg(feature = "tch")]
            Self::Tch => Ok(task.run::<burn_tch::LibTorch<f32>>(
                burn_tch::LibTorchDevice::Cpu,
                format!("{} (LibTorch)", cpu_name(None)),
            )),
            #[cfg(not(feature = "tch"))]
            Self::Tch => Err(Error::Device(
                "this program was built without LibTorch: see models/TRAINING.md, or use --device cpu".into(),
            )),
        }
    }
}

/// Makes the calling thread one of a pool of `threads`, which it keeps to from then on.
#[cfg(not(target_family = "wasm"))]
fn limited_to(threads: NonZeroUsize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .use_current_thread()
        .build()
        .map_err(|reason| {
            Error::Device(format!(
                "cannot compute on {threads} threads ({reason}): use --device cpu"
            ))
        })
}

#[cfg(all(
    not(target_family = "wasm"),
    not(all(feature = "wgpu", feature = "cuda"))
))]
fn not_built_in(feature: &str) -> Error {
    Error::Device(format!(
        "this program was built without {feature}: rebuild it with `--features {feature}`, or use --device cpu"
    ))
}

/// Whether `auto` takes CUDA; what is missing for it only matters to those who look into the log.
#[cfg(all(feature = "cuda", not(target_family = "wasm")))]
fn cuda_usable() -> bool {
    cuda::probe(0)
        .inspect_err(|error| log::info!("not on CUDA: {error}"))
        .is_ok()
}

/// The name of the CPU device, for the page.
#[cfg(target_family = "wasm")]
pub fn cpu_device_name() -> String {
    cpu_name(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in [
            "auto", "cpu", "cpu:3", "wgpu", "wgpu:0", "vulkan", "vulkan:1", "metal", "dx12",
            "cuda", "cuda:2", "tch",
        ] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda:0".parse(), Ok(Device::Cuda { index: 0 }));
        for (text, why) in [
            ("gpu", "unknown device"),
            ("cpu:0", "no threads"),
            ("cpu:x", "no number"),
            ("cuda:-1", "no number"),
            ("auto:1", "takes no number"),
            ("", "unknown device"),
        ] {
            let said = text.parse::<Device>().unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    #[cfg(not(target_family = "wasm"))]
    fn as_many_threads_as_were_asked_for() {
        struct Threads;
        impl Task for Threads {
            type Output = (usize, String);
            fn run<B: Backend>(self, _: B::Device, name: String) -> Self::Output {
                (rayon::current_num_threads(), name)
            }
        }
        // A thread belongs to one pool for good: not to the one of this test program.
        let run = |device: &'static str| {
            let device: Device = device.parse().unwrap();
            std::thread::spawn(move || device.run(Threads).unwrap())
                .join()
                .unwrap()
        };
        assert_eq!(run("cpu:1"), (1, "CPU, 1 thread".to_owned()));
        assert_eq!(run("cpu:3"), (3, "CPU, 3 threads".to_owned()));
    }
}
