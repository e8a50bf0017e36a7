//! The tracker behind ObjMC: exhaustive template matching of what is seen of an entity in the first
//! frame, by least mean squared difference over its pixels, refined to fractions of a pixel by a
//! parabola. It needs no network, so its errors are its own and not those of another model.
//!
//! It follows position only: turning and scaling entities are found where they fit best.

use crate::train::source::Sample;

/// At least this share of an entity's pixels must lie in the frame for a place to count.
const VISIBLE: f32 = 0.4;

/// An entity to be found again.
pub struct Target {
    /// Pixels of the entity in the first frame: x, y, colour.
    pixels: Vec<(i32, i32, [f32; 3])>,
    width: i32,
    height: i32,
}

impl Target {
    /// Entity number `entity` of a clip; `None` when it is too small to be told from noise.
    pub fn new(sample: &Sample, entity: usize) -> Option<Self> {
        let (width, height) = (sample.input.width, sample.input.height);
        let frame = &sample.frames[0];
        let pixels: Vec<_> = sample
            .visible
            .get(entity)?
            .iter()
            .enumerate()
            .filter(|&(_, &mask)| mask >= 0.9)
            .map(|(at, _)| {
                let colour = [0, 1, 2].map(|channel| frame[at * 3 + channel]);
                ((at % width) as i32, (at / width) as i32, colour)
            })
            .collect();
        (pixels.len() >= 12).then_some(Self {
            pixels,
            width: width as i32,
            height: height as i32,
        })
    }

    /// Sum over frames (but the first) of the distance between where the entity is found and `truth`,
    /// its offsets to the first frame, in pixels.
    pub fn distance(&self, frames: &[Vec<f32>], truth: &[[f32; 2]]) -> f64 {
        frames
            .iter()
            .zip(truth)
            .skip(1)
            .map(|(frame, truth)| {
                let found = self.find(frame);
                ((found[0] - truth[0]).powi(2) + (found[1] - truth[1]).powi(2)).sqrt() as f64
            })
            .sum()
    }

    /// The entity's offset to the first frame, in pixels.
    pub fn find(&self, frame: &[f32]) -> [f32; 2] {
        let (w, h) = (self.width, self.height);
        // Coarse: every second place with a quarter of the pixels; fine: around the best ones.
        let stride = (self.pixels.len() / 150).max(1);
        let mut coarse: Vec<(f32, i32, i32)> = Vec::new();
        for dy in (-h + 1..h).step_by(2) {
            for dx in (-w + 1..w).step_by(2) {
                if let Some(error) = self.error(frame, dx, dy, stride) {
                    coarse.push((error, dx, dy));
                }
            }
        }
        coarse.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut best = (f32::INFINITY, 0, 0);
        for &(_, cx, cy) in coarse.iter().take(6) {
            for dy in cy - 1..=cy + 1 {
                for dx in cx - 1..=cx + 1 {
                    if let Some(error) = self.error(frame, dx, dy, 1)
                        && error < best.0
                    {
                        best = (error, dx, dy);
                    }
                }
            }
        }
        let (error, dx, dy) = best;
        let refine = |before: Option<f32>, after: Option<f32>| match (before, after) {
            (Some(a), Some(b)) if a + b - 2.0 * error > 1e-9 => {
                ((a - b) / (2.0 * (a + b - 2.0 * error))).clamp(-0.5, 0.5)
            }
            _ => 0.0,
        };
        [
            dx as f32
                + refine(
                    self.error(frame, dx - 1, dy, 1),
                    self.error(frame, dx + 1, dy, 1),
                ),
            dy as f32
                + refine(
                    self.error(frame, dx, dy - 1, 1),
                    self.error(frame, dx, dy + 1, 1),
                ),
        ]
    }

    /// Mean squared difference with the entity moved by whole pixels; `None` when too little of it
    /// would be seen.
    fn error(&self, frame: &[f32], dx: i32, dy: i32, stride: usize) -> Option<f32> {
        let (mut sum, mut seen, mut all) = (0.0, 0, 0);
        for &(x, y, colour) in self.pixels.iter().step_by(stride) {
            all += 1;
            let (x, y) = (x + dx, y + dy);
            if x < 0 || y < 0 || x >= self.width || y >= self.height {
                continue;
            }
            let at = ((y * self.width + x) * 3) as usize;
            for channel in 0..3 {
                sum += (frame[at + channel] - colour[channel]).powi(2);
            }
            seen += 1;
        }
        (seen as f32 >= VISIBLE * all as f32 && seen > 0).then(|| sum / seen as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::ConditionInput;

    fn frame(offset: [i32; 2]) -> Vec<f32> {
        let mut values = Vec::new();
        for y in 0..32 {
            for x in 0..32 {
                let (u, v) = (x - offset[0] - 6, y - offset[1] - 8);
                let inside = (0..8).contains(&u) && (0..8).contains(&v);
                let value = if inside {
                    ((u * 3 + v * 5) % 7) as f32 / 7.0
                } else {
                    -0.8 + ((x * 5 + y * 3) % 11) as f32 / 40.0
                };
                values.extend([value, value * 0.5, -value]);
            }
        }
        values
    }

    #[test]
    fn finds_an_entity_that_moved() {
        let visible = (0..32 * 32)
            .map(|at| {
                let inside = (6..14).contains(&(at % 32)) && (8..16).contains(&(at / 32));
                if inside { 1.0 } else { 0.0 }
            })
            .collect();
        let sample = Sample {
            frames: vec![frame([0, 0])],
            input: ConditionInput {
                frames: 1,
                width: 32,
                height: 32,
                entities: Vec::new(),
                background: Vec::new(),
            },
            inside: Vec::new(),
            visible: vec![visible],
        };
        let target = Target::new(&sample, 0).unwrap();
        for offset in [[0, 0], [9, -3], [-5, 7], [13, 12]] {
            let found = target.find(&frame(offset));
            let far = (found[0] - offset[0] as f32).abs() + (found[1] - offset[1] as f32).abs();
            assert!(far < 0.4, "{found:?} for {offset:?}");
        }
        let still = vec![frame([0, 0]); 3];
        let truth = [[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]];
        let distance = target.distance(&still, &truth);
        assert!((distance - 15.0).abs() < 0.5, "{distance}");
    }
}
