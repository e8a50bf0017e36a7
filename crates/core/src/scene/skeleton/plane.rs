//! Points of a picture whose units are the same both ways.

/// A point or an offset, in heights of the picture.
pub(super) type Point = [f32; 2];

/// Between fractions of a picture and [`Point`]s.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    aspect: f32,
}

impl Plane {
    /// Of a picture whose width is `aspect` times its height; what is no such number is taken for a square.
    pub(super) fn of(aspect: f32) -> Self {
        let usable = aspect.is_finite() && aspect > 1e-3;
        Self {
            aspect: if usable { aspect } else { 1.0 },
        }
    }

    pub(super) fn enter(self, [x, y]: [f32; 2]) -> Point {
        [x * self.aspect, y]
    }

    pub(super) fn leave(self, [x, y]: Point) -> [f32; 2] {
        [x / self.aspect, y]
    }
}

pub(super) fn plus(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1]]
}

pub(super) fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

pub(super) fn times(a: Point, factor: f32) -> Point {
    [a[0] * factor, a[1] * factor]
}

pub(super) fn between(a: Point, b: Point, along: f32) -> Point {
    plus(a, times(minus(b, a), along))
}

pub(super) fn length(a: Point) -> f32 {
    a[0].hypot(a[1])
}

pub(super) fn distance(a: Point, b: Point) -> f32 {
    length(minus(a, b))
}

/// How far `b` is to the right of `a`, where y points down; by both lengths.
pub(super) fn cross(a: Point, b: Point) -> f32 {
    a[0] * b[1] - a[1] * b[0]
}

/// `a` turned by a right angle.
pub(super) fn turned(a: Point) -> Point {
    [-a[1], a[0]]
}

/// A turn, as the cosine and sine of its angle.
#[derive(Clone, Copy)]
pub(super) struct Turn([f32; 2]);

impl Turn {
    pub(super) fn by(angle: f32) -> Self {
        Self([angle.cos(), angle.sin()])
    }

    /// From the direction of `from` to that of `to`; none where one of them has no direction.
    pub(super) fn between(from: Point, to: Point) -> Self {
        let product = length(from) * length(to);
        if product <= f32::MIN_POSITIVE {
            return Self::by(0.0);
        }
        let cosine = (from[0] * to[0] + from[1] * to[1]) / product;
        Self([cosine, cross(from, to) / product])
    }

    pub(super) fn of(self, [x, y]: Point) -> Point {
        let Self([cosine, sine]) = self;
        [cosine * x - sine * y, sine * x + cosine * y]
    }

    pub(super) fn angle(self) -> f32 {
        self.0[1].atan2(self.0[0])
    }
}

/// How far a point is from a segment, and how far along the segment (0..1) its nearest place is.
pub(super) fn from_segment(point: Point, from: Point, to: Point) -> (f32, f32) {
    let bone = minus(to, from);
    let squared = bone[0] * bone[0] + bone[1] * bone[1];
    let away = minus(point, from);
    let along = match squared > 0.0 {
        true => ((away[0] * bone[0] + away[1] * bone[1]) / squared).clamp(0.0, 1.0),
        false => 1.0,
    };
    (distance(point, between(from, to, along)), along)
}
