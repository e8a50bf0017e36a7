//! When a path is where: from when to when, and with which rhythm.

use super::{Curve, longer_side};
use crate::scene::monotone::{hermite, velocities};
use crate::scene::{Trajectory, TrajectoryPoint};

/// The shortest time that a path takes, a fraction of the video.
pub const LEAST_SPAN: f32 = 0.02;
/// Into how many stretches of equal time a path is cut where its speed changes.
const STRETCHES: usize = 8;
/// Straight pieces between two points, where a path's length is measured.
const PIECES: usize = 12;
/// Two points nearer in time than this are one.
const NO_ROOM: f32 = 0.004;
/// How far a rhythm may stray from one of the named ones and still bear the name, a fraction of the way.
const ALIKE: f32 = 0.05;

/// A rhythm with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ease {
    /// The same speed all the way.
    Steady,
    /// Slow at the beginning.
    In,
    /// Slow at the end.
    Out,
    /// Slow at both ends.
    InOut,
}

impl Ease {
    /// All of them.
    pub const ALL: [Ease; 4] = [Ease::Steady, Ease::In, Ease::Out, Ease::InOut];

    /// How much of the way is done after a share of the time; both 0 to 1.
    pub fn way(self, time: f32) -> f32 {
        match self {
            Ease::Steady => time,
            Ease::In => time * time,
            Ease::Out => time * (2.0 - time),
            Ease::InOut => time * time * (3.0 - 2.0 * time),
        }
    }

    /// The inverse of [`Ease::way`].
    pub fn time(self, way: f32) -> f32 {
        let way = way.clamp(0.0, 1.0);
        match self {
            Ease::Steady => way,
            Ease::In => way.sqrt(),
            Ease::Out => 1.0 - (1.0 - way).sqrt(),
            Ease::InOut => 0.5 - ((1.0 - 2.0 * way).asin() / 3.0).sin(),
        }
    }
}

/// A rhythm drawn by hand: how much of the way is done after a quarter, a half and three quarters of the time, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace(pub [f32; 3]);

impl Pace {
    /// Those shares of the time.
    pub const TIMES: [f32; 3] = [0.25, 0.5, 0.75];
    const KNOTS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

    /// The way at all five knots: rising, whatever was said.
    fn ways(self) -> [f32; 5] {
        let mut ways = [0.0, 0.0, 0.0, 0.0, 1.0];
        for (i, way) in self.0.into_iter().enumerate() {
            let way = if way.is_finite() { way } else { Self::TIMES[i] };
            ways[i + 1] = way.clamp(ways[i], 1.0);
        }
        ways
    }

    /// How much of the way is done after a share of the time; both 0 to 1.
    pub fn way(self, time: f32) -> f32 {
        let ways = self.ways();
        let slopes = velocities(&Self::KNOTS, &ways);
        let time = time.clamp(0.0, 1.0);
        let i = ((time * 4.0) as usize).min(3);
        let u = time * 4.0 - i as f32;
        hermite(u, 0.25, ways[i], ways[i + 1], slopes[i], slopes[i + 1])
    }

    /// The earliest time at which so much of the way is done.
    pub fn time(self, way: f32) -> f32 {
        let (mut from, mut to) = (0.0_f32, 1.0_f32);
        for _ in 0..24 {
            let middle = (from + to) / 2.0;
            match self.way(middle) < way {
                true => from = middle,
                false => to = middle,
            }
        }
        to
    }
}

/// A path by its length.
struct Way {
    curve: Curve,
    /// Time and length so far, rising.
    lengths: Vec<[f32; 2]>,
}

impl Way {
    /// `None` where there is no way at all.
    fn new(path: &Trajectory, aspect: f32) -> Option<Self> {
        let curve = Curve::new(path);
        let scale = longer_side(aspect);
        let mut lengths = vec![[curve.points[0].t, 0.0]];
        let mut last = curve.position(curve.points[0].t);
        for ends in curve.points.windows(2) {
            for i in 1..=PIECES {
                let t = ends[0].t + (ends[1].t - ends[0].t) * i as f32 / PIECES as f32;
                let at = curve.position(t);
                let far = ((at[0] - last[0]) * scale[0]).hypot((at[1] - last[1]) * scale[1]);
                lengths.push([t, lengths[lengths.len() - 1][1] + far]);
                last = at;
            }
        }
        (lengths[lengths.len() - 1][1] > 0.0).then_some(Self { curve, lengths })
    }

