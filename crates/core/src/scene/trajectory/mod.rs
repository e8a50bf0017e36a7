//! Trajectories: a smooth path through timed points.
//!
//! Between its points a trajectory is, in x and in y, the monotone cubic of Fritsch and Butland (1984) over time: the
//! speed is continuous, the path goes through every point at its time, and it never overshoots, so that an entity that
//! is held still by two equal points does stand still. At a corner it begins anew: up to there and from there on.

mod figure;
mod listed;
mod shape;
mod timing;

pub use figure::Figure;
pub use listed::Listed;
pub use shape::MAX_KNOBS;
pub use timing::{Ease, LEAST_SPAN, Pace, carried_over};

use super::monotone::{hermite, velocities};
use super::{Trajectory, TrajectoryPoint};
use simplify_polyline::Point;

/// Most points of one trajectory.
pub const MAX_POINTS: usize = 256;
/// How far beyond the picture a point may lie, in pictures: beyond that it is pulled back.
pub const MAX_REACH: f32 = 10.0;
/// Two points closer in time than this are one.
const SAME_TIME: f32 = 1e-4;

/// A moment of a drag as a pointer device reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DragPoint {
    /// Fraction of the picture's width.
    pub x: f32,
    /// Fraction of the picture's height.
    pub y: f32,
    /// When, in any unit that rises.
    pub time: f64,
}

impl Trajectory {
    /// A trajectory of one point: what it belongs to stays where it is.
    pub fn pin(x: f32, y: f32) -> Self {
        Self {
            points: vec![TrajectoryPoint::new(x, y, 0.0)],
        }
    }

    /// A straight line at constant speed over the whole video.
    pub fn line(from: [f32; 2], to: [f32; 2]) -> Self {
        let point = |p: [f32; 2], t| TrajectoryPoint::new(p[0], p[1], t);
        Self {
            points: vec![point(from, 0.0), point(to, 1.0)],
        }
    }

    /// A trajectory from a drag: the whole drag takes the whole video, its rhythm is kept, and it is reduced to the
    /// points that matter, see [`Trajectory::simplified`] for `tolerance` and `aspect`. `None` if no point is a number.
    pub fn from_drag(drag: &[DragPoint], tolerance: f32, aspect: f32) -> Option<Self> {
        let finite: Vec<_> = drag
            .iter()
            .filter(|p| p.x.is_finite() && p.y.is_finite() && p.time.is_finite())
            .collect();
        let start = finite.first()?.time;
        let span = finite.iter().map(|p| p.time - start).fold(0.0, f64::max);
        let time = |p: &DragPoint| {
            if span > 0.0 {
                ((p.time - start) / span) as f32
            } else {
                0.0
            }
        };
        let points = finite
            .iter()
            .map(|p| TrajectoryPoint::new(p.x, p.y, time(p)))
            .collect();
        // A click is a pin, not a very short path.
        let drawn = Self { points }.cleaned();
        let reach = drawn.points.iter().map(|p| {
            (p.x - drawn.points[0].x)
                .abs()
                .max((p.y - drawn.points[0].y).abs())
        });
        if reach.fold(0.0, f32::max) < tolerance {
            return Some(Self::pin(drawn.points[0].x, drawn.points[0].y));
        }
        Some(drawn.simplified(tolerance, aspect))
    }

    /// Whether it holds its entity still.
    pub fn is_pin(&self) -> bool {
        let points = self.cleaned().points;
        points
            .iter()
            .all(|p| (p.x - points[0].x).abs() < 1e-6 && (p.y - points[0].y).abs() < 1e-6)
    }

    /// The pixel that was grabbed, in fractions of the picture. The middle of the picture for a trajectory without a
    /// usable point.
    pub fn start(&self) -> [f32; 2] {
        self.points
            .iter()
            .find(|p| p.x.is_finite() && p.y.is_finite())
            .map_or([0.5, 0.5], |p| {
                [
                    p.x.clamp(-MAX_REACH, MAX_REACH),
                    p.y.clamp(-MAX_REACH, MAX_REACH),
                ]
            })
    }

