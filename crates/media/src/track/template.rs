//! Masked template matching over the whole frame, joined over time: the tracker behind ObjMC.
//!
//! The template is what is seen of an entity in the first frame. In each frame, places are rated by the mean
//! squared difference over its pixels, cut off so that pixels hidden by something else cost no more than
//! any other mismatch. The best places of all frames are then joined into the cheapest path (Viterbi), where
//! jumps cost a little: a look-alike elsewhere wins only when it is the better match for several frames.
//! Last, a parabola gives fractions of a pixel. It needs no network, so its errors are its own and not those of
//! another model.
//!
//! It follows position only: turning and scaling entities are found where they fit best.

use super::{EntityTrack, Tracks, mask_and_circle};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::Mask;
use rayon::prelude::*;

/// At least this share of an entity's pixels must lie in the frame for a place to count.
const IN_FRAME: f32 = 0.4;
/// Entities with fewer pixels cannot be told from noise.
const FEWEST_PIXELS: usize = 20;
/// Squared differences (of colours in -1..1, mean of three channels) count no more than this.
const CUT: f32 = 0.15;
/// What a pixel of movement from one frame to the next costs, in the unit of squared differences.
const JUMP: f32 = 0.0008;
/// Places that are looked at with all pixels.
const LOOKED_AT: usize = 400;
/// Places kept of each frame.
const PLACES: usize = 16;
/// Kept places are at least this many pixels apart.
const APART: i32 = 3;

/// An entity to be found again.
pub struct Target {
    /// Pixels of the entity in the first frame: x, y, colour.
    pixels: Vec<(i32, i32, [f32; 3])>,
    width: i32,
    height: i32,
}

/// A place where the entity may be: its offset to the first frame, and the cost of the match.
#[derive(Clone, Copy)]
struct Place {
    dx: i32,
    dy: i32,
    cost: f32,
}

impl Target {
    /// An entity of a frame of `[height, width, 3]` in -1..1, where `mask` (0..1) shows it; `None` when it is too small
    /// to be told from noise.
    pub fn new(frame: &[f32], mask: &[f32], width: usize, height: usize) -> Option<Self> {
        let pixels: Vec<_> = mask
            .iter()
            .enumerate()
            .filter(|&(_, &mask)| mask >= 0.9)
            .map(|(at, _)| {
                let colour = [0, 1, 2].map(|channel| frame[at * 3 + channel]);
                ((at % width) as i32, (at / width) as i32, colour)
            })
            .collect();
        (pixels.len() >= FEWEST_PIXELS).then_some(Self {
            pixels,
            width: width as i32,
            height: height as i32,
        })
    }

    /// Sum of the distances in pixels between where the entity is found and `truth`, its offsets to the
    /// first frame, over the frames that `counted` names.
    pub fn distance(&self, frames: &[Vec<f32>], truth: &[[f32; 2]], counted: &[bool]) -> f64 {
        self.track(frames)
            .iter()
            .zip(truth)
            .zip(counted)
            .filter(|(_, counted)| **counted)
            .map(|((found, truth), _)| f64::from((found[0] - truth[0]).hypot(found[1] - truth[1])))
            .sum()
    }

    /// The entity's offsets to the first frame, in pixels; zero in the first.
    pub fn track(&self, frames: &[Vec<f32>]) -> Vec<[f32; 2]> {
        let start = Place {
            dx: 0,
            dy: 0,
            cost: 0.0,
        };
        let mut places = vec![vec![start]];
        for (index, frame) in frames.iter().enumerate().skip(1) {
            // A frame like the one before (a baseline is one picture repeated) has the same places.
            let found = if index > 1 && *frame == frames[index - 1] {
                places[index - 1].clone()
            } else {
                self.places(frame)
            };
            places.push(found);
        }
        let path = cheapest_path(&places);
        path.iter()
            .zip(frames)
            .enumerate()
            .map(|(index, (place, frame))| match index {
                0 => [0.0; 2],
                _ => self.refine(frame, *place),
            })
            .collect()
    }

    /// Offsets to the first frame at which a frame looks most like the entity, best first; at most `count`.
    pub fn likely(&self, frame: &[f32], count: usize) -> Vec<[f32; 2]> {
        let places = self.places(frame).into_iter().take(count);
        places.map(|p| [p.dx as f32, p.dy as f32]).collect()
    }

