//! The default tracker: many points of each entity by pyramidal Lucas-Kanade, joined into one motion.
//!
//! From frame to frame every point goes forward and back again, and counts only when it comes back to where it was
//! (Kalal and others, "Forward-Backward Error", 2010). The points that did say how the entity as a whole has moved,
//! turned and grown; around where that puts each point, the first frame's own pixels are looked for, which takes back
//! the drift of many small steps and finds points again that were hidden. Windows end at the entity's mask, so that
//! the background does not hold its edge back. Where too few points are left, the whole frame is searched for what looks
//! like the entity ([`super::template`], on a small copy); if its points are not found there either, it is hidden, and
//! its last speed carries it on until it is seen again.

use super::patch::{Patch, Turn, follow};
use super::pyramid::Pyramid;
use super::template::Target;
use super::{EntityTrack, Tracks, mask_and_circle};
use dragentity_core::Video;
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::raster::Circle;
use dragentity_core::scene::{Mask, raster};
use rayon::prelude::*;

/// About how many points an entity gets.
const POINTS: usize = 80;
/// Pixels within which a point must come back to where it was.
const COMES_BACK: f32 = 1.0;
/// How far, in pixels and in radii of the entity's circle, a point may be from where the entity's motion puts it.
const STRAY: (f32, f32) = (1.0, 0.1);
/// Mean difference of colours (0 to 1) up to which pixels are those of the first frame.
const SAME: f32 = 0.07;
/// With less than this share of its points an entity is hidden.
const FEWEST: f32 = 0.15;
/// With this share of its points it is taken to be where a search of the whole frame says.
const FOUND_AGAIN: f32 = 0.35;
/// Places that such a search proposes, and the longer side, in pixels, of the copy that it searches.
const PROPOSED: usize = 4;
const SEARCHED_SIDE: usize = 128;
/// What is left of the speed from frame to frame while it is hidden.
const CARRIES_ON: f32 = 0.85;

/// Where an entity is: its centre, and how it has turned and grown since the first frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Motion {
    pub(super) home: [f32; 2],
    pub(super) place: [f32; 2],
    pub(super) turn: Turn,
}

impl Motion {
    /// Where a point of the first frame is.
    pub(super) fn of(&self, p: [f32; 2]) -> [f32; 2] {
        let [x, y] = self.turn.of([p[0] - self.home[0], p[1] - self.home[1]]);
        [self.place[0] + x, self.place[1] + y]
    }

