//! The graphics adapter that the browser offers, if it is worth using.

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Why there is none.
pub enum NoGpu {
    /// The browser has no WebGPU, or no adapter behind it.
    None(String),
    /// There is one, but emulated on the CPU, where the CPU itself is faster.
    Emulated(String),
}

/// Its name; an emulated one only if `emulated`. In a window or in a worker.
///
/// # Errors
/// [`NoGpu`].
pub async fn usable(emulated: bool) -> Result<String, NoGpu> {
    match name().await.map_err(NoGpu::None)? {
        (name, true) if !emulated => Err(NoGpu::Emulated(name)),
        (name, _) => Ok(name),
    }
}

/// The adapter itself, as wgpu knows it, with its name; an emulated one only if `emulated`.
///
/// # Errors
/// [`NoGpu`].
#[cfg(feature = "wgpu")]
pub async fn request(emulated: bool) -> Result<(String, wgpu::Instance, wgpu::Adapter), NoGpu> {
    let name = usable(emulated).await?;
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
        .map_err(|_| NoGpu::None(NONE.into()))?;
    Ok((name, instance, adapter))
}

/// What is said where the browser has WebGPU and nothing behind it.
const NONE: &str = "the browser has WebGPU, but offers no graphics adapter";

/// What the browser calls the adapter, and whether it is one that a CPU emulates. wgpu passes on a description only,
/// which browsers leave empty, so the browser is asked itself.
async fn name() -> Result<(String, bool), String> {
    let get = |object: &JsValue, name: &str| {
        js_sys::Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
    };
    let navigator = get(&js_sys::global(), "navigator");
    let gpu = get(&navigator, "gpu");
    if !gpu.is_object() {
        return Err("this browser has no WebGPU".into());
    }
    let none = || NONE.to_owned();
    // The same wish as above, so that it is the same adapter.
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
