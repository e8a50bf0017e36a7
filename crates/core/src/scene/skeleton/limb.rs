//! A limb of two bones and what hangs from its end: from where it is rooted and what it is to reach to where its joints go.

use super::plane::{Point, Turn, between, cross, distance, length, minus, plus, times, turned};

/// A limb as it is in the picture: root, middle, end and tip (shoulder, elbow, wrist and hand; hip, knee, ankle and foot).
#[derive(Clone, Copy)]
pub(super) struct Limb {
    pub(super) rest: [Point; 4],
    /// To which side of the line from root to end the middle bends.
    pub(super) bends: Bends,
    /// How far both bones may become shorter before the middle bends more. A leg that is seen from the front bends towards the
    /// viewer, and not to the side.
    pub(super) shrinks: f32,
    /// How far both bones may become longer where the end is too far away.
    pub(super) grows: f32,
}

/// To which side of the line from its root to its end a limb bends: 1 or -1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bends {
    /// Always to this one.
    To(f32),
    /// As an arm that hangs down beside a trunk seen from the front or from behind: its elbow is outside while it hangs and while it
    /// goes across the trunk, below it when it is lifted to its own side, and outside again above the head. In between the elbow is
    /// turned towards the viewer, and both bones look shorter.
    Loosely {
        /// From neck to pelvis, of length 1.
        down: Point,
        /// Away from the trunk, of length 1.
        out: Point,
    },
}

/// Degrees from hanging down, outwards, between which a loose elbow goes over to the other side, and between which it comes back.
const OVER: [f32; 2] = [15.0, 50.0];
const BACK: [f32; 2] = [225.0, 260.0];

impl Bends {
    /// When the end is in the direction `ahead` of the root; of an elbow that goes over a number between.
    fn side(self, ahead: Point) -> f32 {
        let (down, out) = match self {
            Self::To(side) => return side,
            Self::Loosely { down, out } => (down, out),
        };
        let dot = |a: Point, b: Point| a[0] * b[0] + a[1] * b[1];
        let angle = dot(ahead, out).atan2(dot(ahead, down)).to_degrees();
        // From the gap before it hangs, all the way round.
        let angle = if angle < BACK[1] - 360.0 {
            angle + 360.0
        } else {
            angle
        };
        let gone = |[from, to]: [f32; 2]| {
            let t = ((angle - from) / (to - from)).clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        };
        let outside = if dot(turned(down), out) < 0.0 {
            -1.0
        } else {
            1.0
        };
        outside * (1.0 - 2.0 * gone(OVER) + 2.0 * gone(BACK))
    }
}

/// Which place of a limb is to be where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pull {
    /// 0: between root and middle; 1: between middle and end; 2: between end and tip.
    pub(super) bone: usize,
    /// How far along the bone.
    pub(super) along: f32,
    pub(super) to: Point,
}

/// Below this a direction says nothing.
const NEAR: f32 = 1e-6;
/// Sine of the bend below which a limb is straight, and does not say to which side it bends.
const STRAIGHT: f32 = 0.04;
/// The way of the end, in lengths of the limb, within which it goes over then.
const GOING_OVER: f32 = 0.2;
/// Sine of the bend up to which an arm is loose: of an elbow that is bent by 23 degrees.
const LOOSE: f32 = 0.2;
/// How far aside of the neck, in lengths of the trunk, a shoulder of somebody is who is seen from the front or from behind.
const BROAD: f32 = 0.15;
const ROUNDS: usize = 24;

impl Limb {
    /// `away`: where the middle goes when the limb is straight and has to bend.
    pub(super) fn new(rest: [Point; 4], away: Point, shrinks: f32, grows: f32) -> Self {
        let [root, middle, end, _] = rest;
        let (whole, upper) = (minus(end, root), minus(middle, root));
        let bend = cross(whole, upper);
        let side = match bend.abs() > STRAIGHT * length(whole) * length(upper) {
            true => bend,
            false => cross(whole, away),
        };
        Self {
            rest,
            bends: Bends::To(if side < 0.0 { -1.0 } else { 1.0 }),
            shrinks,
            grows,
        }
    }

