//! Draws frames from the buffer that the model has left them in, enlarged, on the page's canvas; over them, if asked for,
//! where entities should be and their paths. Nothing is read back. The shaders are in `shaders/`.

use super::gpu::Gpu;
use crate::web::protocol::View;
use burn::backend::wgpu::{CubeTensor, WgpuRuntime};
use burn::tensor::{DType, Tensor};
use dragentity_core::scene::{self, Mask, Scene, Trajectory};
use dragentity_media::overlay::colour_of;
use dragentity_networks::device::Gpu as Backend;

/// The camera's colour.
const CAMERA: [u8; 3] = [240, 242, 245];
/// Straight pieces between two points of a path.
const PIECES: usize = 12;

/// The frames, the scene they are of, and what it takes to draw them.
pub struct Presenter {
    device: wgpu::Device,
    queue: wgpu::Queue,
    surface: wgpu::Surface<'static>,
    format: wgpu::TextureFormat,
    /// Size that the surface is configured for.
    size: (u32, u32),
    frame: wgpu::RenderPipeline,
    mask: wgpu::RenderPipeline,
    paths: wgpu::RenderPipeline,
    sampler: wgpu::Sampler,
    frames: Option<CubeTensor<WgpuRuntime>>,
    entities: Vec<Shown>,
    background: Option<Trajectory>,
    camera: scene::View,
}

/// An entity's mask on the GPU, and its path.
struct Shown {
    mask: wgpu::TextureView,
    path: Option<Trajectory>,
    colour: [u8; 3],
}