    /// The motion that takes the points where they are now. Points far off count little, and points near the centre
    /// most: what is asked for is where that is, and bodies bend.
    pub(super) fn fitted(&self, pairs: &[([f32; 2], [f32; 2])], radius: f32) -> Self {
        let mut motion = *self;
        let shift = |axis: usize| {
            let mut by: Vec<f32> = pairs
                .iter()
                .map(|(home, at)| at[axis] - self.of(*home)[axis])
                .collect();
            by.sort_by(f32::total_cmp);
            by.get(by.len() / 2).copied().unwrap_or(0.0)
        };
        motion.place = [motion.place[0] + shift(0), motion.place[1] + shift(1)];
        for _ in 0..6 {
            let near = (2.0 * radius).powi(2).max(16.0);
            let weights: Vec<f32> = pairs
                .iter()
                .map(|(home, at)| {
                    let off = distance(*at, motion.of(*home)) / (0.5 * STRAY.0);
                    let from = distance(*home, self.home).powi(2) / near;
                    1.0 / ((1.0 + off * off).powi(2) * (1.0 + from))
                })
                .collect();
            let total: f32 = weights.iter().sum();
            if total < 1e-6 {
                break;
            }
            let mut means = [[0.0; 2]; 2];
            for ((home, at), w) in pairs.iter().zip(&weights) {
                for axis in 0..2 {
                    means[0][axis] += w * home[axis] / total;
                    means[1][axis] += w * at[axis] / total;
                }
            }
            // A few points close together say little about turning: as much as this holds the last one.
            let hold = 3.0 * total;
            let (mut a, mut b, mut all) = (hold * self.turn.0, hold * self.turn.1, hold);
            for ((home, at), w) in pairs.iter().zip(&weights) {
                let p = [home[0] - means[0][0], home[1] - means[0][1]];
                let q = [at[0] - means[1][0], at[1] - means[1][1]];
                a += w * (p[0] * q[0] + p[1] * q[1]);
                b += w * (p[0] * q[1] - p[1] * q[0]);
                all += w * (p[0] * p[0] + p[1] * p[1]);
            }
            motion.turn = Turn(a / all, b / all);
            let [x, y] = motion
                .turn
                .of([self.home[0] - means[0][0], self.home[1] - means[0][1]]);
            motion.place = [means[1][0] + x, means[1][1] + y];
        }
        motion
    }
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// A point of an entity.
struct Point {
    /// Where it is in the first frame, and the pixels there, at each level.
    home: [f32; 2],
    patches: Vec<Patch>,
    at: [f32; 2],
    seen: bool,
}

/// An entity on its way.
struct Body {
    circle: Circle,
    /// How much of each pixel is the entity's, at each level: coverage, and its width.
    cover: Vec<(Vec<f32>, usize)>,
    points: Vec<Point>,
    /// What is searched for in the whole frame, and at which level.
    target: Option<Target>,
    searched: usize,
    motion: Motion,
    speed: [f32; 2],
}

/// Where the points are by the first frame's pixels, the motion that this makes, and how many agree with it.
struct Fit {
    found: Vec<Option<[f32; 2]>>,
    motion: Motion,
    agreeing: usize,
}

impl Body {
    fn new(first: &Pyramid, mask: &Mask, circle: Circle) -> Self {
        let cover: Vec<_> = first
            .0
            .iter()
            .map(|level| {
                (
                    raster::coverage(mask, level.width, level.height),
                    level.width,
                )
            })
            .collect();
        let homes = homes(mask, circle.center);
        let motion = Motion {
            home: circle.center,
            place: circle.center,
            turn: Turn::NONE,
        };
        let mut body = Self {
            circle,
            cover,
            points: Vec::new(),
            target: None,
            searched: 0,
            motion,
            speed: [0.0; 2],
        };
        let small = |level: &super::pyramid::Level| level.width.max(level.height) <= SEARCHED_SIDE;
        body.searched = first.0.iter().position(small).unwrap_or(first.0.len() - 1);
        let level = &first.0[body.searched];
        let (cover, width) = &body.cover[body.searched];
        body.target = Target::new(&level.signed(), cover, *width, level.height);
        body.points = homes
            .into_iter()
            .map(|home| Point {
                home,
                patches: (0..first.0.len())
                    .map(|number| {
                        let at = home.map(|v| v / (1 << number) as f32);
                        Patch::new(&first.0[number], at, |o| body.weight(number, home, o))
                    })
                    .collect(),
                at: home,
                seen: true,
            })
            .collect();
        body
    }

    /// How much the pixel at an offset from a point, on a level, is the entity's.
    fn weight(&self, number: usize, home: [f32; 2], offset: [f32; 2]) -> f32 {
        let scale = (1 << number) as f32;
        let (cover, width) = &self.cover[number];
        let [x, y] = [0, 1].map(|axis| (home[axis] / scale + offset[axis]).floor());
        if x < 0.0 || y < 0.0 || x >= *width as f32 {
            return 0.0;
        }
        cover
            .get(y as usize * width + x as usize)
            .copied()
            .unwrap_or(0.0)
    }

    fn stray(&self) -> f32 {
        STRAY.0 + STRAY.1 * self.circle.radius
    }

