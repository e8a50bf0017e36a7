//! The GPU: one wgpu device, shared between Burn's networks and the drawing of their frames.

use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, WgpuSetup, init_device};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::OffscreenCanvas;

/// A device, and the canvas it draws on if there is one.
pub struct Gpu {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue, also Burn's: what Burn has submitted before is done before.
    pub queue: wgpu::Queue,
    /// The canvas, with the format it likes best.
    pub surface: Option<(wgpu::Surface<'static>, wgpu::TextureFormat)>,
    /// The same device as Burn knows it.
    pub burn: WgpuDevice,
    /// What the browser calls it.
    pub name: String,
}

/// Why there is no device.
pub enum NoGpu {
    /// The browser has no WebGPU, or no adapter behind it.
    None(String),
    /// There is one, but emulated on the CPU, where the CPU itself is faster.
    Emulated(String),
}

/// Takes the GPU. An emulated one only if `emulated`. `lost` hears when it goes away, or fails in a way that it cannot
/// go on from.
pub async fn open(
    canvas: Option<OffscreenCanvas>,
    emulated: bool,
    lost: impl Fn(String) + Clone + Send + Sync + 'static,
) -> Result<Gpu, NoGpu> {
    let (name, software) = adapter_name().await.map_err(NoGpu::None)?;
    if software && !emulated {
        return Err(NoGpu::Emulated(name));
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::BROWSER_WEBGPU,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapter = instance
        .request_adapter(&wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        })
        .await
        .map_err(|_| {
            NoGpu::None("the browser has WebGPU, but offers no graphics adapter".into())
        })?;
    let (device, queue) = adapter
        .request_device(&wgpu::DeviceDescriptor {
            label: Some("dragentity"),
            // Burn looks at what the adapter can do, so the device must be able to do it too.
            required_features: adapter.features(),
            required_limits: adapter.limits(),
            // Burn allocates in large pieces itself.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        })
        .await
        .map_err(|e| NoGpu::None(format!("the graphics adapter gives no device ({e})")))?;
    let gone = lost.clone();
    device.set_device_lost_callback(move |reason, message: String| {
        // Dropped by ourselves is not lost.
        if !matches!(reason, wgpu::DeviceLostReason::Destroyed) {
            gone(if message.is_empty() {
                "the browser gives no reason".into()
            } else {
                message
            });
        }
    });
    let failed = move |error: wgpu::Error| match error {
        wgpu::Error::OutOfMemory { .. } => lost("it has not enough memory for this".into()),
        other => log::error!("GPU: {other}"),
    };
    device.on_uncaptured_error(std::sync::Arc::new(failed));

    let surface = canvas
        .and_then(|canvas| {
            instance
                .create_surface(wgpu::SurfaceTarget::OffscreenCanvas(canvas))
                .ok()
        })
        .and_then(|surface| {
            let format = *surface.get_capabilities(&adapter).formats.first()?;
            Some((surface, format))
        });
    let setup = WgpuSetup {
        instance,
        adapter,
        device: device.clone(),
        queue: queue.clone(),
        backend: wgpu::Backend::BrowserWebGpu,
    };
    let burn = init_device(setup, RuntimeOptions::default());
    Ok(Gpu {
        device,
        queue,
        surface,
        burn,
        name,
    })
}

/// What the browser calls the adapter, and whether it is one that a CPU emulates. wgpu passes on a description only,
/// which browsers leave empty, so the browser is asked itself.
async fn adapter_name() -> Result<(String, bool), String> {
    let get = |object: &JsValue, name: &str| {
        js_sys::Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
    };
    let navigator = get(&js_sys::global(), "navigator");
    let gpu = get(&navigator, "gpu");
    if !gpu.is_object() {
        return Err("this browser has no WebGPU".into());
    }
    let none = || "the browser has WebGPU, but offers no graphics adapter".to_owned();
    // The same wish as below, so that it is the same adapter.
    let wish = js_sys::Object::new();
    let _ = js_sys::Reflect::set(&wish, &"powerPreference".into(), &"high-performance".into());
    let promise = get(&gpu, "requestAdapter")
        .dyn_into::<js_sys::Function>()
        .and_then(|f| f.call1(&gpu, &wish))
        .and_then(JsCast::dyn_into::<js_sys::Promise>)
        .map_err(|_| none())?;
    let adapter = JsFuture::from(promise).await.map_err(|_| none())?;
    if !adapter.is_object() {
        return Err(none());
    }
    let info = get(&adapter, "info");
    let words: Vec<String> = ["vendor", "architecture", "description"]
        .into_iter()
        .filter_map(|name| get(&info, name).as_string())
        .filter(|word| !word.trim().is_empty())
        .collect();
    let fallback = [&info, &adapter]
        .into_iter()
        .any(|object| get(object, "isFallbackAdapter").is_truthy());
    let known = |word: &String| {
        let word = word.to_lowercase();
        ["swiftshader", "llvmpipe", "basic render"]
            .into_iter()
            .any(|s| word.contains(s))
    };
    let software = fallback || words.iter().any(known);
    let name = match words.is_empty() {
        true => "WebGPU".into(),
        false => format!("WebGPU, {}", words.join(" ")),
    };
    Ok((name, software))
}