impl Presenter {
    /// `None` if there is no canvas to draw on.
    pub fn new(gpu: Gpu) -> Option<Self> {
        let Gpu {
            device,
            queue,
            surface,
            ..
        } = gpu;
        let (surface, format) = surface?;
        let pipeline = |name: &str, source: &str, blend: Option<wgpu::BlendState>| {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some(name),
                layout: None,
                vertex: wgpu::VertexState {
                    module: &module,
                    entry_point: Some("vertex"),
                    compilation_options: Default::default(),
                    buffers: &[],
                },
                primitive: Default::default(),
                depth_stencil: None,
                multisample: Default::default(),
                fragment: Some(wgpu::FragmentState {
                    module: &module,
                    entry_point: Some("fragment"),
                    compilation_options: Default::default(),
                    targets: &[Some(wgpu::ColorTargetState {
                        format,
                        blend,
                        write_mask: wgpu::ColorWrites::ALL,
                    })],
                }),
                multiview_mask: None,
                cache: None,
            })
        };
        let over = Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING);
        let frame = pipeline("frame", include_str!("../../../shaders/frame.wgsl"), None);
        let mask = pipeline("mask", include_str!("../../../shaders/mask.wgsl"), over);
        let paths = pipeline("paths", include_str!("../../../shaders/paths.wgsl"), over);
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            label: Some("mask"),
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        Some(Self {
            device,
            queue,
            surface,
            format,
            size: (0, 0),
            frame,
            mask,
            paths,
            sampler,
            frames: None,
            entities: Vec::new(),
            background: None,
            camera: scene::View::default(),
        })
    }

    /// A job on this scene begins: its frames will be shown from now on.
    pub fn begin(&mut self, scene: &Scene) {
        let shown = |(i, e): (usize, &dragentity_core::scene::Entity)| Shown {
            mask: self.texture(&e.mask),
            path: e.trajectory.clone(),
            colour: colour_of(e, i),
        };
        self.entities = scene.entities.iter().enumerate().map(shown).collect();
        self.background = scene.background.clone();
        self.camera = scene.view.cleaned();
    }

    /// Takes frames, `[frames, 3, height, width]` in -1..1, in place of those before; returns how many.
    pub fn take(&mut self, frames: Tensor<Backend, 4>) -> u32 {
        let frames = frames.into_primitive().tensor();
        let count = frames.meta.shape()[0] as u32;
        if frames.dtype == DType::F32 {
            self.frames = Some(frames);
        } else {
            log::error!("frames of {:?} cannot be shown", frames.dtype);
        }
        count
    }

    /// Draws one of the frames.
    pub fn draw(&mut self, view: View) {
        let Some(frames) = self.frames.clone() else {
            return;
        };
        let (shape, strides) = (frames.meta.shape(), frames.meta.strides());
        let (count, height, width) = (shape[0], shape[2], shape[3]);
        let number = (view.frame as usize).min(count.saturating_sub(1));
        // Burn collects commands: those that make the frames must be on the queue before the ones that show them.
        if let Err(error) = frames.client.flush() {
            return log::error!("frames: {error:?}");
        }
        let values = match frames.client.get_resource(frames.handle.clone()) {
            Ok(values) => values,
            Err(error) => return log::error!("frames: {error:?}"),
        };
        let Some(target) = self.target(view) else {
            return;
        };
        let canvas = [view.width as f32, view.height as f32];

        let mut uniform = Vec::with_capacity(32);
        for n in [
            width,
            height,
            number * strides[0],
            strides[1],
            strides[2],
            strides[3],
        ] {
            uniform.extend((n as u32).to_le_bytes());
        }
        uniform.extend(floats(&canvas));
        let uniform = self.buffer(&uniform, wgpu::BufferUsages::UNIFORM);
        let frame = self.group(
            &self.frame,
            &[
                values.resource().as_wgpu_bind_resource(),
                uniform.as_entire_binding(),
            ],
        );

        // Where everything should be at this moment of the video.
        let t = if count > 1 {
            number as f32 / (count - 1) as f32
        } else {
            0.0
        };
        let mut tints = Vec::new();
        let mut strokes = Vec::new();
        let seen = self.camera.at(t);
        if view.paths {
            // Where the camera comes nearer, masks would be elsewhere.
            for shown in self.entities.iter().filter(|_| seen.is_still()) {
                if let Some(path) = &shown.path {
                    let (from, to) = (path.start(), path.position(t));
                    let mut uniform = floats(&rgba(shown.colour));
                    uniform.extend(floats(&[
                        to[0] - from[0],
                        to[1] - from[1],
                        canvas[0],
                        canvas[1],
                    ]));
                    let uniform = self.buffer(&uniform, wgpu::BufferUsages::UNIFORM);
                    tints.push(self.group(
                        &self.mask,
                        &[
                            wgpu::BindingResource::TextureView(&shown.mask),
                            wgpu::BindingResource::Sampler(&self.sampler),
                            uniform.as_entire_binding(),
                        ],
                    ));
                }
            }
            let unit = (canvas[0].max(canvas[1]) / 600.0).max(1.0);
            let all = self
                .entities
                .iter()
                .filter_map(|e| Some((e.path.as_ref()?, e.colour)));
            for (path, colour) in self
                .background
                .as_ref()
                .map(|path| (path, CAMERA))
                .into_iter()
                .chain(all)
            {
                let at = |place| seen.apply(place, canvas[0] / canvas[1].max(1.0));
                stroke(&mut strokes, path, t, colour, canvas, unit, at);
            }
        }
        let count = strokes.len() / STROKE;
        let strokes = (count > 0).then(|| {
            let strokes = self.buffer(&floats(&strokes), wgpu::BufferUsages::STORAGE);
            let canvas = self.buffer(&floats(&canvas), wgpu::BufferUsages::UNIFORM);
            self.group(
                &self.paths,
                &[strokes.as_entire_binding(), canvas.as_entire_binding()],
            )
        });

        let onto = target.texture.create_view(&Default::default());
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("present"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &onto,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            pass.set_pipeline(&self.frame);
            pass.set_bind_group(0, &frame, &[]);
            pass.draw(0..3, 0..1);
            pass.set_pipeline(&self.mask);
            for tint in &tints {
                pass.set_bind_group(0, tint, &[]);
                pass.draw(0..3, 0..1);
            }
            if let Some(strokes) = &strokes {
                pass.set_pipeline(&self.paths);
                pass.set_bind_group(0, strokes, &[]);
                pass.draw(0..6, 0..count as u32);
            }
        }
        self.queue.submit([encoder.finish()]);
        target.present();
    }

    /// The canvas's next picture, at the size asked for.
    fn target(&mut self, view: View) -> Option<wgpu::SurfaceTexture> {
        use wgpu::CurrentSurfaceTexture::{Suboptimal, Success};
        let size = (view.width.max(1), view.height.max(1));
        if self.size != size {
            self.size = size;
            self.surface.configure(
                &self.device,
                &wgpu::SurfaceConfiguration {
                    usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
                    format: self.format,
                    width: size.0,
                    height: size.1,
                    present_mode: wgpu::PresentMode::Fifo,
                    desired_maximum_frame_latency: 2,
                    alpha_mode: wgpu::CompositeAlphaMode::Opaque,
                    view_formats: Vec::new(),
                },
            );
        }
        match self.surface.get_current_texture() {
            Success(texture) | Suboptimal(texture) => Some(texture),
            _ => {
                // Configured again at the next frame.
                self.size = (0, 0);
                None
            }
        }
    }

    fn texture(&self, mask: &Mask) -> wgpu::TextureView {
        let size = wgpu::Extent3d {
            width: mask.width.max(1),
            height: mask.height.max(1),
            depth_or_array_layers: 1,
        };
        let texture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("mask"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(size.width),
            rows_per_image: None,
        };
        self.queue
            .write_texture(texture.as_image_copy(), &mask.alpha, layout, size);
        texture.create_view(&Default::default())
    }

    fn buffer(&self, bytes: &[u8], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            // Uniforms come in sixteens of bytes.
            size: bytes.len().next_multiple_of(16) as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }

    fn group(
        &self,
        pipeline: &wgpu::RenderPipeline,
        resources: &[wgpu::BindingResource],
    ) -> wgpu::BindGroup {
        let mut entries = Vec::with_capacity(resources.len());
        for (binding, resource) in (0..).zip(resources) {
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: resource.clone(),
            });
        }
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }
}