    /// From one frame to the next; whether the centre is seen there.
    fn step(&mut self, before: &Pyramid, now: &Pyramid) -> bool {
        let held = self.motion;
        let guess = |p: [f32; 2], speed: [f32; 2]| [p[0] + speed[0], p[1] + speed[1]];
        // There and back.
        let moved: Vec<Option<[f32; 2]>> = self
            .points
            .iter()
            .map(|point| {
                if !point.seen {
                    return None;
                }
                let weigh = |number: usize, o| self.weight(number, point.home, o);
                let there = follow(before, now, point.at, guess(point.at, self.speed), weigh)?;
                let back = follow(now, before, there.at, point.at, weigh)?;
                (distance(back.at, point.at) < COMES_BACK).then_some(there.at)
            })
            .collect();
        let pairs: Vec<_> = self
            .points
            .iter()
            .zip(&moved)
            .filter_map(|(point, at)| Some((point.home, (*at)?)))
            .collect();
        let fewest = (FEWEST * self.points.len() as f32).ceil().max(1.0) as usize;
        let again = (FOUND_AGAIN * self.points.len() as f32).ceil() as usize;
        let lost = pairs.len() < fewest;
        let mut fit = if lost {
            let motion = Motion {
                place: guess(held.place, self.speed),
                ..held
            };
            self.fit(motion, now, &moved, usize::MAX)
        } else {
            let motion = held.fitted(&pairs, self.circle.radius);
            self.fit(motion, now, &moved, 1)
        };
        let mut hidden = fit.agreeing < if lost { again } else { fewest };
        if hidden && let Some(elsewhere) = self.search(now) {
            hidden = elsewhere.agreeing < again;
            fit = elsewhere;
        }
        if hidden {
            self.speed = self.speed.map(|v| v * CARRIES_ON);
            self.motion = Motion {
                place: guess(held.place, self.speed),
                ..held
            };
        } else {
            self.motion = fit.motion;
            self.speed = [0, 1].map(|axis| fit.motion.place[axis] - held.place[axis]);
        }
        let (stray, motion) = (self.stray(), self.motion);
        let agree = |home: [f32; 2], at: [f32; 2]| distance(at, motion.of(home)) < stray;
        let found = &fit.found;
        for (point, (found, moved)) in self.points.iter_mut().zip(found.iter().zip(&moved)) {
            let at = found
                .or(*moved)
                .filter(|at| !hidden && agree(point.home, *at));
            point.seen = at.is_some();
            point.at = at.unwrap_or_else(|| self.motion.of(point.home));
        }
        !hidden && self.centre_is_seen(now)
    }

    /// Looks for the first frame's pixels where `motion` puts them, from level `from` down.
    fn fit(&self, motion: Motion, now: &Pyramid, moved: &[Option<[f32; 2]>], from: usize) -> Fit {
        let stray = self.stray();
        let reach = if from == usize::MAX {
            f32::INFINITY
        } else {
            stray
        };
        let found: Vec<Option<[f32; 2]>> = self
            .points
            .iter()
            .map(|point| {
                let expected = motion.of(point.home);
                let at = home_pixels(point, now, motion.turn, expected, from)?;
                (distance(at, expected) < reach).then_some(at)
            })
            .collect();
        let pairs: Vec<_> = self
            .points
            .iter()
            .zip(found.iter().zip(moved))
            .filter_map(|(point, (found, moved))| Some((point.home, found.or(*moved)?)))
            .collect();
        let motion = motion.fitted(&pairs, self.circle.radius);
        let agree = |(home, at): &&([f32; 2], [f32; 2])| distance(*at, motion.of(*home)) < stray;
        Fit {
            agreeing: pairs.iter().filter(agree).count(),
            found,
            motion,
        }
    }

    /// Looks all over the frame.
    fn search(&self, now: &Pyramid) -> Option<Fit> {
        let level = &now.0[self.searched];
        let scale = (1 << self.searched) as f32;
        let nothing = vec![None; self.points.len()];
        let proposed = self.target.as_ref()?.likely(&level.signed(), PROPOSED);
        let fits = proposed.into_iter().map(|[x, y]| {
            let home = self.motion.home;
            let motion = Motion {
                place: [home[0] + scale * x, home[1] + scale * y],
                ..self.motion
            };
            self.fit(motion, now, &nothing, (self.searched + 1).min(2))
        });
        fits.max_by_key(|fit| fit.agreeing)
    }

