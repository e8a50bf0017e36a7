//! Paths changed by hand: which of their points are shown to be taken hold of, and what becomes of the path.
//!
//! A path that was drawn freehand has many points. A few of them, its knobs, stand for all: what is done to a knob is done to the
//! points around it too, less and less up to the knobs before and after it, so that the path bends there and gets no kink.
//! Points are named by their positions in [`Trajectory::cleaned`], in which form every path here is returned. Lengths are fractions of
//! the picture's longer side, `aspect` is its width by its height.

use super::{Curve, longer_side};
use crate::scene::{Trajectory, TrajectoryPoint};

/// Most knobs of one path.
pub const MAX_KNOBS: usize = 12;
/// Straight pieces between two points, where the nearest place of a curve is looked for.
const PIECES: usize = 12;
/// A point put in nearer in time than this to one that is there is that one.
const NO_ROOM: f32 = 0.004;

fn away(a: [f32; 2], b: [f32; 2], scale: [f32; 2]) -> f32 {
    ((a[0] - b[0]) * scale[0]).hypot((a[1] - b[1]) * scale[1])
}

fn place(p: &TrajectoryPoint) -> [f32; 2] {
    [p.x, p.y]
}

/// How much of the way from `a` to `b` the foot of the perpendicular from `p` lies, 0 to 1.
fn along(p: [f32; 2], a: [f32; 2], b: [f32; 2], scale: [f32; 2]) -> f32 {
    let d = [(b[0] - a[0]) * scale[0], (b[1] - a[1]) * scale[1]];
    let q = [(p[0] - a[0]) * scale[0], (p[1] - a[1]) * scale[1]];
    let long = d[0] * d[0] + d[1] * d[1];
    if long > 0.0 {
        ((q[0] * d[0] + q[1] * d[1]) / long).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn between(a: [f32; 2], b: [f32; 2], u: f32) -> [f32; 2] {
    [a[0] + (b[0] - a[0]) * u, a[1] + (b[1] - a[1]) * u]
}

impl Trajectory {
    /// The points that stand for the path, rising: its ends, `keep` if it has such a point, and those at which it turns most, no
    /// two of these nearer than `apart`, at most [`MAX_KNOBS`] in all. A pin has one.
    pub fn knobs(&self, apart: f32, aspect: f32, keep: Option<usize>) -> Vec<usize> {
        let points = self.cleaned().points;
        let scale = longer_side(aspect);
        let mut chosen = vec![0, points.len() - 1];
        chosen.extend(keep.filter(|&i| i < points.len()));
        chosen.sort_unstable();
        chosen.dedup();
        // What bends less than this is straight to the eye.
        let least = apart / 8.0;
        while chosen.len() < MAX_KNOBS {
            let strays = chosen.windows(2).flat_map(|ends| {
                let (from, to) = (place(&points[ends[0]]), place(&points[ends[1]]));
                let points = &points;
                (ends[0] + 1..ends[1]).map(move |i| {
                    let p = place(&points[i]);
                    (
                        i,
                        away(p, between(from, to, along(p, from, to, scale)), scale),
                    )
                })
            });
            let free = |i: usize| {
                let near = |&k: &usize| away(place(&points[i]), place(&points[k]), scale) < apart;
                !chosen.iter().any(near)
            };
            let worst = strays
                .filter(|&(i, far)| far > least && free(i))
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let Some((i, _)) = worst else { break };
            chosen.insert(chosen.partition_point(|&k| k < i), i);
        }
        chosen
    }

    /// The place of the path nearest to `at`: its time, and how far away it is. `None` for a pin, which has no line.
    pub fn nearest(&self, at: [f32; 2], aspect: f32) -> Option<(f32, f32)> {
        if self.is_pin() {
            return None;
        }
        let curve = Curve::new(self);
        let scale = longer_side(aspect);
        let pieces = curve.points.windows(2).flat_map(|ends| {
            let (t, step) = (ends[0].t, (ends[1].t - ends[0].t) / PIECES as f32);
            (0..PIECES).map(move |i| [t + step * i as f32, t + step * (i + 1) as f32])
        });
        pieces
            .map(|[t0, t1]| {
                let (a, b) = (curve.position(t0), curve.position(t1));
                let u = along(at, a, b, scale);
                (t0 + (t1 - t0) * u, away(at, between(a, b, u), scale))
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The same path with a point at time `t` more, and which it is; the point that is there already, where there is one.
    pub fn with_point(&self, t: f32) -> (Self, usize) {
        let curve = Curve::new(self);
        let [x, y] = curve.position(t);
        let mut points = curve.points;
        if let Some(there) = points.iter().position(|p| (p.t - t).abs() < NO_ROOM) {
            return (Self { points }, there);
        }
        let t = t.clamp(0.0, 1.0);
        let i = points.partition_point(|p| p.t < t);
        points.insert(i, TrajectoryPoint::new(x, y, t));
        (Self { points }, i)
    }

    /// The knobs before and after a point, itself at an end.
    fn around(knobs: &[usize], point: usize) -> [usize; 2] {
        let before = knobs.iter().rev().find(|&&k| k < point);
        let after = knobs.iter().find(|&&k| k > point);
        [before, after].map(|knob| knob.copied().unwrap_or(point))
    }

    /// The path with one of its knobs at another place, at the same time: what lies between it and the knobs beside it bends along.
    pub fn with_knob_at(&self, knobs: &[usize], point: usize, to: [f32; 2], aspect: f32) -> Self {
        let mut points = self.cleaned().points;
        let Some(from) = points.get(point).map(place) else {
            return Self { points };
        };
        let by = [to[0] - from[0], to[1] - from[1]];
        let scale = longer_side(aspect);
        let last = points.len() - 1;
        let [before, after] = Self::around(knobs, point).map(|k| k.min(last));
        let mut length = vec![0.0; points.len()];
        for i in 1..points.len() {
            length[i] = length[i - 1] + away(place(&points[i - 1]), place(&points[i]), scale);
        }
        let corner = points[point].corner;
        let share = |i: usize| {
            let end = if i < point { before } else { after };
            let (own, all) = (
                (length[i] - length[point]).abs(),
                (length[end] - length[point]).abs(),
            );
            let u = if i == point {
                0.0
            } else if all > 0.0 {
                own / all
            } else {
                1.0
            };
            match corner {
                // What lies between corners stays straight.
                true => 1.0 - u,
                false => (1.0 - u) * (1.0 - u) * (1.0 + 2.0 * u),
            }
        };
        for (i, p) in points.iter_mut().enumerate().take(after + 1).skip(before) {
            // The knobs beside it stay, be they where they are.
            let share = if i != point && knobs.contains(&i) {
                0.0
            } else {
                share(i)
            };
            p.x += by[0] * share;
            p.y += by[1] * share;
        }
        Self { points }.cleaned()
    }

    /// The path without one of its knobs and what lies between it and the knobs beside it; `None` where only one point would be
    /// left. Without its first one it begins where it did, and goes on as it would from the second.
    pub fn without_knob(&self, knobs: &[usize], point: usize) -> Option<Self> {
        let points = self.cleaned().points;
        if point >= points.len() {
            return Some(Self { points });
        }
        let [before, after] = Self::around(knobs, point);
        let kept = |i: usize| i <= before && before < point || i >= after && after > point;
        let rest: Vec<TrajectoryPoint> = (0..points.len())
            .filter(|&i| kept(i))
            .map(|i| points[i])
            .collect();
        if rest.len() < 2 {
            return None;
        }
        let [x, y] = self.start();
        Some(Self { points: rest }.moved_to(x, y).cleaned())
    }

    /// The path with a corner at one of its points, or, where there is one, without. At its ends it has none.
    pub fn with_corner_toggled(&self, point: usize) -> Self {
        let mut points = self.cleaned().points;
        let inner = 1..points.len() - 1;
        if let Some(p) = points.get_mut(point).filter(|_| inner.contains(&point)) {
            p.corner ^= true;
        }
        Self { points }
    }

    /// The way back: begun where this path begins, as fast where it was fast.
    pub fn reversed(&self) -> Self {
        let points = self.cleaned().points;
        let [x, y] = self.start();
        let both = points[0].t + points[points.len() - 1].t;
        let back = |p: &TrajectoryPoint| TrajectoryPoint {
            t: both - p.t,
            ..*p
        };
        Self {
            points: points.iter().rev().map(back).collect(),
        }
        .moved_to(x, y)
        .cleaned()
    }

    /// The path that begins as this one does and strays from it, more and more, up to `by` at its end.
    pub fn straying(&self, by: [f32; 2]) -> Self {
        let mut points = self.cleaned().points;
        let (from, to) = (points[0].t, points[points.len() - 1].t);
        for p in &mut points {
            let share = if to > from {
                (p.t - from) / (to - from)
            } else {
                0.0
            };
            p.x += by[0] * share;
            p.y += by[1] * share;
        }
        Self { points }.cleaned()
    }

    /// The path to the other side of where it begins: left and right exchanged, or, if `upright`, up and down.
    pub fn mirrored(&self, upright: bool) -> Self {
        let mut points = self.cleaned().points;
        let [x, y] = place(&points[0]);
        for p in &mut points {
            match upright {
                true => p.y = 2.0 * y - p.y,
                false => p.x = 2.0 * x - p.x,
            }
        }
        Self { points }.cleaned()
    }

    /// The path and a straight way from its end to its beginning, in the same time; itself where it ends there already, as near as
    /// `near`.
    pub fn closed(&self, near: f32, aspect: f32) -> Self {
        let mut points = self.cleaned().points;
        let scale = longer_side(aspect);
        let (first, last) = (points[0], points[points.len() - 1]);
        let home = away(place(&first), place(&last), scale);
        if points.len() < 2 || home <= near {
            return Self { points };
        }
        let out: f32 = points
            .windows(2)
            .map(|p| away(place(&p[0]), place(&p[1]), scale))
            .sum();
        let share = out / (out + home);
        for p in &mut points {
            p.t = first.t + (p.t - first.t) * share;
        }
        points.push(TrajectoryPoint { t: last.t, ..first });
        Self { points }.cleaned()
    }

    /// The path there and back, in the same time.
    pub fn there_and_back(&self) -> Self {
        let points = self.cleaned().points;
        let (t0, t1) = (points[0].t, points[points.len() - 1].t);
        let there = points.iter().map(|p| TrajectoryPoint {
            t: t0 + (p.t - t0) / 2.0,
            ..*p
        });
        let back = points.iter().rev().skip(1).map(|p| TrajectoryPoint {
            t: t1 - (p.t - t0) / 2.0,
            ..*p
        });
        Self {
            points: there.chain(back).collect(),
        }
        .cleaned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(points: &[[f32; 3]]) -> Trajectory {
        let point = |&[x, y, t]: &[f32; 3]| TrajectoryPoint::new(x, y, t);
        Trajectory {
            points: points.iter().map(point).collect(),
        }
    }

    fn is_at(p: [f32; 2], place: [f32; 2]) -> bool {
        away(p, place, [1.0; 2]) < 1e-5
    }

    #[test]
    fn at_a_corner_it_turns_without_slowing_down() {
        let bent = path(&[[0.1, 0.5, 0.0], [0.5, 0.1, 0.5], [0.9, 0.5, 1.0]]);
        let sharp = bent.with_corner_toggled(1);
        assert!(sharp.points[1].corner);
        assert_eq!(sharp.with_corner_toggled(1), bent.cleaned());
        for end in [0, 2, 9] {
            assert_eq!(bent.with_corner_toggled(end), bent.cleaned());
        }
        // Straight at steady speed, where the smooth path comes to its turning point slowly.
        let near = |path: &Trajectory| path.position(0.45);
        assert!(is_at(near(&sharp), [0.46, 0.14]), "{:?}", near(&sharp));
        assert!(near(&bent)[1] < 0.125, "{:?}", near(&bent));
        assert!(is_at(sharp.position(0.5), [0.5, 0.1]));
        // It is still one after all that is done to paths.
        for changed in [
            sharp.reversed(),
            sharp.mirrored(true),
            sharp.moved_to(0.2, 0.2),
            sharp.retimed([0.0, 1.0], [0.2, 0.7]),
            sharp.simplified(0.005, 1.0),
            sharp.led_along(
                &Trajectory::pin(0.1, 0.5),
                &Trajectory::line([0.1, 0.5], [0.3, 0.5]),
            ),
        ] {
            let corners = changed.points.iter().filter(|p| p.corner).count();
            assert_eq!(corners, 1, "{changed:?}");
        }
        // What is led to elsewhere stays straight.
        let dense = path(&[
            [0.1, 0.5, 0.0],
            [0.3, 0.5, 0.25],
            [0.5, 0.5, 0.5],
            [0.7, 0.5, 0.75],
            [0.9, 0.5, 1.0],
        ])
        .with_corner_toggled(2);
        let led = dense.with_knob_at(&[0, 2, 4], 2, [0.5, 0.1], 1.0);
        assert!(is_at(place(&led.points[1]), [0.3, 0.3]), "{led:?}");
    }

    /// An arch over a square picture, of many points.
    fn arch() -> Trajectory {
        let point = |i: usize| {
            let u = i as f32 / 40.0;
            let turn = std::f32::consts::PI * (1.0 - u);
            [0.5 + 0.3 * turn.cos(), 0.8 - 0.3 * turn.sin(), u]
        };
        path(&(0..=40).map(point).collect::<Vec<_>>())
    }

    #[test]
    fn a_few_knobs_stand_for_a_freehand_path() {
        let arch = arch();
        let knobs = arch.knobs(0.05, 1.0, None);
        assert!((4..=MAX_KNOBS).contains(&knobs.len()), "{knobs:?}");
        assert_eq!((knobs[0], knobs[knobs.len() - 1]), (0, 40));
        for pair in knobs.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|i| place(&arch.points[i]));
            assert!(away(a, b, [1.0; 2]) >= 0.05);
        }
        // One that is asked for is among them, one that is not there is not.
        assert!(arch.knobs(0.05, 1.0, Some(3)).contains(&3));
        assert!(arch.knobs(0.05, 1.0, Some(300)).iter().all(|&k| k <= 40));
        // A straight line has its ends, however many points it is made of.
        let line = path(&[
            [0.1, 0.1, 0.0],
            [0.2, 0.1, 0.3],
            [0.7, 0.1, 0.5],
            [0.9, 0.1, 1.0],
        ]);
        assert_eq!(line.knobs(0.05, 1.0, None), [0, 3]);
        assert_eq!(Trajectory::pin(0.3, 0.3).knobs(0.05, 1.0, None), [0]);
    }

    #[test]
    fn a_moved_knob_takes_its_neighbourhood_along_without_a_kink() {
        let arch = arch();
        let knobs = [0, 10, 20, 30, 40];
        let moved = arch.with_knob_at(&knobs, 20, [0.5, 0.3], 1.0);
        assert_eq!(moved.points.len(), 41);
        let by: Vec<f32> = moved
            .points
            .iter()
            .zip(&arch.points)
            .map(|(new, old)| old.y - new.y)
            .collect();
        assert!((by[20] - 0.2).abs() < 1e-5);
        assert!(by[..=10].iter().chain(&by[30..]).all(|by| by.abs() < 1e-6));
        assert!(by[10..=20].windows(2).all(|p| p[0] < p[1]), "{by:?}");
        // The next point goes nearly as far: a bend, no tip.
        assert!(by[19] > 0.18, "{by:?}");
        let times = |t: &Trajectory| t.points.iter().map(|p| p.t).collect::<Vec<_>>();
        assert_eq!(times(&moved), times(&arch));
        // An end moves what leads to it; a point that is not there nothing.
        let end = arch.with_knob_at(&knobs, 40, [0.9, 0.9], 1.0);
        assert!(is_at(place(&end.points[40]), [0.9, 0.9]));
        assert_eq!(place(&end.points[30]), place(&arch.points[30]));
        assert_eq!(arch.with_knob_at(&knobs, 99, [0.0; 2], 1.0), arch);
    }

    #[test]
    fn a_rest_stays_a_rest_when_it_is_moved() {
        let rest = path(&[
            [0.1, 0.5, 0.0],
            [0.5, 0.5, 0.4],
            [0.5, 0.5, 0.6],
            [0.9, 0.5, 1.0],
        ]);
        let moved = rest.with_knob_at(&[0, 1, 3], 1, [0.5, 0.2], 1.0);
        assert!(is_at(place(&moved.points[1]), [0.5, 0.2]));
        assert!(is_at(place(&moved.points[2]), [0.5, 0.2]));
    }

    #[test]
    fn points_are_put_in_and_taken_out() {
        let line = Trajectory::line([0.1, 0.5], [0.9, 0.5]);
        let (t, far) = line.nearest([0.5, 0.6], 2.0).unwrap();
        // The picture is twice as wide as high: a tenth of its height is a twentieth of its longer side.
        assert!(
            (t - 0.5).abs() < 0.01 && (far - 0.05).abs() < 1e-4,
            "{t} {far}"
        );
        assert!(Trajectory::pin(0.5, 0.5).nearest([0.5, 0.5], 1.0).is_none());
        let (more, point) = line.with_point(t);
        assert_eq!((more.points.len(), point), (3, 1));
        assert_eq!(more.with_point(t).1, 1);
        let bent = more.with_knob_at(&[0, 1, 2], 1, [0.5, 0.2], 2.0);
        assert!((bent.position(t)[1] - 0.2).abs() < 1e-5);
        let straight = bent.without_knob(&[0, 1, 2], 1).unwrap();
        assert_eq!(straight, line);
        assert!(line.without_knob(&[0, 1], 1).is_none());
        // Without its first point it begins where it did.
        let cut = bent.without_knob(&[0, 1, 2], 0).unwrap();
        assert!(is_at(cut.start(), [0.1, 0.5]));
        let end = cut.points.last().unwrap();
        assert!((end.x - 0.5).abs() < 1e-5 && (end.y - 0.8).abs() < 1e-5);
        assert_eq!(bent.without_knob(&[0, 1, 2], 9).unwrap(), bent);
    }

    #[test]
    fn back_and_forth_and_the_other_way_round() {
        let hook = path(&[[0.2, 0.5, 0.2], [0.6, 0.5, 0.4], [0.6, 0.9, 1.0]]);
        let back = hook.reversed();
        assert!(is_at(back.start(), [0.2, 0.5]));
        let [_, turn, end] = back.points[..] else {
            panic!()
        };
        assert!((turn.t - 0.8).abs() < 1e-6 && (turn.y - 0.1).abs() < 1e-6);
        assert!((end.x + 0.2).abs() < 1e-6 && (end.t - 1.0).abs() < 1e-6);
        let same = |a: &Trajectory, b: &Trajectory| {
            let near = |p: &TrajectoryPoint, q: &TrajectoryPoint| {
                (p.x - q.x)
                    .abs()
                    .max((p.y - q.y).abs())
                    .max((p.t - q.t).abs())
                    < 1e-5
            };
            a.points.len() == b.points.len()
                && a.points.iter().zip(&b.points).all(|(p, q)| near(p, q))
        };
        assert!(same(&back.reversed(), &hook));
        assert!(same(&hook.mirrored(false).mirrored(false), &hook));
        assert!((hook.mirrored(false).points[1].x + 0.2).abs() < 1e-6);
        assert!((hook.mirrored(true).points[2].y - 0.1).abs() < 1e-6);

        let twice = hook.there_and_back();
        assert_eq!(twice.points.len(), 5);
        assert!(is_at(place(&twice.points[4]), [0.2, 0.5]));
        assert!((twice.points[2].t - 0.6).abs() < 1e-6 && (twice.points[4].t - 1.0).abs() < 1e-6);

        let closed = hook.closed(0.01, 1.0);
        assert_eq!(place(&closed.points[3]), [0.2, 0.5]);
        assert!((closed.points[3].t - 1.0).abs() < 1e-6 && (closed.points[0].t - 0.2).abs() < 1e-6);
        assert!(same(&closed.closed(0.01, 1.0), &closed));
        let pin = Trajectory::pin(0.4, 0.4);
        for made in [
            pin.reversed(),
            pin.mirrored(true),
            pin.closed(0.01, 1.0),
            pin.there_and_back(),
        ] {
            assert!(made.is_pin() && is_at(made.start(), [0.4, 0.4]));
        }
    }
}
