//! What everything of the live view is drawn with on the GPU: how textures, buffers and pipelines are made.

use wgpu::BlendFactor::{One, OneMinusSrcAlpha, SrcAlpha, SrcAlphaSaturated};

/// Numbers of a corner: where it is on the canvas, where it is in the image, where it is in what says whose the places are.
pub const CORNER: usize = 6;

/// What everything is drawn with.
pub struct Drawing {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    layout: wgpu::BindGroupLayout,
    smoothly: wgpu::Sampler,
    /// Says of every place that it is one's own.
    pub all: wgpu::Texture,
    /// Most pixels of a texture along a side.
    pub most: u32,
}

/// Over what is there, which is premultiplied; what is drawn is not.
pub const OVER: wgpu::BlendState = wgpu::BlendState {
    color: wgpu::BlendComponent {
        src_factor: SrcAlpha,
        dst_factor: OneMinusSrcAlpha,
        operation: wgpu::BlendOperation::Add,
    },
    alpha: wgpu::BlendComponent {
        src_factor: One,
        dst_factor: OneMinusSrcAlpha,
        operation: wgpu::BlendOperation::Add,
    },
};

/// Under what is there, as far as there is room: where a mesh lies over itself and both are seen in part, they are not of the same
/// part, so that along a cut that has not opened nothing shows through. As `compositor::warp` has it, from the other end.
pub const UNDER: wgpu::BlendState = wgpu::BlendState {
    color: wgpu::BlendComponent {
        src_factor: SrcAlphaSaturated,
        dst_factor: One,
        operation: wgpu::BlendOperation::Add,
    },
    alpha: wgpu::BlendComponent {
        src_factor: One,
        dst_factor: One,
        operation: wgpu::BlendOperation::Add,
    },
};

/// Numbers as a GPU reads them.
pub fn floats(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(values));
    for value in values {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

impl Drawing {
    /// On a device.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let texture = wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: true },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        };
        let uniform = wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: None,
        };
        let smoothly = wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering);
        let entries = [texture, smoothly, texture, uniform];
        let entry = |(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty,
            count: None,
        };
        let entries: Vec<_> = (0..).zip(entries).map(entry).collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("piece"),
            entries: &entries,
        });
        let smoothly = device.create_sampler(&wgpu::SamplerDescriptor {
            label: Some("smoothly"),
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            mipmap_filter: wgpu::MipmapFilterMode::Linear,
            ..Default::default()
        });
        let written = wgpu::TextureUsages::COPY_DST;
        let one = (wgpu::TextureFormat::R8Unorm, written);
        let all = texture_of(&device, "all", [1, 1], 1, one);
        let drawing = Self {
            most: device.limits().max_texture_dimension_2d,
            device,
            queue,
            layout,
            smoothly,
            all,
        };
        drawing.write(&drawing.all, 0, &[255], [1, 1]);
        drawing
    }

    /// What an image is drawn with: itself, whose its places are, and the part of it that is seen.
    pub fn group(
        &self,
        image: &wgpu::Texture,
        shares: &wgpu::Texture,
        bounds: &wgpu::Buffer,
    ) -> wgpu::BindGroup {
        let [image, shares] = [image, shares].map(|one| one.create_view(&Default::default()));
        let resources = [
            wgpu::BindingResource::TextureView(&image),
            wgpu::BindingResource::Sampler(&self.smoothly),
            wgpu::BindingResource::TextureView(&shares),
            bounds.as_entire_binding(),
        ];
        let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
        let entries: Vec<_> = (0..).zip(resources).map(entry).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("piece"),
            layout: &self.layout,
            entries: &entries,
        })
    }

    /// A pipeline, of pieces with their corners or of the canvas as a whole.
    pub fn pipeline(
        &self,
        name: &str,
        source: &str,
        (format, blend): (wgpu::TextureFormat, wgpu::BlendState),
        pieces: bool,
    ) -> wgpu::RenderPipeline {
        let device = &self.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&self.layout)],
            ..Default::default()
        });
        let attributes = wgpu::vertex_attr_array![0 => Float32x2, 1 => Float32x2, 2 => Float32x2];
        let corners = wgpu::VertexBufferLayout {
            array_stride: (CORNER * size_of::<f32>()) as u64,
            step_mode: wgpu::VertexStepMode::Vertex,
            attributes: &attributes,
        };
        let buffers = [corners];
        device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some(name),
            layout: pieces.then_some(&layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                compilation_options: Default::default(),
                buffers: if pieces { &buffers } else { &[] },
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
                    blend: Some(blend),
                    write_mask: wgpu::ColorWrites::ALL,
                })],
            }),
            multiview_mask: None,
            cache: None,
        })
    }

    /// A new texture, for pixels that are written.
    pub fn texture(
        &self,
        name: &str,
        size: [u32; 2],
        levels: u32,
        format: wgpu::TextureFormat,
    ) -> wgpu::Texture {
        let written = (format, wgpu::TextureUsages::COPY_DST);
        texture_of(&self.device, name, size, levels, written)
    }

    /// Puts pixels into one of a texture's levels, all of it.
    pub fn write(&self, texture: &wgpu::Texture, level: u32, pixels: &[u8], size: [u32; 2]) {
        let rows = size[1].max(1);
        self.queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                mip_level: level,
                ..texture.as_image_copy()
            },
            pixels,
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(pixels.len() as u32 / rows),
                rows_per_image: None,
            },
            extent(size),
        );
    }

    /// A new buffer that holds these bytes.
    pub fn buffer(&self, bytes: &[u8], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes.len().next_multiple_of(16) as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }
}

fn extent([width, height]: [u32; 2]) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width,
        height,
        depth_or_array_layers: 1,
    }
}

/// A new texture that is read, and filled by other means.
pub fn texture_of(
    device: &wgpu::Device,
    name: &str,
    size: [u32; 2],
    levels: u32,
    (format, filled): (wgpu::TextureFormat, wgpu::TextureUsages),
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(name),
        size: extent(size),
        mip_level_count: levels,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: filled | wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    })
}
