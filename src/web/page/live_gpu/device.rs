//! The page's own device, the canvas it draws on, and the passes of a moment.

use super::corners::{Corners, Drawn};
use super::drawing::{Drawing, OVER, UNDER, floats, texture_of};
use super::images::Shown;
use super::{Part, Seen};
use crate::web::adapter::{self, NoGpu};
use crate::web::page::{canvas, dom};
use dragentity_compositor::cutout::Sprite;
use dragentity_core::scene::Picture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ImageBitmap, OffscreenCanvas};

/// The format of what is bent before it is laid over the rest.
const BENT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// The page's device, which is kept for its life, and its canvas.
pub struct LiveGpu {
    drawing: Drawing,
    failed: Arc<AtomicBool>,
    canvas: OffscreenCanvas,
    /// The canvas's own context, asked before wgpu is, which panics where the browser throws.
    context: JsValue,
    surface: wgpu::Surface<'static>,
    format: wgpu::TextureFormat,
    /// Size that the surface is configured for.
    size: [u32; 2],
    over: wgpu::RenderPipeline,
    under: wgpu::RenderPipeline,
    lay: wgpu::RenderPipeline,
    /// What is bent, before it is laid over the rest; of the canvas's size.
    bent: Option<Bent>,
    corners: wgpu::Buffer,
}

/// Where a mesh is drawn by itself.
struct Bent {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    group: wgpu::BindGroup,
}

impl Drop for Bent {
    fn drop(&mut self) {
        self.texture.destroy();
    }
}

impl Drop for LiveGpu {
    fn drop(&mut self) {
        // Only where it has failed: all that is on it goes with it, and nothing more is said.
        self.failed.store(true, Ordering::Relaxed);
        self.drawing.device.destroy();
    }
}