    /// The places of a frame that look most like the entity, best first; never empty.
    fn places(&self, frame: &[f32]) -> Vec<Place> {
        let (w, h) = (self.width, self.height);
        // First with some of the pixels, then the best places with all of them.
        let stride = (self.pixels.len() / 64).max(1);
        let mut places = Vec::new();
        for dy in 1 - h..h {
            for dx in 1 - w..w {
                if let Some(cost) = self.cost(frame, dx, dy, stride) {
                    places.push(Place { dx, dy, cost });
                }
            }
        }
        let by_cost = |a: &Place, b: &Place| a.cost.total_cmp(&b.cost);
        if places.len() > LOOKED_AT {
            places.select_nth_unstable_by(LOOKED_AT, by_cost);
            places.truncate(LOOKED_AT);
        }
        for place in &mut places {
            if let Some(cost) = self.cost(frame, place.dx, place.dy, 1) {
                place.cost = cost;
            }
        }
        places.sort_by(by_cost);
        let mut kept: Vec<Place> = Vec::with_capacity(PLACES);
        for place in places {
            let apart = |other: &Place| {
                (other.dx - place.dx).abs() >= APART || (other.dy - place.dy).abs() >= APART
            };
            if kept.len() < PLACES && kept.iter().all(apart) {
                kept.push(place);
            }
        }
        kept
    }

    /// The lowest point of a parabola through the costs around a place.
    fn refine(&self, frame: &[f32], place: Place) -> [f32; 2] {
        let Place { dx, dy, cost } = place;
        let lowest = |before: Option<f32>, after: Option<f32>| match (before, after) {
            (Some(a), Some(b)) if a + b - 2.0 * cost > 1e-9 => {
                ((a - b) / (2.0 * (a + b - 2.0 * cost))).clamp(-0.5, 0.5)
            }
            _ => 0.0,
        };
        let at = |dx, dy| self.cost(frame, dx, dy, 1);
        [
            dx as f32 + lowest(at(dx - 1, dy), at(dx + 1, dy)),
            dy as f32 + lowest(at(dx, dy - 1), at(dx, dy + 1)),
        ]
    }

    /// Mean cut-off squared difference with the entity moved by whole pixels; `None` when too little of it
    /// would be in the frame. Only every `stride`th pixel is looked at.
    fn cost(&self, frame: &[f32], dx: i32, dy: i32, stride: usize) -> Option<f32> {
        let (mut sum, mut seen, mut all) = (0.0, 0, 0);
        for &(x, y, colour) in self.pixels.iter().step_by(stride) {
            all += 1;
            let (x, y) = (x + dx, y + dy);
            if x < 0 || y < 0 || x >= self.width || y >= self.height {
                continue;
            }
            let at = ((y * self.width + x) * 3) as usize;
            let difference: f32 = (0..3)
                .map(|channel| (frame[at + channel] - colour[channel]).powi(2))
                .sum();
            sum += (difference / 3.0).min(CUT);
            seen += 1;
        }
        // Where part of it is outside, the outside counts as half a mismatch: places in the frame come first.
        let outside = (all - seen) as f32 * CUT * 0.5;
        (seen as f32 >= IN_FRAME * all as f32 && seen > 0).then(|| (sum + outside) / all as f32)
    }
}

/// Tracks entities (name and mask in the first frame) through a video; what is too small to be told from noise stays
/// where it is. Nothing is said about what is hidden: everything counts as seen.
///
/// # Errors
/// [`Error::Job`] for a mask with nothing inside, naming the entity.
pub fn track(video: &Video, entities: &[(String, Mask)]) -> Result<Tracks> {
    let unit = |rgb: &Vec<u8>| rgb.iter().map(|&b| f32::from(b) / 127.5 - 1.0).collect();
    let frames: Vec<Vec<f32>> = video.frames.iter().map(unit).collect();
    let (width, height) = (video.width, video.height);
    let one = |(name, mask): &(String, Mask)| {
        let (mask, circle) =
            mask_and_circle(mask, width, height).map_err(|e| Error::Job(format!("{name}: {e}")))?;
        let alpha: Vec<f32> = mask.alpha.iter().map(|&a| f32::from(a) / 255.0).collect();
        let target = (frames.first())
            .and_then(|first| Target::new(first, &alpha, width as usize, height as usize));
        let offsets = match target {
            Some(target) => target.track(&frames),
            None => vec![[0.0; 2]; frames.len()],
        };
        let [x, y] = circle.center;
        Ok(EntityTrack {
            name: name.clone(),
            radius: circle.radius,
            points: offsets.iter().map(|o| [x + o[0], y + o[1]]).collect(),
            visible: vec![true; frames.len()],
        })
    };
    let entities: Result<Vec<_>> = entities.par_iter().map(one).collect();
    Ok(Tracks {
        width,
        height,
        frames: frames.len(),
        entities: entities?,
    })
}

