//! The pixels of a live view on the GPU: plate, things and shadows with smaller ones of each, and whose a mesh's places are.

use super::drawing::{Drawing, floats};
use dragentity_compositor::cutout::Sprite;
use dragentity_core::scene::Picture;
use dragentity_core::scene::bend::Mesh;
use std::sync::Arc;
use wgpu::TextureFormat::{R8Unorm, Rgba8Unorm};

/// How many images there are of each, every one half as large as the one before: things that shrink to a thirtieth do not shimmer.
const LEVELS: u32 = 5;
/// Transparent pixels around a thing, for what is looked up beside it.
const AROUND: u32 = 4;
/// Farther than any image reaches.
const FAR: f32 = 1e9;
/// Pixels along a side of what says whose a cell's places are.
const CELL: u32 = 24;

/// Pixels on the GPU; their memory is free as soon as this is dropped, not when the browser finds out.
struct Texture(wgpu::Texture);

impl Drop for Texture {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

/// An image, and where it is in the plate.
pub struct Image {
    texture: Texture,
    bounds: wgpu::Buffer,
    /// What it is drawn with, where nothing is bent.
    pub group: wgpu::BindGroup,
    /// Where its first pixel is in the plate.
    pub origin: [f32; 2],
    /// Number of columns and rows that are seen.
    pub size: [f32; 2],
    /// Pixels before the first.
    pub before: f32,
}

impl Image {
    /// Of premultiplied pixels, or of those of a plate, which go on as they end; `None` where they are more than the GPU takes.
    fn new(
        drawing: &Drawing,
        origin: [f32; 2],
        [width, height]: [u32; 2],
        around: Option<u32>,
        pixel: impl Fn(usize) -> [u8; 4],
    ) -> Option<Self> {
        let before = around.unwrap_or(0);
        // Halved again and again without a rest.
        let whole =
            |side: u32| Some((side.checked_add(2 * before)?).next_multiple_of(1 << (LEVELS - 1)));
        let (across, down) = (whole(width)?, whole(height)?);
        if width == 0 || height == 0 || across.max(down) > drawing.most {
            return None;
        }
        let mut pixels = Vec::with_capacity(across as usize * down as usize * 4);
        for y in 0..down {
            for x in 0..across {
                let (mut x, mut y) = (x.wrapping_sub(before), y.wrapping_sub(before));
                if around.is_none() {
                    (x, y) = (x.min(width - 1), y.min(height - 1));
                }
                let inside = x < width && y < height;
                let at = || y as usize * width as usize + x as usize;
                pixels.extend(if inside { pixel(at()) } else { [0; 4] });
            }
        }
        let texture = Texture(drawing.texture("image", [across, down], LEVELS, Rgba8Unorm));
        let mut side = [across, down];
        for level in 0..LEVELS {
            if level > 0 {
                pixels = halved(&pixels, side[0] as usize);
                side = side.map(|side| side / 2);
            }
            drawing.write(&texture.0, level, &pixels, side);
        }
        let bounds = match around {
            Some(_) => [-FAR, -FAR, FAR, FAR],
            None => [0.0, 0.0, width as f32, height as f32],
        };
        let bounds = drawing.buffer(&floats(&bounds), wgpu::BufferUsages::UNIFORM);
        let group = drawing.group(&texture.0, &drawing.all, &bounds);
        Some(Self {
            texture,
            bounds,
            group,
            origin,
            size: [width as f32, height as f32],
            before: before as f32,
        })
    }

    fn of_sprite(drawing: &Drawing, sprite: &Sprite) -> Option<Self> {
        let size = [sprite.width, sprite.height];
        if sprite.rgba.len() != size[0] as usize * size[1] as usize * 4 {
            return None;
        }
        let premultiplied = |at: usize| {
            let p = &sprite.rgba[at * 4..at * 4 + 4];
            let of = |c: u8| ((u32::from(c) * u32::from(p[3]) + 127) / 255) as u8;
            [of(p[0]), of(p[1]), of(p[2]), p[3]]
        };
        let origin = [sprite.x as f32, sprite.y as f32];
        Self::new(drawing, origin, size, Some(AROUND), premultiplied)
    }

    fn of_plate(drawing: &Drawing, plate: &Picture) -> Option<Self> {
        let opaque = |at: usize| {
            let p = &plate.rgb[at * 3..at * 3 + 3];
            [p[0], p[1], p[2], 255]
        };
        let size = [plate.width, plate.height];
        Self::new(drawing, [0.0; 2], size, None, opaque)
    }
}

/// Every four pixels as one, their mean.
fn halved(pixels: &[u8], width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / 4);
    for rows in pixels.chunks_exact(width * 8) {
        let (upper, lower) = rows.split_at(width * 4);
        for (a, b) in upper.chunks_exact(8).zip(lower.chunks_exact(8)) {
            for c in 0..4 {
                let sum = [a[c], a[c + 4], b[c], b[c + 4]]
                    .map(u32::from)
                    .iter()
                    .sum::<u32>();
                out.push(((sum + 2) / 4) as u8);
            }
        }
    }
    out
}

/// A thing with its shadow, and the mesh that it was bent by last.
pub struct Layer {
    /// Its shadow.
    pub shade: Option<Image>,
    /// The thing.
    pub thing: Image,
    /// Its mesh.
    pub cut: Option<Cut>,
}