impl LiveGpu {
    /// Takes the GPU, an emulated one only if `emulated`. `failed` hears when it is lost, or cannot do what is asked of it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn open(emulated: bool, failed: fn(String)) -> Result<Self, String> {
        let found = adapter::request(emulated).await;
        let (_, instance, adapter) = found.map_err(|no| match no {
            NoGpu::None(why) | NoGpu::Emulated(why) => why,
        })?;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("live view"),
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await
            .map_err(|e| e.to_string())?;
        let has_failed = Arc::new(AtomicBool::new(false));
        // Said once.
        let flag = has_failed.clone();
        let fail = move |why: String| {
            if !flag.swap(true, Ordering::Relaxed) {
                failed(why);
            }
        };
        let lost = fail.clone();
        device.set_device_lost_callback(move |_, message: String| lost(message));
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| fail(error.to_string())));
        let canvas = OffscreenCanvas::new(1, 1).map_err(|e| dom::reason(&e))?;
        let surface = instance
            .create_surface(wgpu::SurfaceTarget::OffscreenCanvas(canvas.clone()))
            .map_err(|e| e.to_string())?;
        let capabilities = surface.get_capabilities(&adapter);
        let format = *capabilities.formats.first().ok_or("no format")?;
        let context = canvas.get_context("webgpu").ok().flatten();
        let context = context.ok_or("the canvas has no context")?.into();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let drawing = Drawing::new(device, queue);
        let [over, under] = [(format, OVER), (BENT, UNDER)].map(|(format, blend)| {
            let piece = include_str!("../../../../shaders/piece.wgsl");
            drawing.pipeline("piece", piece, (format, blend), true)
        });
        let lay = include_str!("../../../../shaders/lay.wgsl");
        let over_all = wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING;
        let lay = drawing.pipeline("lay", lay, (format, over_all), false);
        let corners = drawing.buffer(&[0; 64], wgpu::BufferUsages::VERTEX);
        let mut gpu = Self {
            drawing,
            failed: has_failed,
            canvas,
            context,
            surface,
            format,
            size: [0; 2],
            over,
            under,
            lay,
            bent: None,
            corners,
        };
        let shows = gpu.shows();
        if let Some(error) = scope.pop().await {
            return Err(error.to_string());
        }
        match shows {
            true => Ok(gpu),
            false => Err("what is drawn on a canvas by WebGPU is not seen on another".into()),
        }
    }

    /// Whether what it draws can be drawn on, on another canvas: a browser in which it cannot would show nothing.
    fn shows(&mut self) -> bool {
        let plate = Picture::from_rgb(2, 2, [40, 200, 90].repeat(4));
        let Some(mut shown) = plate.ok().and_then(|plate| self.show(&plate, &[])) else {
            return false;
        };
        let seen = Seen {
            canvas: [8, 8],
            transform: [1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        };
        let plate = Part::Plate {
            by: [0.0; 2],
            ground: None,
        };
        let Some(drawn) = self.draw(&mut shown, &seen, &[plate]) else {
            return false;
        };
        let copy = canvas::context_in_memory(&dom::canvas(8, 8));
        let _ = copy.draw_image_with_image_bitmap(&drawn, 0.0, 0.0);
        drawn.close();
        let pixel = copy.get_image_data(4.0, 4.0, 1.0, 1.0);
        pixel.is_ok_and(|pixel| {
            let near = |(a, b): (&u8, u8)| a.abs_diff(b) < 8;
            pixel.data().iter().zip([40, 200, 90, 255]).all(near)
        })
    }

    /// Takes up what a live view is made of: a plate, and of each layer its shadow, if it has one, and itself. `None` where there is
    /// more than the GPU takes.
    pub fn show(&self, plate: &Picture, layers: &[[Option<&Sprite>; 2]]) -> Option<Shown> {
        Shown::new(&self.drawing, plate, layers)
    }

    /// Draws a moment, back to front, transparent where nothing is; `None` where that fails. A bitmap, not the canvas itself: that is
    /// handed over without a copy, and emulated GPUs draw no canvas of WebGPU's on another.
    pub fn draw(&mut self, shown: &mut Shown, seen: &Seen, parts: &[Part]) -> Option<ImageBitmap> {
        let target = self.target(seen.canvas)?;
        for part in parts {
            if let Part::Bent { layer, mesh, .. } = part {
                shown.layers.get_mut(*layer)?.cut(&self.drawing, mesh)?;
            }
        }
        let (corners, drawn) = Corners::of(shown, seen, parts);
        self.write(&corners.numbers);
        if drawn.iter().any(|drawn| matches!(drawn, Drawn::Bent(..))) {
            self.make_bent();
        }
        let onto = target.texture.create_view(&Default::default());
        let mut encoder = self
            .drawing
            .device
            .create_command_encoder(&Default::default());
        // What lies between two that are bent is one pass.
        let mut rest = drawn.as_slice();
        let mut load = wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT);
        loop {
            let bent = rest.iter().position(|one| matches!(one, Drawn::Bent(..)));
            let (before, after) = rest.split_at(bent.unwrap_or(rest.len()));
            let next = after.split_first();
            if let (Some((Drawn::Bent(layer, range, _), _)), Some(bent)) = (next, &self.bent)
                && let Some(cut) = shown.layers.get(*layer).and_then(|own| own.cut.as_ref())
            {
                let clear = wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT);
                let mut pass = pass(&mut encoder, &bent.view, clear);
                pass.set_pipeline(&self.under);
                pass.set_bind_group(0, &cut.group, &[]);
                pass.set_vertex_buffer(0, self.corners.slice(..));
                pass.draw(range.clone(), 0..1);
            }
            let mut pass = pass(&mut encoder, &onto, load);
            pass.set_pipeline(&self.over);
            pass.set_vertex_buffer(0, self.corners.slice(..));
            for one in before {
                let own = |layer: &usize| shown.layers.get(*layer);
                let (image, range) = match one {
                    Drawn::Plate(range) => (Some(&shown.plate), range),
                    Drawn::Shade(layer, range) => {
                        (own(layer).and_then(|own| own.shade.as_ref()), range)
                    }
                    Drawn::Thing(layer, range) => (own(layer).map(|own| &own.thing), range),
                    Drawn::Bent(..) => continue,
                };
                if let Some(image) = image {
                    pass.set_bind_group(0, &image.group, &[]);
                    pass.draw(range.clone(), 0..1);
                }
            }
            if let (Some((Drawn::Bent(_, _, [x, y, w, h]), _)), Some(bent)) = (next, &self.bent) {
                pass.set_pipeline(&self.lay);
                pass.set_bind_group(0, &bent.group, &[]);
                pass.set_scissor_rect(*x, *y, *w, *h);
                pass.draw(0..3, 0..1);
            }
            load = wgpu::LoadOp::Load;
            match next {
                Some((_, after)) => rest = after,
                None => break,
            }
        }
        self.drawing.queue.submit([encoder.finish()]);
        target.present();
        self.canvas.transfer_to_image_bitmap().ok()
    }

    /// The canvas's next picture, at this size.
    fn target(&mut self, size: [u32; 2]) -> Option<wgpu::SurfaceTexture> {
        use wgpu::CurrentSurfaceTexture::{Suboptimal, Success};
        let fits = size
            .iter()
            .all(|side| (1..=self.drawing.most).contains(side));
        if !fits || self.failed.load(Ordering::Relaxed) {
            return None;
        }
        if self.size != size {
            self.size = size;
            self.bent = None;
            self.surface.configure(
                &self.drawing.device,
                &wgpu::SurfaceConfiguration {
                    usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
                    format: self.format,
                    width: size[0],
                    height: size[1],
                    present_mode: wgpu::PresentMode::Fifo,
                    desired_maximum_frame_latency: 2,
                    alpha_mode: wgpu::CompositeAlphaMode::PreMultiplied,
                    view_formats: Vec::new(),
                },
            );
        }
        // The same texture that wgpu is given next, within one task.
        js_sys::Reflect::get(&self.context, &"getCurrentTexture".into())
            .ok()?
            .dyn_into::<js_sys::Function>()
            .ok()?
            .call0(&self.context)
            .ok()?;
        match self.surface.get_current_texture() {
            Success(texture) | Suboptimal(texture) => Some(texture),
            _ => None,
        }
    }

    /// Has room for something that is bent.
    fn make_bent(&mut self) {
        if self.bent.is_some() {
            return;
        }
        let device = &self.drawing.device;
        let drawn = (BENT, wgpu::TextureUsages::RENDER_ATTACHMENT);
        let texture = texture_of(device, "bent", self.size, 1, drawn);
        let view = texture.create_view(&Default::default());
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("bent"),
            layout: &self.lay.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::TextureView(&view),
            }],
        });
        self.bent = Some(Bent {
            texture,
            view,
            group,
        });
    }

    /// Puts corners where they are drawn from; the buffer only grows.
    fn write(&mut self, corners: &[f32]) {
        let bytes = floats(corners);
        if self.corners.size() < bytes.len() as u64 {
            self.corners.destroy();
            self.corners = self.drawing.buffer(&bytes, wgpu::BufferUsages::VERTEX);
        } else {
            self.drawing.queue.write_buffer(&self.corners, 0, &bytes);
        }
    }
}

fn pass<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    onto: &wgpu::TextureView,
    load: wgpu::LoadOp<wgpu::Color>,
) -> wgpu::RenderPass<'a> {
    encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        label: Some("live view"),
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: onto,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations {
                load,
                store: wgpu::StoreOp::Store,
            },
        })],
        ..Default::default()
    })
}