    /// An arm beside a trunk that goes `down`, rooted `out` of its middle: one that is nearly straight does not say to which side its
    /// elbow goes when it is lifted. Of somebody who is seen from the side nothing says what is outside.
    pub(super) fn loose(self, down: Point, out: Point) -> Self {
        let [root, middle, end, _] = self.rest;
        let (whole, upper) = (minus(end, root), minus(middle, root));
        let (trunk, straight) = (length(down), length(whole) * length(upper));
        if trunk <= NEAR || cross(whole, upper).abs() > LOOSE * straight {
            return self;
        }
        let down = times(down, 1.0 / trunk);
        let aside = cross(down, out);
        if aside.abs() < BROAD * trunk {
            return self;
        }
        let out = times(turned(down), aside.signum());
        let bends = Bends::Loosely { down, out };
        Self { bends, ..self }
    }

    /// The place that is pulled, as it is in the picture.
    pub(super) fn pulled(&self, pull: Pull) -> Point {
        let (from, to) = (self.rest[pull.bone], self.rest[pull.bone + 1]);
        between(from, to, pull.along)
    }

    /// How far from the root the place that is pulled can be.
    pub(super) fn reach(&self, pull: Pull) -> f32 {
        let [root, middle, ..] = self.rest;
        let held = self.pulled(pull);
        match pull.bone {
            0 => distance(root, held),
            _ => distance(root, middle) + distance(middle, held),
        }
    }

    /// The limb moved as a whole: its root to `root`, and turned.
    pub(super) fn carried(&self, root: Point, turn: Turn) -> [Point; 4] {
        self.rest
            .map(|point| plus(root, turn.of(minus(point, self.rest[0]))))
    }

    /// With the root at `root`, the place of `lower` (on the second bone or beyond) where it is to be, as near as it can be.
    pub(super) fn reaching(&self, root: Point, lower: Pull) -> [Point; 4] {
        let [_, middle, end, _] = self.rest;
        let held = self.pulled(lower);
        let side = self.bends.side(minus(lower.to, root));
        if lower.bone < 2 {
            let (bent, at) = self.two_bones(root, held, lower.to, side);
            return self.hanging(root, bent, [middle, held], at);
        }
        // What is beyond the end turns with the second bone, whose turn is known when the end is placed: halfway in each round
        // finds both.
        let mut beyond = minus(held, end);
        let mut placed = (middle, end);
        for _ in 0..ROUNDS {
            placed = self.two_bones(root, end, minus(lower.to, beyond), side);
            let (was, is) = (minus(end, middle), minus(placed.1, placed.0));
            let now = times(
                Turn::between(was, is).of(minus(held, end)),
                self.scale(was, is),
            );
            beyond = between(beyond, now, 0.5);
        }
        self.hanging(root, placed.0, [middle, end], placed.1)
    }

    /// With the first bone turned so that the place of `upper` is in the direction where it is to be, and what hangs from the middle
    /// turned with it, or towards `lower`.
    pub(super) fn turned_to(
        &self,
        root: Point,
        carried: Turn,
        upper: Pull,
        lower: Option<Pull>,
    ) -> [Point; 4] {
        let [start, middle, end, _] = self.rest;
        let bone = minus(middle, start);
        let wish = minus(upper.to, root);
        let turn = match length(wish) > NEAR {
            true => Turn::between(bone, wish),
            false => carried,
        };
        let bent = plus(root, turn.of(bone));
        let below = lower
            .filter(|pull| pull.bone < 2)
            .map_or(end, |pull| self.pulled(pull));
        let follow = plus(bent, turn.of(minus(below, middle)));
        let held = lower.map_or(follow, |pull| {
            let (reach, wish) = (distance(middle, below), minus(pull.to, bent));
            let far = length(wish);
            if far <= NEAR {
                return follow;
            }
            let along = reach.min(far.max((1.0 - self.shrinks) * reach));
            let wish = self.allowed(minus(bent, root), times(wish, 1.0 / far));
            plus(bent, times(wish, along))
        });
        self.hanging(root, bent, [middle, below], held)
    }