/// One place of each list, with the least sum of costs and jumps.
fn cheapest_path(places: &[Vec<Place>]) -> Vec<Place> {
    // For each place: the least sum up to it, and the place before it on that way.
    let mut totals: Vec<Vec<(f32, usize)>> = Vec::with_capacity(places.len());
    for (frame, list) in places.iter().enumerate() {
        let before = match frame {
            0 => Vec::new(),
            _ => places[frame - 1]
                .iter()
                .zip(&totals[frame - 1])
                .enumerate()
                .collect(),
        };
        let column = list.iter().map(|place| {
            let (total, from) = before
                .iter()
                .map(|(index, (from, (total, _)))| {
                    let (x, y) = (place.dx - from.dx, place.dy - from.dy);
                    (total + JUMP * (x as f32).hypot(y as f32), *index)
                })
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .unwrap_or((0.0, 0));
            (total + place.cost, from)
        });
        totals.push(column.collect());
    }
    let cheapest = totals.last().and_then(|column| {
        let best = column.iter().enumerate();
        best.min_by(|a, b| a.1.0.total_cmp(&b.1.0))
    });
    let Some((mut index, _)) = cheapest else {
        return Vec::new();
    };
    let mut path = Vec::with_capacity(places.len());
    for frame in (0..places.len()).rev() {
        path.push(places[frame][index]);
        index = totals[frame][index].1;
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An 8x8 pattern over a calmer background, and, where asked, a striped bar over part of it.
    fn frame(offset: [i32; 2], hidden: bool) -> Vec<f32> {
        let mut values = Vec::new();
        for y in 0..32 {
            for x in 0..32 {
                let (u, v) = (x - offset[0] - 6, y - offset[1] - 8);
                let inside = (0..8).contains(&u) && (0..8).contains(&v);
                let value = if inside && hidden && u < 3 {
                    if v % 2 == 0 { 1.0 } else { -1.0 }
                } else if inside {
                    ((u * 3 + v * 5) % 7) as f32 / 7.0
                } else {
                    -0.8 + ((x * 5 + y * 3) % 11) as f32 / 40.0
                };
                values.extend([value, value * 0.5, -value]);
            }
        }
        values
    }

    fn target() -> Target {
        let visible: Vec<f32> = (0..32 * 32)
            .map(|at| {
                let inside = (6..14).contains(&(at % 32)) && (8..16).contains(&(at / 32));
                if inside { 1.0 } else { 0.0 }
            })
            .collect();
        Target::new(&frame([0, 0], false), &visible, 32, 32).unwrap()
    }

    #[test]
    fn follows_an_entity_that_moves_and_is_partly_hidden() {
        let offsets = [[0, 0], [4, -3], [8, 2], [11, 7], [13, 12]];
        let frames: Vec<_> = offsets
            .iter()
            .enumerate()
            .map(|(index, &offset)| frame(offset, index == 2))
            .collect();
        for (found, offset) in target().track(&frames).iter().zip(offsets) {
            let far = (found[0] - offset[0] as f32).abs() + (found[1] - offset[1] as f32).abs();
            assert!(far < 0.4, "{found:?} for {offset:?}");
        }
    }

    #[test]
    fn distances_are_in_pixels_and_of_the_counted_frames() {
        let still = vec![frame([0, 0], false); 3];
        let truth = [[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]];
        let distance = target().distance(&still, &truth, &[false, true, true]);
        assert!((distance - 15.0).abs() < 0.5, "{distance}");
        let distance = target().distance(&still, &truth, &[false, true, false]);
        assert!((distance - 5.0).abs() < 0.3, "{distance}");
    }

    #[test]
    fn a_look_alike_far_away_does_not_win_for_a_frame() {
        // The same entity twice: it stays, its twin appears in the second frame only.
        let mut twice = frame([0, 0], false);
        let twin = frame([16, 14], false);
        for y in 22..30 {
            for x in 22..30 {
                let at = (y * 32 + x) * 3;
                twice[at..at + 3].copy_from_slice(&twin[at..at + 3]);
            }
        }
        let frames = [frame([0, 0], false), twice, frame([1, 0], false)];
        let track = target().track(&frames);
        assert!(
            track[1][0].abs() < 0.5 && track[1][1].abs() < 0.5,
            "{track:?}"
        );
    }
}