    /// The same trajectory in a form that everything else can rely on: at least one point, all numbers finite and
    /// within [`MAX_REACH`], times within 0 to 1 and strictly rising, at most [`MAX_POINTS`] points.
    ///
    /// Points that are not numbers go; a point that is not later than the one before it goes, except that the first
    /// (what was grabbed) and the last (where it ends) stay; a trajectory without any timing gets constant speed.
    pub fn cleaned(&self) -> Self {
        let mut points: Vec<TrajectoryPoint> = Vec::with_capacity(self.points.len());
        for p in self
            .points
            .iter()
            .filter(|p| p.x.is_finite() && p.y.is_finite())
        {
            let before = points.last().map_or(0.0, |p| p.t);
            let t = if p.t.is_finite() {
                p.t.clamp(0.0, 1.0).max(before)
            } else {
                before
            };
            let reach = |v: f32| v.clamp(-MAX_REACH, MAX_REACH);
            points.push(TrajectoryPoint {
                x: reach(p.x),
                y: reach(p.y),
                t,
                corner: p.corner,
            });
        }
        let Some((&first, &last)) = points.first().zip(points.last()) else {
            return Self::pin(0.5, 0.5);
        };
        if points.len() > 1 && last.t - first.t < SAME_TIME {
            constant_speed(&mut points);
        }
        let last = points.last().copied().unwrap_or(last);
        let mut kept: Vec<TrajectoryPoint> = Vec::with_capacity(points.len());
        for p in points {
            match kept.last() {
                Some(before) if p.t - before.t < SAME_TIME => {}
                _ => kept.push(p),
            }
        }
        // The end may have been left out as simultaneous with the point before it: the end is what counts.
        if kept.len() > 1
            && let Some(end) = kept.last_mut()
            && last.t - end.t < SAME_TIME
        {
            (end.x, end.y) = (last.x, last.y);
        }
        if kept.len() > MAX_POINTS {
            let n = kept.len();
            kept = (0..MAX_POINTS)
                .map(|i| kept[i * (n - 1) / (MAX_POINTS - 1)])
                .collect();
        }
        Self { points: kept }
    }

    /// Fewer points: as few as keep every point left out within twice `tolerance` of where the result is at its time,
    /// but at most a quarter of [`MAX_POINTS`]. `tolerance` is a fraction of the picture's longer side (0.005 is a good
    /// one), `aspect` the picture's width by its height.
    pub fn simplified(&self, tolerance: f32, aspect: f32) -> Self {
        /// Weight of a fraction of the video beside a fraction of the picture.
        const TIME: f32 = 0.2;
        const MOST: usize = MAX_POINTS / 4;
        let points = self.cleaned().points;
        // A wide picture is not simplified more in one direction.
        let scale = longer_side(aspect);
        let mut tolerance = if tolerance.is_finite() {
            tolerance.clamp(1e-5, 1.0)
        } else {
            0.005
        };
        let space: Vec<Point<3, f32>> = points
            .iter()
            .map(|p| Point {
                vec: [p.x * scale[0], p.y * scale[1], p.t * TIME],
            })
            .collect();
        // Douglas and Peucker keep the corners, of the way and of its rhythm ...
        let mut kept: Vec<usize> = loop {
            let corners = simplify_polyline::simplify(&space, tolerance, true);
            if corners.len() <= MOST {
                // They are some of the given ones, in their order.
                let mut rest = corners.iter().peekable();
                break (0..points.len())
                    .filter(|&i| rest.next_if(|k| k.vec == space[i].vec).is_some())
                    .collect();
            }
            tolerance *= 1.5;
        };
        // ... but measure against straight pieces. Where the smooth curve strays, its worst point is kept too.
        loop {
            let result = Self {
                points: kept.iter().map(|&i| points[i]).collect(),
            };
            let curve = Curve::new(&result);
            let strays = |p: &TrajectoryPoint| {
                let at = curve.position(p.t);
                ((at[0] - p.x) * scale[0]).hypot((at[1] - p.y) * scale[1])
            };
            let worst = points
                .iter()
                .map(strays)
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(&b.1));
            match worst {
                Some((i, far)) if far > 2.0 * tolerance && kept.len() < MOST => {
                    match kept.binary_search(&i) {
                        Err(at) => kept.insert(at, i),
                        // A kept point lies on the curve, up to rounding.
                        Ok(_) => return result,
                    }
                }
                _ => return result,
            }
        }
    }

    /// Where it is at time `t` (fraction of the video): before its first point there, after its last point there.
    pub fn position(&self, t: f32) -> [f32; 2] {
        Curve::new(self).position(t)
    }

    /// Positions in `frames` frames; the first frame is at time 0, the last at time 1. Fractions of the picture.
    pub fn sample(&self, frames: usize) -> Vec<[f32; 2]> {
        let curve = Curve::new(self);
        (0..frames)
            .map(|i| curve.position(i as f32 / (frames.max(2) - 1) as f32))
            .collect()
    }

    /// Like [`Trajectory::sample`], relative to the pixel that was grabbed. The first offset is zero unless the first
    /// point is later than the first frame, in which case zeros last until then.
    pub fn offsets(&self, frames: usize) -> Vec<[f32; 2]> {
        let start = self.start();
        self.sample(frames)
            .into_iter()
            .map(|[x, y]| [x - start[0], y - start[1]])
            .collect()
    }

    /// The path as short straight pieces, `pieces` between each two points, for drawing.
    pub fn polyline(&self, pieces: usize) -> Vec<[f32; 2]> {
        let curve = Curve::new(self);
        let pieces = pieces.max(1);
        let mut path = vec![curve.position(curve.points[0].t)];
        for pair in curve.points.windows(2) {
            for i in 1..=pieces {
                path.push(
                    curve.position(pair[0].t + (pair[1].t - pair[0].t) * i as f32 / pieces as f32),
                );
            }
        }
        path
    }

    /// The same motion, begun at another pixel.
    pub fn moved_to(&self, x: f32, y: f32) -> Self {
        let start = self.start();
        let mut moved = self.clone();
        for p in &mut moved.points {
            p.x += x - start[0];
            p.y += y - start[1];
        }
        moved
    }

    /// The same motion beside another one that is led anew: what it does beyond `before` it does beyond `now`.
    pub fn led_along(&self, before: &Self, now: &Self) -> Self {
        let (own, before, now) = (Curve::new(self), Curve::new(before), Curve::new(now));
        let mut times: Vec<f32> = [&own, &before, &now]
            .iter()
            .flat_map(|curve| curve.points.iter().map(|p| p.t))
            .chain([0.0])
            .collect();
        times.sort_by(f32::total_cmp);
        times.dedup_by(|a, b| *a - *b < SAME_TIME);
        let offset = |curve: &Curve, t: f32| {
            let (from, to) = (curve.points[0], curve.position(t));
            [to[0] - from.x, to[1] - from.y]
        };
        let point = |t: f32| {
            let ([x, y], old, new) = (own.position(t), offset(&before, t), offset(&now, t));
            TrajectoryPoint {
                x: x - old[0] + new[0],
                y: y - old[1] + new[1],
                t,
                corner: own.has_corner(t) || now.has_corner(t),
            }
        };
        Self {
            points: times.into_iter().map(point).collect(),
        }
        .cleaned()
    }

    /// Whether, at some frame of the video, the point is outside the picture.
    pub fn leaves_frame(&self, frames: usize) -> bool {
        self.sample(frames)
            .iter()
            .any(|p| !(0.0..=1.0).contains(&p[0]) || !(0.0..=1.0).contains(&p[1]))
    }
}

