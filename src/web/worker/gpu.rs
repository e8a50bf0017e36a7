//! The GPU: one wgpu device, shared between Burn's networks and the drawing of their frames.

use crate::web::adapter::{self, NoGpu};
use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, WgpuSetup, init_device};
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

/// Takes the GPU. An emulated one only if `emulated`. `lost` hears when it goes away, or fails in a way that it cannot
/// go on from.
pub async fn open(
    canvas: Option<OffscreenCanvas>,
    emulated: bool,
    lost: impl Fn(String) + Clone + Send + Sync + 'static,
) -> Result<Gpu, NoGpu> {
    let (name, instance, adapter) = adapter::request(emulated).await?;
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