    /// Reads one column of the lengths by the other.
    fn read(&self, value: f32, by: usize) -> f32 {
        let rows = &self.lengths;
        let next = rows.partition_point(|row| row[by] < value);
        if next == 0 || next == rows.len() {
            return rows[next.min(rows.len() - 1)][1 - by];
        }
        let (a, b) = (rows[next - 1], rows[next]);
        let u = (value - a[by]) / (b[by] - a[by]).max(f32::MIN_POSITIVE);
        a[1 - by] + (b[1 - by] - a[1 - by]) * u
    }

    fn whole(&self) -> f32 {
        self.lengths[self.lengths.len() - 1][1]
    }

    /// The share of the way done at a time.
    fn done(&self, t: f32) -> f32 {
        self.read(t, 0) / self.whole()
    }

    /// Where a share of the way is done.
    fn place(&self, share: f32) -> [f32; 2] {
        self.curve.position(self.read(share * self.whole(), 1))
    }
}

impl Trajectory {
    /// When it begins to move and when it ends, fractions of the video.
    pub fn span(&self) -> [f32; 2] {
        let points = self.cleaned().points;
        [points[0].t, points[points.len() - 1].t]
    }

    /// The same path in another time: what happened from `was[0]` to `was[1]` happens from `now[0]` to `now[1]`. What would come
    /// before the video or after it comes at its ends.
    pub fn retimed(&self, was: [f32; 2], now: [f32; 2]) -> Self {
        let mut path = self.cleaned();
        for p in &mut path.points {
            p.t = carried_over(p.t, was, now);
        }
        path.cleaned()
    }

    /// The same path, in the same time, with a rhythm. `aspect` is the picture's width by its height.
    pub fn eased(&self, ease: Ease, aspect: f32) -> Self {
        self.timed(
            aspect,
            ease != Ease::Steady,
            |t| ease.way(t),
            |w| ease.time(w),
        )
    }

    /// The same path, in the same time, with a rhythm that is drawn by hand.
    pub fn paced(&self, pace: Pace, aspect: f32) -> Self {
        self.timed(aspect, true, |t| pace.way(t), |w| pace.time(w))
    }

    /// How much of the way is done when. `None` where there is no way at all.
    pub fn pace(&self, aspect: f32) -> Option<Pace> {
        let way = Way::new(self, aspect)?;
        let [from, to] = self.span();
        let done = |time: f32| way.done(from + (to - from) * time);
        Some(Pace(Pace::TIMES.map(done)))
    }

    /// The same path with a rhythm: how much of the way is done after a share of the time, and the inverse. `bends` says that its speed
    /// changes.
    fn timed(
        &self,
        aspect: f32,
        bends: bool,
        way_at: impl Fn(f32) -> f32,
        time_at: impl Fn(f32) -> f32,
    ) -> Self {
        let Some(way) = Way::new(self, aspect) else {
            return self.cleaned();
        };
        let [from, to] = self.span();
        let at = |time: f32| from + (to - from) * time;
        let mut points: Vec<TrajectoryPoint> = way
            .curve
            .points
            .iter()
            .map(|p| TrajectoryPoint {
                t: at(time_at(way.done(p.t))),
                ..*p
            })
            .collect();
        // Where hardly anything of the way is done in a long time, the ends would be found within that.
        let last = points.len() - 1;
        (points[0].t, points[last].t) = (from, to);
        // A curve slows down at its corners, unless there are points beside them.
        if bends || points.len() > 2 {
            for i in 1..STRETCHES {
                let time = i as f32 / STRETCHES as f32;
                let ([x, y], t) = (way.place(way_at(time)), at(time));
                let next = points.partition_point(|p| p.t < t);
                let beside = points[next.saturating_sub(1)..points.len().min(next + 1)].iter();
                if beside.into_iter().all(|p| (p.t - t).abs() > NO_ROOM) {
                    points.insert(next, TrajectoryPoint::new(x, y, t));
                }
            }
        }
        Self { points }.cleaned()
    }

    /// The name of its rhythm, if it has one. `aspect` is the picture's width by its height.
    pub fn ease(&self, aspect: f32) -> Option<Ease> {
        let way = Way::new(self, aspect)?;
        let [from, to] = self.span();
        let strays = |ease: Ease| {
            let stray = |i: usize| {
                let time = i as f32 / STRETCHES as f32;
                (way.done(from + (to - from) * time) - ease.way(time)).abs()
            };
            (1..STRETCHES).map(stray).fold(0.0, f32::max)
        };
        let named = Ease::ALL.map(|ease| (ease, strays(ease)));
        let best = named.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        (best.1 < ALIKE).then_some(best.0)
    }
}