    /// The direction of the second bone that is nearest to `wish` without bending to the other side. `upper`: the first bone.
    fn allowed(&self, upper: Point, wish: Point) -> Point {
        match self.bends {
            Bends::To(side) if side * cross(wish, upper) < 0.0 && length(upper) > NEAR => {}
            _ => return wish,
        }
        let ahead = times(upper, 1.0 / length(upper));
        let same = wish[0] * ahead[0] + wish[1] * ahead[1] >= 0.0;
        times(ahead, if same { 1.0 } else { -1.0 })
    }

    /// What hangs from the middle goes along with its second bone: with the place `rest[1]` on it, which is at `held` now.
    fn hanging(&self, root: Point, bent: Point, rest: [Point; 2], held: Point) -> [Point; 4] {
        let [middle, below] = rest;
        let (was, is) = (minus(below, middle), minus(held, bent));
        let (turn, scale) = (Turn::between(was, is), self.scale(was, is));
        let hung = |point: Point| plus(bent, times(turn.of(minus(point, middle)), scale));
        [root, bent, hung(self.rest[2]), hung(self.rest[3])]
    }

    /// How much longer the second bone is seen, and what hangs from it.
    fn scale(&self, was: Point, is: Point) -> f32 {
        match length(was) > NEAR {
            true => (length(is) / length(was)).min(1.0 + self.grows),
            false => 1.0,
        }
    }

    /// Where the middle is, and the place that was at `held`, when that is to be at `to` and the middle bends to `side`.
    fn two_bones(&self, root: Point, held: Point, to: Point, side: f32) -> (Point, Point) {
        let [start, middle, ..] = self.rest;
        let (upper, lower) = (distance(start, middle), distance(middle, held));
        let was = minus(held, start);
        let wish = minus(to, root);
        let far = length(wish);
        let ahead = match (far > NEAR, length(was) > NEAR) {
            (true, _) => times(wish, 1.0 / far),
            (false, true) => times(was, 1.0 / length(was)),
            (false, false) => [0.0, 1.0],
        };
        // Nearer than it is: first as if turned towards the viewer, with the same bend.
        let shorter = match far < length(was) {
            true => (far / length(was)).max(1.0 - self.shrinks),
            false => 1.0,
        };
        let longer = match upper + lower > NEAR {
            true => (far / (upper + lower)).clamp(1.0, 1.0 + self.grows),
            false => 1.0,
        };
        let [upper, lower] = [upper, lower].map(|bone| bone * shorter * longer);
        let place = |along: f32, aside: f32| {
            plus(root, plus(times(ahead, along), times(turned(ahead), aside)))
        };
        // A limb that is nearly straight, and a little bent to its other side: it goes over to its own within a short way.
        let bent = match length(was) > NEAR {
            true => cross(was, minus(middle, start)) / length(was),
            false => 0.0,
        };
        let fade = 1.0 - distance(wish, was) / (GOING_OVER * (upper + lower)).max(NEAR);
        let over = fade.max(0.0) * (bent - side * bent.abs());
        if far >= upper + lower {
            return (place(upper, over), place(upper + lower, 0.0));
        }
        if far <= upper - lower {
            // Nearer than both bones allow: the longer one is turned towards the viewer.
            return (place(far + lower, over), place(far, 0.0));
        }
        if far <= lower - upper {
            return (place(-upper, over), place(far, 0.0));
        }
        let along = (upper * upper - lower * lower + far * far) / (2.0 * far);
        let aside = (upper * upper - along * along).max(0.0).sqrt();
        (place(along, side * aside + over), place(far, 0.0))
    }
}