    /// Whether most of what the first frame shows around the centre is there: points followed, or pixels that are the
    /// same though they may be too smooth to follow.
    fn centre_is_seen(&self, now: &Pyramid) -> bool {
        let near = self.circle.radius.max(3.0);
        let around = |p: &&Point| distance(p.home, self.circle.center) <= near;
        let is_seen = |p: &Point| {
            let at = self.motion.of(p.home);
            let difference = p.patches[0].difference(&now.0[0], self.motion.turn, at);
            p.seen || difference.is_some_and(|d| d < SAME)
        };
        let near: Vec<bool> = self.points.iter().filter(around).map(is_seen).collect();
        let seen = near.iter().filter(|seen| **seen).count();
        2 * seen >= near.len() && now.0[0].contains(self.motion.place)
    }
}

/// Where the pixels that a point had in the first frame are, near `expected`, from level `from` (or the coarsest) down.
fn home_pixels(
    point: &Point,
    now: &Pyramid,
    turn: Turn,
    expected: [f32; 2],
    from: usize,
) -> Option<[f32; 2]> {
    let mut at = expected;
    for number in (0..=from.min(now.0.len() - 1)).rev() {
        let scale = (1 << number) as f32;
        let start = at.map(|v| v / scale);
        let found = point.patches[number].find(&now.0[number], turn, start);
        match found {
            Some(found) if number == 0 => return (found.difference < SAME).then_some(found.at),
            Some(found) => at = found.at.map(|v| v * scale),
            None => {}
        }
    }
    None
}

/// The points to follow: the centre, and the mask's pixels on a grid of about [`POINTS`].
fn homes(mask: &Mask, centre: [f32; 2]) -> Vec<[f32; 2]> {
    let step = (mask.area() as f32 / POINTS as f32).sqrt().max(1.0);
    let mut homes = vec![centre];
    let (columns, rows) = (mask.width as f32 / step, mask.height as f32 / step);
    for row in 0..rows.ceil() as usize {
        for column in 0..columns.ceil() as usize {
            let p = [column, row].map(|n| ((n as f32 + 0.5) * step).floor() + 0.5);
            let (x, y) = (p[0] as usize, p[1] as usize);
            if x < mask.width as usize
                && y < mask.height as usize
                && mask.alpha[y * mask.width as usize + x] >= 128
            {
                homes.push(p);
            }
        }
    }
    homes
}

/// Tracks entities (name and mask in the first frame) through a video.
///
/// # Errors
/// [`Error::Job`] for a video without frames or a mask with nothing inside, naming the entity.
pub fn track(video: &Video, entities: &[(String, Mask)]) -> Result<Tracks> {
    let (width, height) = (video.width, video.height);
    let Some(first) = video.frames.first() else {
        return Err(Error::Job(
            "a video without frames cannot be tracked".into(),
        ));
    };
    let pyramid = |rgb: &[u8]| Pyramid::new(rgb, width as usize, height as usize);
    let mut before = pyramid(first);
    let mut bodies = Vec::with_capacity(entities.len());
    let mut tracks = Vec::with_capacity(entities.len());
    for (name, mask) in entities {
        let (mask, circle) =
            mask_and_circle(mask, width, height).map_err(|e| Error::Job(format!("{name}: {e}")))?;
        bodies.push(Body::new(&before, &mask, circle));
        tracks.push(EntityTrack {
            name: name.clone(),
            radius: circle.radius,
            points: vec![circle.center],
            visible: vec![true],
        });
    }
    for frame in &video.frames[1..] {
        let now = pyramid(frame);
        bodies
            .par_iter_mut()
            .zip(tracks.par_iter_mut())
            .for_each(|(body, track)| {
                let seen = body.step(&before, &now);
                track.points.push(body.motion.place);
                track.visible.push(seen);
            });
        before = now;
    }
    Ok(Tracks {
        width,
        height,
        frames: video.frames.len(),
        entities: tracks,
    })
}

#[cfg(test)]
mod tests;