impl Layer {
    /// What it takes to draw it through a mesh, made when another one comes; `None` where that is more than the GPU takes.
    pub fn cut(&mut self, drawing: &Drawing, mesh: &Arc<Mesh>) -> Option<&Cut> {
        if self
            .cut
            .as_ref()
            .is_none_or(|cut| !Arc::ptr_eq(&cut.mesh, mesh))
        {
            self.cut = Some(Cut::new(drawing, &self.thing, mesh)?);
        }
        self.cut.as_ref()
    }
}

/// What a live view is made of, on the GPU.
pub struct Shown {
    /// The plate.
    pub plate: Image,
    /// Back to front.
    pub layers: Vec<Layer>,
}

impl Shown {
    /// Of a plate, and of each layer its shadow, if it has one, and itself.
    pub fn new(
        drawing: &Drawing,
        plate: &Picture,
        layers: &[[Option<&Sprite>; 2]],
    ) -> Option<Self> {
        let layer = |[shade, thing]: &[Option<&Sprite>; 2]| {
            let shade = match shade {
                Some(shade) => Some(Image::of_sprite(drawing, shade)?),
                None => None,
            };
            let thing = Image::of_sprite(drawing, (*thing)?)?;
            Some(Layer {
                shade,
                thing,
                cut: None,
            })
        };
        Some(Self {
            plate: Image::of_plate(drawing, plate)?,
            layers: layers.iter().map(layer).collect::<Option<_>>()?,
        })
    }
}

/// A mesh over a thing: the corners of its triangles, and whose the places are where several parts of it share a cell.
pub struct Cut {
    mesh: Arc<Mesh>,
    /// For drawing the thing through it.
    pub group: wgpu::BindGroup,
    /// For each corner of each triangle, the uppermost triangle first: its vertex, where it is at rest in pixels of the image, and in
    /// fractions of what says whose the places are.
    pub corners: Vec<(u32, [f32; 2], [f32; 2])>,
    _shares: Texture,
}

impl Cut {
    fn new(drawing: &Drawing, thing: &Image, mesh: &Arc<Mesh>) -> Option<Self> {
        let (vertices, triangles) = (mesh.vertices(), mesh.triangles());
        // One that is all its own, then those that are not.
        let shared: Vec<usize> = (0..triangles.len())
            .step_by(2)
            .filter(|t| !mesh.owns_all(*t))
            .collect();
        let columns = (shared.len() as f32 + 1.0).sqrt().ceil() as u32;
        let rows = (shared.len() as u32 + 1).div_ceil(columns);
        // A place more all around, so that nothing of a neighbour is between.
        let tile = CELL + 2;
        let size = [columns * tile, rows * tile];
        if size[0].max(size[1]) > drawing.most {
            return None;
        }
        let mut pixels = vec![255; size[0] as usize * size[1] as usize];
        let mut tiles = vec![None; triangles.len().div_ceil(2)];
        let place = |number: usize| {
            let number = number as u32;
            [(number % columns) * tile, (number / columns) * tile]
        };
        for (number, &triangle) in (1..).zip(&shared) {
            let corners = triangles[triangle..].iter().take(2).flatten();
            let corners = corners.map(|v| vertices[*v as usize]);
            let (low, high) = corners.fold(([FAR; 2], [-FAR; 2]), |(low, high), p| {
                (
                    [0, 1].map(|c| low[c].min(p[c])),
                    [0, 1].map(|c| high[c].max(p[c])),
                )
            });
            let step = [0, 1].map(|c| (high[c] - low[c]).max(1e-3) / CELL as f32);
            let [left, top] = place(number);
            for y in 0..tile {
                for x in 0..tile {
                    let at = [
                        low[0] + (x as f32 - 0.5) * step[0],
                        low[1] + (y as f32 - 0.5) * step[1],
                    ];
                    let share = (255.0 * mesh.share(triangle, at)).round() as u8;
                    pixels[((top + y) * size[0] + left + x) as usize] = share;
                }
            }
            tiles[triangle / 2] = Some(([left, top], low, step));
        }
        let texture = Texture(drawing.texture("shares", size, 1, R8Unorm));
        drawing.write(&texture.0, 0, &pixels, size);
        let middle = 0.5 * tile as f32;
        let corner = |triangle: usize, vertex: u32| {
            let rest = vertices[vertex as usize];
            let share = match &tiles[triangle / 2] {
                Some((first, low, step)) => {
                    [0, 1].map(|c| first[c] as f32 + 1.0 + (rest[c] - low[c]) / step[c])
                }
                None => [middle; 2],
            };
            let at = [0, 1].map(|c| rest[c] - thing.origin[c] + thing.before);
            (vertex, at, [0, 1].map(|c| share[c] / size[c] as f32))
        };
        let all = triangles.iter().enumerate().rev();
        let corners = all.flat_map(|(triangle, corners)| corners.map(|v| corner(triangle, v)));
        Some(Self {
            mesh: mesh.clone(),
            group: drawing.group(&thing.texture.0, &texture.0, &thing.bounds),
            corners: corners.collect(),
            _shares: texture,
        })
    }
}
