//! The live view drawn by the GPU, where there is a real one: what `live_view` else draws on a 2D canvas, bending in software. What
//! comes of it is a bitmap, which the stage draws like any other picture.

#[cfg(feature = "wgpu")]
mod corners;
#[cfg(feature = "wgpu")]
mod device;
#[cfg(feature = "wgpu")]
mod drawing;
#[cfg(feature = "wgpu")]
mod images;
#[cfg(not(feature = "wgpu"))]
mod none;

#[cfg(feature = "wgpu")]
pub use device::LiveGpu;
#[cfg(feature = "wgpu")]
pub use images::Shown;
#[cfg(not(feature = "wgpu"))]
pub use none::{LiveGpu, Shown};

use dragentity_core::scene::bend::Mesh;
use dragentity_core::scene::ground::Ground;
use std::sync::Arc;

/// Something that is seen in a moment.
#[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "a GPU reads them"))]
pub enum Part<'a> {
    /// The plate, led by the camera by fractions of it: as something flat, or past the ground.
    Plate {
        /// How far.
        by: [f32; 2],
        /// What it goes past.
        ground: Option<Ground>,
    },
    /// A layer moved as it is, by fractions of the picture.
    Moved {
        /// Which layer.
        layer: usize,
        /// How far.
        by: [f32; 2],
    },
    /// A layer that is bent.
    Bent {
        /// Which layer.
        layer: usize,
        /// At rest.
        mesh: &'a Arc<Mesh>,
        /// Where its vertices are, in pixels of the plate.
        vertices: &'a [[f32; 2]],
    },
}

/// On which canvas it is seen.
#[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "a GPU reads them"))]
pub struct Seen {
    /// Its size in pixels.
    pub canvas: [u32; 2],
    /// What is seen of the whole picture, as a canvas's transform says it.
    pub transform: [f32; 6],
}