/// The time `t` where what happened from `was[0]` to `was[1]` happens from `now[0]` to `now[1]`; within the video.
pub fn carried_over(t: f32, was: [f32; 2], now: [f32; 2]) -> f32 {
    let span = was[1] - was[0];
    let u = if span > 0.0 { (t - was[0]) / span } else { 0.0 };
    (now[0] + (now[1] - now[0]) * u).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn corner() -> Trajectory {
        let point = |[x, y, t]: [f32; 3]| TrajectoryPoint::new(x, y, t);
        Trajectory {
            points: [[0.1, 0.1, 0.2], [0.5, 0.1, 0.3], [0.5, 0.5, 0.8]]
                .map(point)
                .to_vec(),
        }
    }

    #[test]
    fn the_same_way_in_another_time() {
        let later = corner().retimed([0.2, 0.8], [0.4, 1.0]);
        assert_eq!(later.span(), [0.4, 1.0]);
        let [x, y] = later.position(0.5);
        assert!((x - 0.5).abs() < 1e-4 && (y - 0.1).abs() < 1e-4);
        // Before it begins it stands still, as the frames have it.
        assert_eq!(later.position(0.3), [0.1, 0.1]);
        // All at once is no path: the ends stay.
        let squeezed = corner().retimed([0.2, 0.8], [1.0, 1.2]);
        assert_eq!(squeezed.start(), [0.1, 0.1]);
        assert!(squeezed.points.iter().all(|p| (0.0..=1.0).contains(&p.t)));
        assert!(
            Trajectory::pin(0.2, 0.2)
                .retimed([0.0, 0.0], [0.3, 0.5])
                .is_pin()
        );
    }

    #[test]
    fn a_rhythm_is_taken_and_told_and_taken_again() {
        for path in [corner(), Trajectory::line([0.2, 0.8], [0.7, 0.3])] {
            let [from, to] = path.span();
            for ease in Ease::ALL {
                let eased = path.eased(ease, 1.5);
                assert_eq!(eased.ease(1.5), Some(ease), "{eased:?}");
                assert_eq!((eased.span(), eased.start()), ([from, to], path.start()));
                // The corner is still one of its points.
                for p in &path.points {
                    let near = |q: &&TrajectoryPoint| (q.x - p.x).abs() + (q.y - p.y).abs() < 1e-3;
                    assert!(
                        eased.points.iter().any(|q| near(&q)),
                        "{ease:?} {p:?} {eased:?}"
                    );
                }
                assert_eq!(eased.eased(Ease::Steady, 1.5).ease(1.5), Some(Ease::Steady));
            }
        }
        assert_eq!(corner().ease(1.5), None);
        assert_eq!(Trajectory::pin(0.5, 0.5).ease(1.0), None);
        assert!(Trajectory::pin(0.5, 0.5).eased(Ease::In, 1.0).is_pin());
    }

    #[test]
    fn time_and_way_are_inverses() {
        for ease in Ease::ALL {
            for i in 0..=20 {
                let time = i as f32 / 20.0;
                assert!(
                    (ease.time(ease.way(time)) - time).abs() < 2e-3,
                    "{ease:?} {time}"
                );
            }
        }
    }

    #[test]
    fn a_rhythm_drawn_by_hand_is_kept_and_read_again() {
        let path = corner();
        for pace in [
            [0.1, 0.2, 0.4],
            [0.5, 0.8, 0.95],
            [0.05, 0.5, 0.9],
            [0.3, 0.3, 0.9],
        ] {
            let paced = path.paced(Pace(pace), 1.0);
            for (now, was) in paced.span().iter().zip(path.span()) {
                assert!((now - was).abs() < 1e-5);
            }
            assert_eq!(paced.start(), path.start());
            let Pace(read) = paced.pace(1.0).unwrap();
            for (read, said) in read.iter().zip(pace) {
                assert!((read - said).abs() < 0.04, "{read} for {said} of {pace:?}");
            }
            // It is the same way.
            for place in paced.sample(30) {
                let (_, far) = path.nearest(place, 1.0).unwrap();
                assert!(far < 0.02, "{far}");
            }
        }
        assert_eq!(Trajectory::pin(0.2, 0.2).pace(1.0), None);
    }

    proptest! {
        #[test]
        fn any_rhythm_rises_from_beginning_to_end(pace: [f32; 3], share in 0.0f32..=1.0) {
            let pace = Pace(pace);
            prop_assert!(pace.way(0.0) == 0.0 && (pace.way(1.0) - 1.0).abs() < 1e-5);
            let ways: Vec<f32> = (0..=40).map(|i| pace.way(i as f32 / 40.0)).collect();
            prop_assert!(ways.windows(2).all(|two| two[0] <= two[1] + 1e-5), "{ways:?}");
            let time = pace.time(share);
            prop_assert!((0.0..=1.0).contains(&time));
            prop_assert!((pace.way(time) - share).abs() < 0.02, "{share} {time}");
        }
    }
}