/// Numbers in a `Stroke` of `paths.wgsl`: two ends, a colour, the radius, and what aligns the next.
const STROKE: usize = 12;

/// Adds a path: a dark casing, the line, and a dot where its entity should be now.
fn stroke(
    out: &mut Vec<f32>,
    path: &Trajectory,
    t: f32,
    colour: [u8; 3],
    canvas: [f32; 2],
    unit: f32,
    at: impl Fn([f32; 2]) -> [f32; 2],
) {
    let mut add = |a: [f32; 2], b: [f32; 2], colour: [f32; 4], radius: f32| {
        let (a, b) = (at(a), at(b));
        out.extend([
            a[0] * canvas[0],
            a[1] * canvas[1],
            b[0] * canvas[0],
            b[1] * canvas[1],
        ]);
        out.extend(colour);
        out.extend([radius * unit, 0.0, 0.0, 0.0]);
    };
    let dark = [0.03, 0.035, 0.04, 1.0];
    let line = path.polyline(PIECES);
    for (colour, radius) in [(dark, 2.6), (rgba(colour), 1.3)] {
        for pair in line.windows(2) {
            add(pair[0], pair[1], colour, radius);
        }
    }
    let now = path.position(t);
    add(now, now, dark, 6.8);
    add(now, now, rgba(colour), 5.5);
}

fn rgba(c: [u8; 3]) -> [f32; 4] {
    [
        f32::from(c[0]) / 255.0,
        f32::from(c[1]) / 255.0,
        f32::from(c[2]) / 255.0,
        1.0,
    ]
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
