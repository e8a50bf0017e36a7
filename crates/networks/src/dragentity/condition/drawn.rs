//! Representations that are drawn as they are, without features: points, boxes, and two kinds of motion.
//!
//! Motion is in pixels of the video divided by a length that makes typical values about one, so that a network
//! trained from scratch sees it as strongly as the other kinds.

use super::{ConditionConfig, ConditionInput};
use dragentity_core::scene::Representation;
use dragentity_core::scene::raster::{self, Circle};

/// MotionCtrl smooths its vector field with a Gaussian of sigma 10 on frames of 256 x 256.
const GRAPH_SIGMA: f32 = 10.0 / 256.0;
/// Where a stroke's motion has faded to one half in the dense flow, as a share of the longer side.
const FLOW_REACH: f32 = 1.0 / 8.0;

/// One entity: its disc in the first frame, its bounding box, and where it goes.
struct Stroke {
    /// Centre of the disc in each frame, in pixels of the map.
    path: Vec<[f32; 2]>,
    /// Left, top, right, bottom in the first frame, in pixels of the map.
    bounds: [f32; 4],
}

/// Draws `[frames, channels, height, width]` of a representation that has channels of its own, appended to `out`.
pub(super) fn draw(input: &ConditionInput, config: &ConditionConfig, out: &mut Vec<f32>) {
    let scale = 1.0 / config.map_factor as f32;
    let strokes: Vec<Stroke> = input
        .entities
        .iter()
        .filter_map(|entity| {
            let disc = raster::inscribed_circle(&entity.mask)?.scaled(scale);
            let bounds = entity.mask.bounding_box()?;
            let start = entity.track[0];
            let path = entity.track.iter().map(|p| {
                let offset = [(p[0] - start[0]) * scale, (p[1] - start[1]) * scale];
                disc.moved(offset).center
            });
            Some(Stroke {
                path: path.collect(),
                bounds: [bounds.x0, bounds.y0, bounds.x1, bounds.y1].map(|v| v as f32 * scale),
            })
        })
        .collect();
    let (width, height) = (
        input.width / config.map_factor,
        input.height / config.map_factor,
    );
    let map = Map {
        width,
        side: width.max(height) as f32,
        latent: config.vae_factor as f32 * scale,
        dot: config.min_radius * config.vae_factor as f32 * scale,
    };
    let area = width * height;
    let channels = config.representation.channels();
    for frame in 0..input.frames {
        let start = out.len();
        out.resize(start + channels * area, 0.0);
        let planes = &mut out[start..];
        match config.representation {
            Representation::Point => map.points(&strokes, frame, planes),
            Representation::Box => map.boxes(&strokes, frame, planes),
            Representation::Graph => map.graph(&strokes, frame, planes.split_at_mut(area)),
            Representation::Flow => map.flow(&strokes, frame, planes.split_at_mut(area)),
            Representation::Gaussian | Representation::Entity => {}
        }
    }
}

/// The grid that is drawn on; lengths are its pixels.
struct Map {
    width: usize,
    /// The longer side.
    side: f32,
    /// One pixel of the latents.
    latent: f32,
    /// Radius of a point's dot: of the smallest disc that the latents can show.
    dot: f32,
}

impl Map {
    fn points(&self, strokes: &[Stroke], frame: usize, plane: &mut [f32]) {
        for stroke in strokes {
            let dot = Circle {
                center: stroke.path[frame],
                radius: self.dot,
            };
            raster::draw_disc(dot, self.width, plane);
        }
    }

    fn boxes(&self, strokes: &[Stroke], frame: usize, plane: &mut [f32]) {
        for stroke in strokes {
            let ([x, y], [x0, y0]) = (stroke.path[frame], stroke.path[0]);
            let [l, t, r, b] = stroke.bounds;
            let [l, t, r, b] = [l + x - x0, t + y - y0, r + x - x0, b + y - y0];
            // How much of pixel `at` lies between two lines.
            let covered = |from: f32, to: f32, at: usize| {
                (to.min(at as f32 + 1.0) - from.max(at as f32)).clamp(0.0, 1.0)
            };
            for (at, value) in plane.iter_mut().enumerate() {
                let inside = covered(l, r, at % self.width) * covered(t, b, at / self.width);
                *value = value.max(inside);
            }
        }
    }

    /// The way from one frame to the next, in pixels of the latents, around where it begins; nothing in the first frame.
    /// Ways that overlap add up, as in the filter that MotionCtrl uses.
    fn graph(&self, strokes: &[Stroke], frame: usize, (dx, dy): (&mut [f32], &mut [f32])) {
        let Some(before) = frame.checked_sub(1) else {
            return;
        };
        let sigma = GRAPH_SIGMA * self.side;
        for stroke in strokes {
            let (from, to) = (stroke.path[before], stroke.path[frame]);
            let way = [
                (to[0] - from[0]) / self.latent,
                (to[1] - from[1]) / self.latent,
            ];
            for at in 0..dx.len() {
                let near = (-0.5 * self.distance(at, from).powi(2) / (sigma * sigma)).exp();
                dx[at] += near * way[0];
                dy[at] += near * way[1];
            }
        }
    }

    /// The way since the first frame, in eighths of the longer side, at every place of the first frame: that of
    /// the trajectories near it, weighted by the inverse square of their distance and against standing still.
    /// (DragNUWA completes its sparse strokes with a network trained for it, which is not at hand.)
    fn flow(&self, strokes: &[Stroke], frame: usize, (dx, dy): (&mut [f32], &mut [f32])) {
        let reach = FLOW_REACH * self.side;
        for at in 0..dx.len() {
            // Standing still has the weight of a stroke as far away as the reach.
            let (mut weights, mut sum) = (1.0, [0.0; 2]);
            for stroke in strokes {
                let (from, to) = (stroke.path[0], stroke.path[frame]);
                // On the stroke itself its own way counts, finite in floats.
                let weight = (reach / self.distance(at, from).max(0.05 * reach)).powi(2);
                weights += weight;
                sum[0] += weight * (to[0] - from[0]);
                sum[1] += weight * (to[1] - from[1]);
            }
            dx[at] = sum[0] / weights / reach;
            dy[at] = sum[1] / weights / reach;
        }
    }

    /// From the centre of pixel `at`.
    fn distance(&self, at: usize, to: [f32; 2]) -> f32 {
        let (x, y) = (at % self.width, at / self.width);
        (x as f32 + 0.5 - to[0]).hypot(y as f32 + 0.5 - to[1])
    }
}