/// What fractions of a picture's width and height are in units of its longer side; `aspect` is width by height, a square
/// where it is no such number.
fn longer_side(aspect: f32) -> [f32; 2] {
    let aspect = if aspect.is_finite() && aspect > 0.0 {
        aspect
    } else {
        1.0
    };
    [aspect.min(1.0), (1.0 / aspect).min(1.0)]
}

/// Times by path length, 0 to 1; equal steps where there is no length.
fn constant_speed(points: &mut [TrajectoryPoint]) {
    let steps: Vec<f32> = points
        .windows(2)
        .map(|p| (p[1].x - p[0].x).hypot(p[1].y - p[0].y))
        .collect();
    let total: f32 = steps.iter().sum();
    let n = steps.len() as f32;
    points[0].t = 0.0;
    for (i, step) in steps.iter().enumerate() {
        points[i + 1].t = points[i].t + if total > 0.0 { step / total } else { 1.0 / n };
    }
    // Against rounding: the last one is exactly at the end.
    let end = points.len() - 1;
    points[end].t = 1.0;
}

/// A cleaned trajectory with its velocities.
struct Curve {
    points: Vec<TrajectoryPoint>,
    /// How fast it comes to each point, and how fast it leaves it: the same, but for corners.
    coming: Vec<[f32; 2]>,
    leaving: Vec<[f32; 2]>,
}

impl Curve {
    fn new(trajectory: &Trajectory) -> Self {
        let points = trajectory.cleaned().points;
        let mut coming = vec![[0.0; 2]; points.len()];
        let mut leaving = coming.clone();
        let last = points.len() - 1;
        let mut from = 0;
        // From corner to corner.
        for to in (1..=last).filter(|&i| i == last || points[i].corner) {
            let of = |value: fn(&TrajectoryPoint) -> f32| -> Vec<f32> {
                points[from..=to].iter().map(value).collect()
            };
            let time = of(|p| p.t);
            let both = [of(|p| p.x), of(|p| p.y)].map(|v| velocities(&time, &v));
            for i in from..=to {
                let velocity = [0, 1].map(|axis| both[axis][i - from]);
                if i > from {
                    coming[i] = velocity;
                }
                if i < to {
                    leaving[i] = velocity;
                }
            }
            from = to;
        }
        Self {
            points,
            coming,
            leaving,
        }
    }

    fn has_corner(&self, t: f32) -> bool {
        let there = |p: &TrajectoryPoint| p.corner && (p.t - t).abs() < SAME_TIME;
        self.points.iter().any(there)
    }

    fn position(&self, t: f32) -> [f32; 2] {
        let points = &self.points;
        // Also where `t` is no number.
        let next = points.partition_point(|p| p.t <= t);
        if next == 0 {
            return [points[0].x, points[0].y];
        }
        if next == points.len() {
            return [points[next - 1].x, points[next - 1].y];
        }
        let (a, b) = (points[next - 1], points[next]);
        let (va, vb) = (self.leaving[next - 1], self.coming[next]);
        let h = b.t - a.t;
        let u = (t - a.t) / h;
        [
            hermite(u, h, a.x, b.x, va[0], vb[0]),
            hermite(u, h, a.y, b.y, va[1], vb[1]),
        ]
    }
}

#[cfg(test)]
mod tests;
